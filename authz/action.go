package authz

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

// Kind is one sort of action. The zero value is no kind.
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
	arg  string // how the argument after the colon is written; empty: the kind has none
}{
	{Shell, "shell", "LOGIN"}, {Run, "run", "LOGIN COMMAND"},
	{FilesRead, "files.read", "PATH"}, {FilesWrite, "files.write", "PATH"},
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

// Action is one thing that a person wants to do. ParseAction, RunAction and ShellAction make it.
type Action struct {
	Kind Kind
	Arg  string   // login of a shell or a command; path, host:port or page
	Argv []string // for Run: the command

	template Template // all commands of a role's template at once, with Argv nil; never in a request from outside
}

// ParseAction reads an action word: shell:root, run:svc /bin/x a b, files.read:/var/log, ports:plc.local:102,
// web:hmi, desktop.view. Words of a command that contain spaces are quoted. A login contains neither a slash nor a
// space, and a command begins with a slash, so the two cannot be confused.
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
		var err error
		if a.Arg, a.Argv, err = splitRun(arg); err != nil {
			return Action{}, err
		}
	}
	return a, checkArg(kind, a.Arg, a.Argv)
}

// splitRun splits the text after run: into the login and the command. Earlier versions wrote a command without a login.
// Such a word is no longer an action, and in a pass it permits nothing.
func splitRun(arg string) (login string, argv []string, err error) {
	if strings.HasPrefix(arg, "/") {
		return "", nil, fmt.Errorf("%q names no login: write run:LOGIN COMMAND, such as %q",
			clip("run:"+arg), clip("run:svc "+arg))
	}
	login, command, _ := strings.Cut(arg, " ")
	argv, err = splitWords(command)
	return login, argv, err
}

// RunAction is the action of running a command with exactly these words as a login.
func RunAction(login string, argv []string) Action { return Action{Kind: Run, Arg: login, Argv: argv} }

// ShellAction is the action of opening a shell as a login.
func ShellAction(login string) Action { return Action{Kind: Shell, Arg: login} }

// Login gives the login that the action names; empty for kinds that name none.
func (a *Action) Login() string {
	if a.Kind&(Shell|Run) == 0 {
		return ""
	}
	return a.Arg
}

// String gives the word that ParseAction reads.
func (a Action) String() string {
	switch {
	case a.Kind == Run:
		return "run:" + a.Arg + " " + a.command()
	case a.Arg == "":
		return a.Kind.Word()
	}
	return a.Kind.Word() + ":" + a.Arg
}

// command gives the command line of a command or a template.
func (a *Action) command() string {
	if a.template != nil {
		return a.template.String()
	}
	return joinWords(a.Argv)
}

// fits reports whether t matches the command, or every command of the action's template.
func (a *Action) fits(t Template) bool {
	if a.template != nil {
		return t.covers(a.template)
	}
	return t.fits(a.Argv)
}

func checkArg(k Kind, arg string, argv []string) error {
	switch k {
	case Shell:
		return checkLogin(arg)
	case Run:
		if err := checkLogin(arg); err != nil {
			return err
		}
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

// checkHostPort accepts exactly one spelling of an address, so that no alias can be mistaken for another address.
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

// hostName accepts a name with a letter in its last label. Without one, names such as 127.1 are addresses in disguise.
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

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
