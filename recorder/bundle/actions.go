package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Each action and each template of a pass has one spelling (docs/protocol.md, section 9). The verifier has this
// reader of its own, so that it does not repeat a mistake of the one that signer, gateway and device use
// (docs/decisions/0012).

// words returns the actions of the pass, and its templates as action words with {word} and {number} for placeholders.
// In both, a literal with braces is in quotes.
func (g *grant) words() ([]string, error) {
	out := slices.Clone(g.Actions)
	for _, t := range g.Templates {
		word, err := g.templateWords(t)
		if err != nil {
			return nil, err
		}
		out = append(out, word)
	}
	return out, nil
}

// templateWords writes a template as an action word.
func (g *grant) templateWords(t []any) (string, error) {
	words := make([]string, len(t))
	for i, w := range t {
		var err error
		if words[i], err = templateWord(w); err != nil {
			return "", err
		}
	}
	return "run:" + g.Login + " " + strings.Join(words, " "), nil
}

func templateWord(word any) (string, error) {
	switch word {
	case anyWord:
		return "{word}", nil
	case anyNumber:
		return "{number}", nil
	}
	text, ok := word.(string)
	if !ok {
		return "", errors.New("a word of a template is neither a text nor a known placeholder")
	}
	return quoted(text), nil
}

// quoted writes a word of a command. Only what needs quotes has them.
func quoted(word string) string {
	if word == "" || strings.ContainsAny(word, ` '\{}`) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// checkAction checks that an action is one that this version knows, in its one spelling, and as the grant's login.
func (g *grant) checkAction(word string) error {
	if !plainText(word) {
		return errors.New("it is not plain text of at most 500 bytes")
	}
	kind, arg, _ := strings.Cut(word, ":")
	ok := false
	switch kind {
	case "shell":
		ok = arg == g.Login
	case "run":
		login, command, _ := strings.Cut(arg, " ")
		ok = login == g.Login && isCommand(command)
	case "files.read", "files.write":
		ok = isPath(arg)
	case "ports":
		ok = isHostPort(arg)
	case "web":
		ok = isWordOf(arg, 63)
	case "desktop.view", "desktop.control":
		ok = word == kind
	default:
		return fmt.Errorf("%.60q is of an unknown kind", word)
	}
	if !ok {
		return fmt.Errorf("%.60q is not the one spelling of an action as %s", word, g.Login)
	}
	return nil
}

// isCommand reports whether a command line begins with a path and is quoted only where it must be.
func isCommand(line string) bool {
	argv := unquoted(line)
	again := make([]string, len(argv))
	for i, w := range argv {
		text, _ := w.(string)
		again[i] = quoted(text)
	}
	first, _ := argv[0].(string)
	return strings.Join(again, " ") == line && isPath(first)
}

// checkTemplate checks a template. Its words must be literals and placeholders that this version knows, with at least
// one placeholder.
func (g *grant) checkTemplate(t []any) error {
	word, err := g.templateWords(t)
	if err != nil {
		return err
	}
	first := ""
	if len(t) > 0 {
		first, _ = t[0].(string)
	}
	switch {
	case !plainText(word):
		return errors.New("as an action word it is not plain text of at most 500 bytes")
	case !isPath(first):
		return errors.New("it does not begin with a path")
	case !slices.ContainsFunc(t, func(w any) bool { return w == anyWord || w == anyNumber }):
		return errors.New("it has no placeholder, so it is an action")
	}
	return nil
}

// compareWords orders the words of templates: placeholders by number, then literals by their bytes.
func compareWords(a, b any) int {
	x, literalX := a.(string)
	y, literalY := b.(string)
	switch {
	case literalX && literalY:
		return cmp.Compare(x, y)
	case literalX:
		return 1
	case literalY:
		return -1
	}
	n, _ := a.(uint64)
	m, _ := b.(uint64)
	return cmp.Compare(n, m)
}

func isLogin(s string) bool { return isWordOf(s, 32) && s[0] != '-' && s[0] != '.' }

// isWordOf reports whether s is 1 to most characters of logins and pages.
func isWordOf(s string, most int) bool {
	const all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	return s != "" && len(s) <= most && strings.Trim(s, all) == ""
}

func isPath(s string) bool { return strings.HasPrefix(s, "/") && path.Clean(s) == s }

// isHostPort accepts one spelling of an address: a lower-case name, an IPv4 address, or an IPv6 address in brackets.
func isHostPort(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 1 {
		return false
	}
	host := s[:i]
	if !isPort(s[i+1:]) {
		return false
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if err != nil {
		return isHostName(host)
	}
	if a.Is6() {
		return a.Zone() == "" && !a.Is4In6() && host == "["+a.String()+"]"
	}
	return host == a.String()
}

func isHostName(host string) bool {
	const all = "abcdefghijklmnopqrstuvwxyz0123456789-"
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, all) != "" {
			return false
		}
	}
	last := labels[len(labels)-1][0]
	return len(host) <= 253 && last >= 'a' && last <= 'z'
}
