package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/sallyport/sallyport/internal/client"
)

// local is our own terminal; nil where stdin is none.
type local struct{ in, out int }

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func localTerminal(a *app) *local {
	in, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	l := &local{in: int(in.Fd()), out: int(in.Fd())}
	if out, ok := a.stdout.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		l.out = int(out.Fd())
	}
	return l
}

// size gives columns and rows, within what a session may have.
func (l *local) size() (cols, rows int) {
	cols, rows = 80, 24
	if l != nil {
		if c, r, err := term.GetSize(l.out); err == nil && c > 0 && r > 0 {
			cols, rows = c, r
		}
	}
	return min(cols, 500), min(rows, 300)
}

func (l *local) raw() (restore func(), err error) {
	old, err := term.MakeRaw(l.in)
	if err != nil {
		return nil, err
	}
	return func() { term.Restore(l.in, old) }, nil
}

// follow keeps the session's terminal as large as ours.
func (l *local) follow(t *client.Terminal) (stop func()) {
	ch, quit := resized()
	done := make(chan struct{})
	go func() {
		cols, rows := l.size()
		for {
			select {
			case <-done:
				return
			case <-ch:
			}
			if c, r := l.size(); c != cols || r != rows {
				cols, rows = c, r
				t.Resize(c, r)
			}
		}
	}()
	return func() { quit(); close(done) }
}

// escape finds "~." and "~+" at the beginning of a line, as ssh finds its own.
type escape struct {
	to    io.Writer
	end   func()
	more  func()
	mid   bool // not at the beginning of a line
	tilde bool // a ~ is held back
}

func (e *escape) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+1)
	for _, b := range p {
		if e.tilde {
			e.tilde = false
			if b == '.' {
				e.end()
				break
			}
			if b == '+' { // still at the beginning of a line
				e.more()
				continue
			}
			out = append(out, '~')
			if b == '~' {
				e.mid = true
				continue
			}
		} else if b == '~' && !e.mid {
			e.tilde = true
			continue
		}
		e.mid = b != '\r' && b != '\n'
		out = append(out, b)
	}
	if _, err := e.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
