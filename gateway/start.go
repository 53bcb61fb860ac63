package gateway

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// checkShapes refuses a terminal type or an environment that no device takes, in words.
func checkShapes(a *Ask) error {
	if a.PTY != nil {
		if err := wire.CheckTerm(a.PTY.term()); err != nil {
			return errkind.New(errkind.Usage, err.Error()).WithHint("Set TERM=" + wire.DefaultTerm + " and ask again.")
		}
	}
	if !utf8.ValidString(strings.Join(a.Argv, " ")) {
		return errkind.New(errkind.Usage, "the command is not UTF-8, so the record could not hold it as it is").
			WithHint("Give the command what is not text on its standard input.")
	}
	if err := wire.CheckLocale(a.Env); err != nil {
		return errkind.New(errkind.Usage, err.Error()).
			WithHint("Set LANG=" + wire.DefaultLocale + ", unset what is not listed, and ask again.")
	}
	return nil
}

func (p *PTY) term() string { return cmp.Or(p.Term, wire.DefaultTerm) }

// recordStart puts into the record what the gateway is about to ask of the device. It is durable before any of it
// leaves, and it is the gateway's own knowledge: what the device says that it started comes beside it.
func (s *Session) recordStart() error {
	var cols, rows uint16
	if p := s.ask.PTY; p != nil {
		cols, rows = uint16(p.Cols), uint16(p.Rows)
	}
	return s.rec.Start(channel, cols, rows, s.startText())
}

// startText is one line. All before the command has a strict shape, and the command comes last, so that nothing in it
// can be taken for anything else.
func (s *Session) startText() string {
	parts := []string{fmt.Sprintf("channel %d as %s", channel, s.ask.Login), "no terminal", "no environment", "a shell"}
	if p := s.ask.PTY; p != nil {
		parts[1] = fmt.Sprintf("terminal %s, %d columns, %d rows", p.term(), p.Cols, p.Rows)
	}
	if len(s.ask.Env) > 0 {
		env := make([]string, len(s.ask.Env))
		for i, v := range s.ask.Env {
			env[i] = v.String()
		}
		parts[2] = strings.Join(env, " ")
	}
	if len(s.ask.Argv) > 0 {
		parts[3] = "command: " + shellQuote(s.ask.Argv)
	}
	return strings.Join(parts, "; ")
}
