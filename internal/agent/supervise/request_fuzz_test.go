package supervise

import (
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// What the gateway asks on a channel before a program runs. Nothing of it starts one.
func FuzzChannelRequest(f *testing.F) {
	f.Add("pty-req", ssh.Marshal(ptyRequest{Term: "xterm", Cols: 80, Rows: 24}))
	f.Add("pty-req", ssh.Marshal(ptyRequest{Cols: 80, Rows: 24}))
	f.Add("pty-req", ssh.Marshal(ptyRequest{Term: "x\ny", Cols: 80, Rows: 24}))
	f.Add("pty-req", ssh.Marshal(ptyRequest{Term: strings.Repeat("x", wire.MaxShape+1), Cols: 80, Rows: 24}))
	f.Add("env", ssh.Marshal(wire.Variable{Name: "LANG", Value: "C"}))
	f.Add("env", ssh.Marshal(wire.Variable{Name: "LC_TIME", Value: "de_DE.UTF-8@euro"}))
	f.Add("env", ssh.Marshal(wire.Variable{Name: "LC_", Value: "C"}))
	f.Add("env", ssh.Marshal(wire.Variable{Name: "LANG", Value: "/tmp/x"}))
	f.Add("env", ssh.Marshal(wire.Variable{Name: "LD_PRELOAD", Value: "/x"}))
	f.Add("window-change", []byte{0, 0})
	f.Add("signal", ssh.Marshal(struct{ Name string }{"TERM"}))
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		if kind == "shell" || kind == "exec" {
			return
		}
		c := &channel{s: &session{log: slog.New(slog.DiscardHandler)}}
		c.request(&ssh.Request{Type: kind, Payload: payload})
		c.request(&ssh.Request{Type: kind, Payload: payload}) // twice: a variable is taken once
		if c.run != nil || c.pty != nil && (!c.pty.fits() || wire.CheckTerm(c.pty.Term) != nil) {
			t.Errorf("%q started something or took a terminal of %+v", kind, c.pty)
		}
		if err := wire.CheckLocale(c.vars); err != nil || len(c.env) != len(c.vars) {
			t.Errorf("took the environment %q: %v", c.env, err)
		}
	})
}
