package authz

import (
	"fmt"
	"slices"
	"strings"
)

// LoadStored reads the policy in force, which an earlier version of this program may have stored. A run without logins
// and a role that is too large for a pass, which Load refuses, are read as giving nothing and are listed by Ignored: an
// upgrade neither widens a policy nor stops a gateway or a signer from starting.
func LoadStored(files ...File) (*Policy, Problems) { return load(files, asStored) }

// LoadPast reads a policy with the meaning that it had when it was in force, so that history reads as it was: a run
// without logins gave its commands as every login. It is not for decisions about the present.
func LoadPast(files ...File) (*Policy, Problems) { return load(files, asPast) }

// reading says how to read a run without logins.
type reading uint8

const (
	asNew    reading = iota // a problem
	asStored                // nothing
	asPast                  // every login
)

// Ignored lists what LoadStored read as giving nothing, with what to write instead; nil for a policy of Load.
func (p *Policy) Ignored() Problems {
	if p == nil {
		return nil
	}
	return slices.Clone(p.ignored)
}

// withoutLogin reads commands without a login. They would be permitted as every login, root included.
func (l *loader) withoutLogin(t *table, n *node, r *role, commands []Template) {
	if len(commands) == 0 {
		return // reported
	}
	if l.how == asPast {
		for _, c := range commands {
			r.add(Pattern{kinds: Run, run: c, everyLogin: true})
		}
		return
	}
	r.ignored = "its commands name no login, so they are refused"
	into := t.out
	if l.how == asStored {
		into = &l.p.ignored
	}
	*into = append(*into, Problem{File: t.file, Line: n.line, Write: r.runWithLogin(commands),
		Text: fmt.Sprintf("role %q: run has no \"as\", so its commands would be allowed as every login", clip(r.name))})
}

// runWithLogin writes a corrected run, with the logins of the role's shell, or otherwise with an example login.
func (r *role) runWithLogin(commands []Template) string {
	var logins []string
	for i := range r.gives {
		if r.gives[i].kinds == Shell {
			logins = append(logins, r.gives[i].arg)
		}
	}
	if len(logins) == 0 {
		logins = []string{"svc"}
	}
	argv := make([]string, len(commands))
	for i, c := range commands {
		words := make([]string, len(c))
		for j, w := range c {
			words[j] = w.inPolicy()
		}
		argv[i] = "[" + quoted(words) + "]"
	}
	return fmt.Sprintf("run = { as = [%s], argv = [%s] }, with those logins that need it",
		quoted(logins), strings.Join(argv, ", "))
}

// ParsePastAction reads the action word of a decision that was stored, perhaps by an earlier version, which wrote a
// command without the login of its session.
func ParsePastAction(word, login string) (Action, error) {
	if command, ok := strings.CutPrefix(word, Run.Word()+":/"); ok {
		word = Run.Word() + ":" + login + " /" + command
	}
	return ParseAction(word)
}
