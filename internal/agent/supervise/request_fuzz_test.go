package supervise

import (
	"log/slog"
	"testing"

	"golang.org/x/crypto/ssh"
)

// What the gateway asks on a channel before a program runs. Nothing of it starts one.
func FuzzChannelRequest(f *testing.F) {
	f.Add("pty-req", ssh.Marshal(ptyRequest{Term: "xterm", Cols: 80, Rows: 24}))
	f.Add("env", ssh.Marshal(struct{ Name, Value string }{"LANG", "C"}))
	f.Add("env", ssh.Marshal(struct{ Name, Value string }{"LD_PRELOAD", "/x"}))
	f.Add("window-change", []byte{0, 0})
	f.Add("signal", ssh.Marshal(struct{ Name string }{"TERM"}))
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		if kind == "shell" || kind == "exec" {
			return
		}
		c := &channel{s: &session{log: slog.New(slog.DiscardHandler)}}
		c.request(&ssh.Request{Type: kind, Payload: payload})
		if c.run != nil || c.pty != nil && !c.pty.fits() {
			t.Errorf("%q started something or took a terminal of %+v", kind, c.pty)
		}
		for _, e := range c.env {
			if e[:4] != "LANG" && e[:3] != "LC_" {
				t.Errorf("took the variable %q", e)
			}
		}
	})
}
