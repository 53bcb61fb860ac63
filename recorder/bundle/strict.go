package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting in a trust bundle.
const maxDepth = 16

// strictJSON reads one JSON value into v. It refuses input that another reader could read differently: unknown names,
// names in another case, names that occur twice or differ only in case, bytes that are not UTF-8, and anything after
// the value. The code that makes trust bundles has another reader, so that the two do not share a mistake
// (docs/decisions/0012). A fuzz target compares them.
func strictJSON(raw []byte, v any) error {
	if !utf8.Valid(raw) {
		return errors.New("it is not UTF-8") // encoding/json would replace these bytes
	}
	if err := onceEach(json.NewDecoder(bytes.NewReader(raw)), 0); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}

// onceEach reads one value and refuses names that occur twice in one object.
func onceEach(d *json.Decoder, depth int) error {
	t, err := d.Token()
	open, nested := t.(json.Delim)
	switch {
	case err != nil || !nested:
		return err
	case depth == maxDepth:
		return errors.New("nested too deep")
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := t.(string)
			switch {
			case seen[folded(name)]:
				return fmt.Errorf("the name %.40q occurs twice", t)
			case name != folded(name): // encoding/json would take it for a known one
				return fmt.Errorf("the name %.40q is not in lower case, so it is not known", t)
			}
			seen[name] = true
		}
		if err := onceEach(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing delimiter
	return err
}

// folded returns the same form for all names that encoding/json treats as one name. It treats a long s as an s.
func folded(name string) string { return strings.ReplaceAll(strings.ToLower(name), "ſ", "s") }
