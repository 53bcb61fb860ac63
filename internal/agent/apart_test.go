package agent_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/agent/proc"
)

// reaches reports whether a session as a login can signal a process of another session under it.
func (g *gate) reaches(t *testing.T, login string) bool {
	t.Helper()
	first, second := g.start(wish{login: login}).channel(), g.start(wish{login: login}).channel()
	first.exec("sleep 300 >/dev/null 2>&1 & echo $! end; wait")
	pid := strings.TrimSpace(strings.TrimSuffix(first.expect(t, " end"), " end"))
	second.exec("kill -0 " + pid + " && echo reached")
	out, _ := second.finish(t)
	return strings.Contains(out, "reached")
}

// TestSessionsAreKeptApartUnlessTheOwnerAllows: not those as root, who has other ways to every process.
func TestSessionsAreKeptApartUnlessTheOwnerAllows(t *testing.T) {
	t.Parallel()
	if err := proc.CanKeepApart(); err != nil {
		t.Logf("not run: %v", err)
		return
	}
	g := newGate(t)
	d := newDevice(t)
	d.args = append(d.args, "--shell", "/bin/sh")
	d.enrol(g, "open")
	if g.reaches(t, "nobody") {
		t.Error("a session reaches another one under its login")
	}
	if !g.reaches(t, "root") {
		t.Error("a session as root does not reach another one")
	}
	d.owner("format = 1\npreset = \"open\"\nprocesses = \"machine\"\n")
	if !g.reaches(t, "nobody") {
		t.Error("a session is kept apart, and the owner allows more")
	}
	if out, _ := d.run("status"); strings.Contains(out, "sessions under one login") {
		t.Errorf("the status says of a machine that keeps sessions apart\n%s", out)
	}
}
