package cedar

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/cedar-policy/cedar-go"
)

// role says what a role gives.
func (x translation) role(name string) string {
	r, out := x.w.policy.Roles[name], []string(nil)
	if r.Shell != nil {
		for _, login := range r.Shell.As {
			out = append(out, exactly("shell", login))
		}
	}
	if r.Run != nil {
		for _, login := range r.Run.As {
			for _, argv := range r.Run.Argv {
				out = append(out, runsAs(login, argv))
			}
		}
	}
	if r.Files != nil {
		for _, dir := range r.Files.Read {
			out = append(out, below("files.read", dir))
		}
		for _, dir := range r.Files.Write {
			out = append(out, below("files.write", dir))
		}
	}
	for _, port := range r.Ports {
		out = append(out, exactly("ports", port))
	}
	for _, page := range r.Web {
		out = append(out, exactly("web", page))
	}
	if r.Desktop != "" {
		out = append(out, is("desktop.view"))
	}
	if r.Desktop == "control" {
		out = append(out, is("desktop.control"))
	}
	return or(out)
}

// action says what an action word of a require or deny rule, or of a grant, covers.
func action(word string) string {
	kind, arg, one := strings.Cut(word, ":")
	switch {
	case word == "*":
		return "true"
	case !one:
		return is(kind)
	case kind == "run":
		if words := strings.Fields(arg); !strings.HasPrefix(arg, "/") {
			return runsAs(words[0], words[1:])
		}
		return runs(strings.Fields(arg)) // as every login
	case kind == "files.read" || kind == "files.write":
		return below(kind, arg)
	}
	return exactly(kind, arg)
}

func is(kind string) string { return "action == Action::" + quote(kind) }

func exactly(kind, arg string) string { return is(kind) + " && context.arg == " + quote(arg) }

func below(kind, dir string) string {
	within := cedar.NewPattern(strings.TrimSuffix(dir, "/")+"/", cedar.Wildcard{})
	return fmt.Sprintf("%s && (context.arg == %s || context.arg like %s)", is(kind), quote(dir), within.MarshalCedar())
}

func runsAs(login string, argv []string) string {
	return runs(argv) + " && context.arg == " + quote(login)
}

// runs compares a command word by word. Cedar cannot look into a word: what {word} and {number} stand for is told of each.
func runs(argv []string) string {
	out := fmt.Sprintf("%s && context.words == %d", is("run"), len(argv))
	for i, w := range argv {
		switch w {
		case "{word}":
			out += fmt.Sprintf(" && context.argv.w%d.word", i)
		case "{number}":
			out += fmt.Sprintf(" && context.argv.w%d.number", i)
		default:
			out += fmt.Sprintf(" && context.argv.w%d.text == %s", i, quote(w))
		}
	}
	return out
}

var (
	oneWord   = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$`)
	oneNumber = regexp.MustCompile(`^[0-9]{1,18}$`)
)

// told describes the words of a command.
func told(argv []string) cedar.Record {
	out := cedar.RecordMap{}
	for i, w := range argv {
		out[cedar.String(fmt.Sprintf("w%d", i))] = cedar.NewRecord(cedar.RecordMap{"text": cedar.String(w),
			"word": cedar.Boolean(oneWord.MatchString(w)), "number": cedar.Boolean(oneNumber.MatchString(w))})
	}
	return cedar.NewRecord(out)
}
