package gateway

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/argv"
	"github.com/sallyport/sallyport/internal/programtest"
	"github.com/sallyport/sallyport/internal/store"
)

// The signer and the device run the same table: internal/signer and internal/agent/supervise.
func TestTheGatewayStartsAProgramByTheActionOfTheTable(t *testing.T) {
	now := time.Now()
	b := New(Config{})
	dev := store.Device{State: store.OK, ConnectedAt: now}
	for _, c := range programtest.Cases {
		text := c.Policy()
		p, problems := authz.LoadStored(authz.File{Name: "p.toml", Text: []byte(text)})
		if p == nil {
			t.Fatalf("%s: %v\n%s", c.Name, problems, text)
		}
		a := Ask{Device: "press-1", Login: c.Program.Login, Start: sessionline.Start{Argv: c.Program.Argv},
			Person: authz.Person{Name: "Tess", Groups: []string{"technicians"}}}
		if c.Program.Terminal {
			a.Start.PTY = &sessionline.PTY{Term: "xterm", Cols: 80, Rows: 24}
		}
		action, d, refusal := b.decide(authz.NewSnapshot(p, nil), &a, dev, true, now)
		got := ""
		if d.Allowed {
			got = action.String()
		}
		if got != c.Want || (refusal == nil) != (c.Want != "") {
			t.Errorf("%s: got %q (%v), want %q", c.Name, got, refusal, c.Want)
		}
		scope, _ := d.Scope(c.Program.Login)
		if d.Allowed && !scope.Equal(c.Scope()) {
			t.Errorf("%s: the session may do %q, want %q", c.Name, scope.Words(), c.Scope().Words())
		}
		for _, f := range append([]programtest.Further{{Program: c.Program, Line: c.Line, Want: c.Want}}, c.Further...) {
			if a, ok := authz.ActionFor(f.Program, scope.Covers); ok != (f.Want != "") || ok && a.String() != f.Want {
				t.Errorf("%s: %q in the same session: got %s, %v, want %q", c.Name, f.Program.Argv, a, ok, f.Want)
			}
			if line := argv.Line(f.Program.Argv); line != f.Line {
				t.Errorf("%s: the device is sent %q, want %q", c.Name, line, f.Line)
			}
		}
	}
}
