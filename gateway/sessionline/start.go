package sessionline

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/internal/argv"
	"github.com/sallyport/sallyport/internal/wire"
)

// Start says what a channel starts: a shell or a command, with or without a terminal.
type Start struct {
	Argv []string // a command; empty: a shell
	PTY  *PTY
	Env  []wire.Variable // LANG and LC_*, each at most once
}

// PTY asks for a terminal.
type PTY struct {
	Term       string // empty: wire.DefaultTerm
	Cols, Rows int
}

// Type gives the terminal type that is sent to the device.
func (p *PTY) Type() string { return cmp.Or(p.Term, wire.DefaultTerm) }

// Size bounds of a terminal, in columns and rows.
const (
	MaxCols = 500
	MaxRows = 300
)

// Fits reports whether a terminal may have this size.
func Fits(cols, rows int) bool { return cols >= 1 && cols <= MaxCols && rows >= 1 && rows <= MaxRows }

// kind gives the SSH request that starts the program, and its payload (RFC 4254 section 6.5).
func (s *Start) kind() (kind string, message any) {
	if len(s.Argv) == 0 {
		return "shell", nil
	}
	return "exec", struct{ Command string }{argv.Line(s.Argv)}
}

func (s *Start) size() (cols, rows uint16) {
	if s.PTY == nil {
		return 0, 0
	}
	return uint16(s.PTY.Cols), uint16(s.PTY.Rows)
}

// text gives the line that is recorded.
func (s *Start) text(channel uint32, login string) string {
	return fmt.Sprintf("channel %d as %s; %s", channel, login, s.Words())
}

// Words says in one line what is started. The command comes last, and everything before it has a strict shape, so no
// part of the command can be mistaken for something else.
func (s *Start) Words() string {
	parts := []string{"no terminal", "no environment", "a shell"}
	if p := s.PTY; p != nil {
		parts[0] = fmt.Sprintf("terminal %s, %d columns, %d rows", p.Type(), p.Cols, p.Rows)
	}
	if len(s.Env) > 0 {
		env := make([]string, len(s.Env))
		for i, v := range s.Env {
			env[i] = v.String()
		}
		parts[1] = strings.Join(env, " ")
	}
	if len(s.Argv) > 0 {
		parts[2] = "command: " + argv.Line(s.Argv)
	}
	return strings.Join(parts, "; ")
}
