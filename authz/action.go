package authz

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Kind is one sort of action. The zero value is none.
type Kind uint16

// The kinds, as bits so that a set of them is one number.
const (
	Shell Kind = 1 << iota
	Run
	FilesRead
	FilesWrite
	Ports
	Web
	DesktopView
	DesktopControl

	everyKind = Shell | Run | FilesRead | FilesWrite | Ports | Web | DesktopView | DesktopControl
)

var kindWords = []struct {
	kind Kind
	word string
	arg  string // what follows the colon; empty: nothing may
}{
	{Shell, "shell", "LOGIN"}, {Run, "run", "ARGV"}, {FilesRead, "files.read", "PATH"}, {FilesWrite, "files.write", "PATH"},
	{Ports, "ports", "HOST:PORT"}, {Web, "web", "PAGE"}, {DesktopView, "desktop.view", ""}, {DesktopControl, "desktop.control", ""},
}

// Word gives the kind's word in the language.
func (k Kind) Word() string {
	for _, w := range kindWords {
		if w.kind == k {
			return w.word
		}
	}
	return "nothing"
}

func kindOf(word string) (Kind, string, bool) {
	for _, w := range kindWords {
		if w.word == word {
			return w.kind, w.arg, true
		}
	}
	return 0, "", false
}

func actionWords() []string {
	out := make([]string, len(kindWords))
	for i, w := range kindWords {
		out[i] = w.word
	}
	return out
}

// Action is one thing somebody wants to do. Make it with ParseAction or RunAction.
type Action struct {
	Kind Kind
	Arg  string   // login, path, host:port or page
	Argv []string // for Run

	places bool // Argv is a role's template, all of whose commands are meant at once; never in a question from outside
}

// ParseAction reads an action word: shell:root, run:/bin/x a b, files.read:/var/log, ports:plc.local:102,
// web:hmi, desktop.view. Words of a run command that hold spaces are put in quotes.
func ParseAction(text string) (Action, error) {
	word, arg, colon := strings.Cut(text, ":")
	kind, wants, ok := kindOf(word)
	switch {
	case !ok:
		return Action{}, fmt.Errorf("%q is not an action%s", clip(text), or(nearest(word, actionWords()), "; the words are "+strings.Join(actionWords(), ", ")))
	case wants == "" && colon:
		return Action{}, fmt.Errorf("%q: nothing follows %s", clip(text), word)
	case wants != "" && arg == "":
		return Action{}, fmt.Errorf("%q: write %s:%s", clip(text), word, wants)
	}
	a := Action{Kind: kind, Arg: arg}
	if kind == Run {
		argv, err := splitWords(arg)
		if err != nil {
			return Action{}, err
		}
		a = Action{Kind: kind, Argv: argv}
	}
	return a, checkArg(kind, a.Arg, a.Argv)
}

// RunAction is the action of running exactly these words.
func RunAction(argv []string) Action { return Action{Kind: Run, Argv: argv} }

// String gives the word that ParseAction reads.
func (a Action) String() string {
	switch {
	case a.Kind == Run:
		return "run:" + joinWords(a.Argv)
	case a.Arg == "":
		return a.Kind.Word()
	}
	return a.Kind.Word() + ":" + a.Arg
}

func checkArg(k Kind, arg string, argv []string) error {
	switch k {
	case Shell:
		return checkLogin(arg)
	case Run:
		return checkArgv(argv)
	case FilesRead, FilesWrite:
		return checkPath(arg)
	case Ports:
		return checkHostPort(arg)
	case Web:
		return checkPage(arg)
	}
	return nil
}

func checkLogin(s string) error {
	bad := s == "" || len(s) > 32 || s[0] == '-' || s[0] == '.'
	for _, r := range s {
		bad = bad || !wordRune(r)
	}
	if bad {
		return fmt.Errorf("%q is not a login name: 1 to 32 characters of a-z, A-Z, 0-9, _ . -", clip(s))
	}
	return nil
}

func checkArgv(argv []string) error {
	if len(argv) == 0 || checkPath(argv[0]) != nil {
		return fmt.Errorf("a command begins with an absolute path, with neither . nor .. in it")
	}
	for _, w := range argv {
		if strings.ContainsFunc(w, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return fmt.Errorf("%q holds a control character", clip(w))
		}
	}
	return nil
}

func checkPath(s string) error {
	if !strings.HasPrefix(s, "/") || path.Clean(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return fmt.Errorf("%q is not an absolute path without //, . or .. and without a slash at its end", clip(s))
	}
	return nil
}

// checkHostPort wants exactly one spelling of an address, so that an alias of a listed one is not it.
func checkHostPort(s string) error {
	i := strings.LastIndexByte(s, ':')
	if i < 1 {
		return fmt.Errorf("%q: write HOST:PORT", clip(s))
	}
	host, port := s[:i], s[i+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q: a port is a number from 1 to 65535", clip(s))
	}
	if !hostName(host) && !hostAddr(host) {
		return fmt.Errorf("%q: write the host as a lower-case name, as 192.0.2.1, or as [2001:db8::1]", clip(s))
	}
	return nil
}

func hostAddr(host string) bool {
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	a, err := netip.ParseAddr(bare)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return false
	}
	return a.Is4() && host == a.String() || a.Is6() && host == "["+a.String()+"]"
}

// hostName wants a name with a letter in its last label: 127.1, 0x7f000001 and their like are addresses in disguise.
func hostName(host string) bool {
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, r := range l {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return len(host) <= 253 && last[0] >= 'a' && last[0] <= 'z'
}

func checkPage(s string) error {
	bad := s == "" || len(s) > 63
	for _, r := range s {
		bad = bad || !wordRune(r)
	}
	if bad {
		return fmt.Errorf("%q is not a page name: 1 to 63 characters of a-z, A-Z, 0-9, _ . -", clip(s))
	}
	return nil
}

func wordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-'
}

// splitWords reads words separated by spaces; a word in single quotes holds anything but a single quote,
// which is written as a POSIX shell wants it: quote, backslash, quote, quote.
func splitWords(s string) ([]string, error) {
	var out []string
	var b strings.Builder
	in, open := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			open, in = !open, true
		case c == '\\' && !open && i+1 < len(s) && s[i+1] == '\'':
			b.WriteByte('\'')
			i, in = i+1, true
		case c == ' ' && !open:
			if in {
				out = append(out, b.String())
			}
			b.Reset()
			in = false
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if open {
		return nil, fmt.Errorf("%q: a quote is not closed", clip(s))
	}
	if in {
		out = append(out, b.String())
	}
	return out, nil
}

func joinWords(argv []string) string {
	out := slices.Clone(argv)
	for i, w := range out {
		if w == "" || strings.ContainsAny(w, " '\\") {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
