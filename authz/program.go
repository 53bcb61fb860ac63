package authz

import (
	"fmt"
	"strings"
	"time"
)

// Program is a program to start on a device as a login.
type Program struct {
	Login    string
	Argv     []string // a command; empty: a shell
	Terminal bool     // with a terminal
}

// SplitCommand reads the words of a command line without substitution, as the string form of a command writes them.
// The words are nil if the line is not written that way: then only a shell can run it.
func SplitCommand(line string) []string {
	argv, err := splitWords(line)
	if err != nil {
		return nil
	}
	return argv
}

// exact reports whether the program can be an exact command. Those run without a terminal: a program that was
// reviewed as a command may offer more at a terminal, such as a pager that starts a shell.
func (p Program) exact() bool { return len(p.Argv) > 0 && !p.Terminal }

// ActionFor gives the action by which a program may start: the exact command if may allows it, and otherwise the shell
// of the login. Gateway, signer and device all choose by this function, so they cannot choose differently. It calls may
// last with the action that it returns. It returns false if neither is allowed.
func ActionFor(p Program, may func(Action) bool) (Action, bool) {
	if p.exact() {
		if a := RunAction(p.Login, p.Argv); may(a) {
			return a, true
		}
	}
	a := ShellAction(p.Login)
	return a, may(a)
}

// DecideProgram decides by which action a program may start. It ignores the request's own action. A refusal is about
// the shell, unless the way to the exact command is nearer.
func DecideProgram(s *Snapshot, r Request, p Program, now time.Time) (Action, Decision) {
	var last, command Decision
	a, ok := ActionFor(p, func(a Action) bool {
		command, r.Action = last, a
		last = Decide(s, r, now)
		return last.Allowed
	})
	if !ok && p.exact() && command.nearer(&last) {
		return command.asked.Action, command
	}
	return a, last
}

// nearer reports whether there is a way in for the refused command and none for the refused shell. The command then
// fits a role, so the action that is stored and shown has no words that only the caller chose.
func (d *Decision) nearer(shell *Decision) bool {
	if shell.Reason != NoRule || d.snap == nil || d.snap.Policy == nil {
		return false
	}
	p := d.snap.Policy
	return d.Reason == OutsideHours || d.Reason == RequirementOpen || len(shell.ways(p)) == 0 && (len(d.ways(p)) > 0 || len(d.instead(p)) > 0)
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
	out := make([]string, len(argv))
	for i, w := range argv {
		out[i] = quoteWord(w)
	}
	return strings.Join(out, " ")
}

// quoteWord writes one word of a command. Braces are quoted, so that no literal reads as a placeholder.
func quoteWord(w string) string {
	if w == "" || strings.ContainsAny(w, ` '\{}`) {
		return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return w
}
