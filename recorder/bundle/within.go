package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A next pass never permits more than the one before. This is the verifier's own comparison, beside those of signer,
// gateway and device: see docs/decisions/0012.

// permitted is one entry of a pass: an action or a command template.
type permitted struct {
	kind string // of the action: shell, run, files.read, …
	arg  string // the action's argument; for a command, its login
	argv []any  // of a command: a text for a literal, a number for a placeholder
}

// permits lists the entries of a grant. It reads version 2 only, because only passes of version 2 have a next pass.
func (g *grant) permits() ([]permitted, error) {
	if g.V != 2 {
		return nil, fmt.Errorf("its grant is of version %d, which has no next pass", g.V)
	}
	var out []permitted
	for _, word := range g.Actions {
		out = append(out, action(word))
	}
	for _, t := range g.Templates {
		out = append(out, permitted{"run", g.Login, t})
	}
	return out, nil
}

// action reads an action word.
func action(word string) permitted {
	kind, arg, _ := strings.Cut(word, ":")
	if kind != "run" {
		return permitted{kind: kind, arg: arg}
	}
	login, command, _ := strings.Cut(arg, " ")
	return permitted{kind, login, unquoted(command)}
}

// unquoted splits a command as a POSIX shell does: single quotes hold anything, and a backslash outside of them the
// next character.
func unquoted(command string) (out []any) {
	var word strings.Builder
	quoted, escaped := false, false
	for _, r := range command {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\'':
			quoted = !quoted
		case !quoted && r == '\\':
			escaped = true
		case !quoted && r == ' ':
			out = append(out, word.String())
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	return append(out, word.String())
}

// covers reports whether everything that q permits is permitted by p.
func (p permitted) covers(q permitted) bool {
	switch {
	case p.kind != q.kind:
		return false
	case p.kind == "files.read" || p.kind == "files.write":
		return q.arg == p.arg || strings.HasPrefix(q.arg, strings.TrimSuffix(p.arg, "/")+"/")
	case p.kind != "run":
		return p.arg == q.arg
	}
	return p.arg == q.arg && slices.EqualFunc(p.argv, q.argv, coversWord)
}

// The numbers of placeholders in a template.
const (
	anyWord   = uint64(1)
	anyNumber = uint64(2)
)

func coversWord(wide, narrow any) bool {
	text, literal := narrow.(string)
	switch wide {
	case anyWord:
		return narrow == anyWord || narrow == anyNumber || literal && isWord(text)
	case anyNumber:
		return narrow == anyNumber || literal && isNumber(text)
	}
	return wide == narrow
}

func isWord(s string) bool {
	const rest = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	return s != "" && len(s) <= 64 && s[0] != '-' && s[0] != '.' && strings.Trim(s, rest) == ""
}

func isNumber(s string) bool { return s != "" && len(s) <= 18 && strings.Trim(s, "0123456789") == "" }

// within compares what two passes permit. A limit of 0 means no limit, which is the loosest.
func (g *grant) within(before *grant) error {
	next, err := g.permits()
	if err != nil {
		return err
	}
	old, err := before.permits()
	if err != nil {
		return err
	}
	for i, p := range next {
		if !slices.ContainsFunc(old, func(o permitted) bool { return o.covers(p) }) {
			return fmt.Errorf("it permits %q, which the pass before does not", p.named(g, i))
		}
	}
	looser := func(next, before uint64) bool { return before > 0 && (next == 0 || next > before) }
	switch {
	case looser(g.Idle, before.Idle) || looser(g.RecordBytes, before.RecordBytes) || looser(g.AtOnce, before.AtOnce):
		return errors.New("it has a looser limit than the pass before")
	case before.Attended && !g.Attended || before.Emergency && !g.Emergency:
		return errors.New("it drops a mark of the pass before")
	}
	return nil
}

// named gives an entry of the grant for people.
func (p permitted) named(g *grant, i int) string {
	if words, err := g.words(); err == nil && i < len(words) {
		return words[i]
	}
	return p.kind
}
