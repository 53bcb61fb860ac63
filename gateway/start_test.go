package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// witness keeps what a device is asked, each with the notes that the record has at that moment.
type witness struct {
	mu    sync.Mutex
	asked []string
	notes [][]string
}

func (h *house) watch() *witness {
	w := &witness{}
	h.dev.asked = func(kind string, payload []byte) {
		rows, _, err := h.db.Sessions(context.Background(), store.SessionFilter{})
		if err != nil || len(rows) != 1 {
			h.t.Errorf("%s came in %d sessions, %v", kind, len(rows), err)
			return
		}
		notes := h.notes(rows[0].ID)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, said(kind, payload))
		w.notes = append(w.notes, notes)
	}
	return w
}

// said is a request in words.
func said(kind string, payload []byte) string {
	switch kind {
	case "env":
		var v wire.Variable
		ssh.Unmarshal(payload, &v)
		return "env " + v.String()
	case "pty-req":
		var m struct {
			Term                      string
			Cols, Rows, Width, Height uint32
			Modes                     string
		}
		ssh.Unmarshal(payload, &m)
		return fmt.Sprintf("pty-req %s %d %d", m.Term, m.Cols, m.Rows)
	case "exec":
		var m struct{ Command string }
		ssh.Unmarshal(payload, &m)
		return "exec " + m.Command
	}
	return kind
}

const started, inputEnd = "start: channel 1 as svc; ", "input-end: the end of input was sent"

// TestWhatADeviceIsAskedIsInTheRecordBeforeItLeaves: terminal type, environment, command line and the end of input.
func TestWhatADeviceIsAskedIsInTheRecordBeforeItLeaves(t *testing.T) {
	locale := []wire.Variable{{Name: "LANG", Value: "C.UTF-8"}, {Name: "LC_TIME", Value: "de_DE.UTF-8"}}
	for name, c := range map[string]struct {
		edit  func(*gateway.Ask)
		asked []string
		start string
	}{
		"a shell in a terminal": {
			func(a *gateway.Ask) {
				a.Start.PTY, a.Start.Env = &sessionline.PTY{Term: "tmux-256color", Cols: 90, Rows: 33}, locale
			},
			[]string{"env LANG=C.UTF-8", "env LC_TIME=de_DE.UTF-8", "pty-req tmux-256color 90 33", "shell"},
			"terminal tmux-256color, 90 columns, 33 rows; LANG=C.UTF-8 LC_TIME=de_DE.UTF-8; a shell",
		},
		"a terminal of no named type": {
			func(a *gateway.Ask) { a.Start.PTY = &sessionline.PTY{Cols: 80, Rows: 24} },
			[]string{"pty-req xterm-256color 80 24", "shell"},
			"terminal xterm-256color, 80 columns, 24 rows; no environment; a shell",
		},
		"a command": {
			func(a *gateway.Ask) { a.Start.Argv, a.Start.Env = []string{"wait", "a b"}, locale[:1] },
			[]string{"env LANG=C.UTF-8", "exec wait 'a b'"},
			"no terminal; LANG=C.UTF-8; command: wait 'a b'",
		},
		"a long command": {
			func(a *gateway.Ask) { a.Start.Argv = []string{"wait", strings.Repeat("x", 31<<10)} },
			[]string{"exec wait " + strings.Repeat("x", 31<<10)},
			"no terminal; no environment; command: wait " + strings.Repeat("x", 31<<10),
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			w := h.watch()
			a := h.ask("press-1")
			c.edit(&a)
			s, _ := h.open(a)
			for range 2 { // only the first does anything
				if err := s.CloseInput(); err != nil {
					t.Error(err)
				}
			}
			s.Wait()
			if !slices.Equal(w.asked, append(c.asked, "eof")) {
				t.Errorf("the device was asked %.200q, want %.200q and the end of input", w.asked, c.asked)
			}
			for i, notes := range w.notes {
				want := []string{started + c.start}
				if w.asked[i] == "eof" {
					want = append(want, inputEnd)
				}
				if !slices.Equal(notes, want) {
					t.Errorf("when %.80q came, the record had %.300q, want %.300q", w.asked[i], notes, want)
				}
			}
		})
	}
}

func TestATerminalOrEnvironmentOfAnotherShapeIsRefusedInWords(t *testing.T) {
	h := newHouse(t)
	env := func(v ...wire.Variable) func(*gateway.Ask) { return func(a *gateway.Ask) { a.Start.Env = v } }
	term := func(s string) func(*gateway.Ask) {
		return func(a *gateway.Ask) { a.Start.PTY = &sessionline.PTY{Term: s, Cols: 80, Rows: 24} }
	}
	category := wire.Variable{Name: "LC_ALL", Value: "C"}
	for name, c := range map[string]struct {
		edit func(*gateway.Ask)
		want string
	}{
		"a terminal type of two lines": {term("x\ny"), "a terminal type has"},
		"a terminal type that steers":  {term("\x1b[2J"), "a terminal type has"},
		"a long terminal type":         {term(strings.Repeat("x", 65)), "a terminal type has"},
		"a language that is a path":    {env(wire.Variable{Name: "LANG", Value: "/tmp/x"}), "LANG has"},
		"a long language":              {env(wire.Variable{Name: "LANG", Value: strings.Repeat("x", 65)}), "LANG has"},
		"an empty category":            {env(wire.Variable{Name: "LC_ALL"}), "LC_ALL has"},
		"a library":                    {env(wire.Variable{Name: "LD_PRELOAD", Value: "x"}), "has only LANG, LC_ALL"},
		"a category twice":             {env(category, category), "twice"},
		"a command that is not text":   {func(a *gateway.Ask) { a.Start.Argv = []string{"\xc3", "\xa9"} }, "not UTF-8"},
	} {
		for _, device := range []string{"press-1", "press-2"} { // one that the policy allows, one that it does not
			a := h.ask(device)
			c.edit(&a)
			_, err := h.Ask(context.Background(), a)
			text, hint, _ := errkind.ForPeople(err)
			if errkind.KindOf(err) != errkind.Usage || !strings.Contains(text, c.want) || hint == "" {
				t.Errorf("%s on %s: got %v, want a usage error with %q and what to do", name, device, err, c.want)
			}
		}
	}
	rows, _, err := h.db.Sessions(context.Background(), store.SessionFilter{})
	if err != nil || len(rows) != 0 || h.dev.dials() != 0 {
		t.Errorf("got %d rows and %d dials, %v; want none: no policy was asked", len(rows), h.dev.dials(), err)
	}
}
