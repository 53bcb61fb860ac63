package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Markdown writes docs/config.md: every key with its meaning and default, from the tags of Config.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Configuration of `sallyport serve`\n\n" +
		"One TOML file, strict: a key that is not known is refused with its line. Absent means safe; secrets are paths to files.\n" +
		"A file that a key names must be a regular file of at most 1 MiB; links are followed.\n" +
		"Sizes are written `20GiB`, lengths of time `400d`, `12h`, `30m`. This page is made from the program (`go test ./internal/config -update`).\n")
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if name == "" {
			continue
		}
		ft, head := f.Type, "["+name+"]"
		if ft.Kind() == reflect.Slice {
			ft, head = ft.Elem(), "[["+name+"]]"
		}
		fmt.Fprintf(&b, "\n## %s\n\n| key | meaning | default |\n|---|---|---|\n", head)
		rows(&b, ft, "")
	}
	return b.String()
}

func rows(b *strings.Builder, t reflect.Type, prefix string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("toml")
		def := f.Tag.Get("default")
		if f.Tag.Get("required") != "" {
			def = "*required*"
		} else if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, f.Tag.Get("doc"), def)
		if f.Type.Kind() == reflect.Struct {
			rows(b, f.Type, name+".")
		}
	}
}
