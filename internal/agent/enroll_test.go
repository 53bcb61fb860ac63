package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
)

func TestEnrolPrintsEachStepAndWaitsToBeAdmitted(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	g.mu.Lock()
	g.state = wire.StateWaiting
	g.mu.Unlock()
	d := newDevice(t)
	go func() {
		<-g.waited
		g.mu.Lock()
		g.state = wire.StateOK
		g.mu.Unlock()
	}()
	out, code := d.run("enroll", g.code.String(), "--preset", "office-hours", "--ephemeral")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	for _, want := range []string{"state directory", "own key          SHA256:", "owner's rules", "preset office-hours", "reach", "gateway key", "trust bundle", "name             press-1", "clock            right", "waiting", "admitted"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	for name, mode := range map[string]os.FileMode{".": 0o700, "host_key": 0o600, "noise_key": 0o600, "bundle.json": 0o600, "owner.toml": 0o644} {
		st, err := os.Stat(filepath.Join(d.dir, name))
		if err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: got %v, %v; want mode %o", name, st, err, mode)
		}
	}
	if out, code := d.run("status", "--json"); code != 0 || !strings.Contains(out, `"name": "press-1"`) || !strings.Contains(out, `"running": false`) {
		t.Errorf("status: exit %d: %s", code, out)
	}
}

func TestAnEnrolmentThatCannotBeTrustedIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for _, c := range []struct {
		what string
		code func(wire.JoinCode) wire.JoinCode
		exit int
		text string
	}{
		{"a wrong secret", func(c wire.JoinCode) wire.JoinCode { c.Secret[0] ^= 1; return c }, 77, "not known"},
		{"another gateway's key", func(c wire.JoinCode) wire.JoinCode { c.Noise[0] ^= 1; return c }, 1, "did not prove"},
		{"another bundle", func(c wire.JoinCode) wire.JoinCode { c.Bundle[0] ^= 1; return c }, 77, "another trust bundle"},
		{"nobody there", func(c wire.JoinCode) wire.JoinCode { c.URL = "http://127.0.0.1:1"; return c }, 1, "nothing listens"},
	} {
		d := newDevice(t)
		out, code := d.run("enroll", c.code(g.code).String(), "--preset", "open", "--ephemeral")
		if code != c.exit || !strings.Contains(out, c.text) {
			t.Errorf("%s: exit %d: %s; want %d and %q", c.what, code, out, c.exit, c.text)
		}
		if out, code := d.run("run", "--ephemeral"); code == 0 || !strings.Contains(out, "not enrolled") {
			t.Errorf("%s: run: exit %d: %s", c.what, code, out)
		}
	}
	d := newDevice(t)
	for args, exit := range map[string]int{"enroll": 2, "enroll sp1-x": 2, "nonsense": 2, "run --nonsense": 2, "status extra": 2, "consent list": 0, "consent allow x": 1, "help": 0} {
		if out, code := d.run(strings.Fields(args)...); code != exit {
			t.Errorf("%s: exit %d, want %d: %s", args, code, exit, out)
		}
	}
}

func TestWhatIsAskedWronglyIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{g.code.String(), "--preset", "wrong"}, []string{`"wrong" is not a preset`, "The presets are locked, ask, office-hours, open."}},
		{nil, []string{"the join code is missing", "sallyport enroll-token create", "Machines, New join code"}},
		{[]string{""}, []string{"the join code is missing"}},
		{[]string{"sp1-x"}, []string{"join code"}},
		{[]string{g.code.String(), "sp1-x"}, []string{`"sp1-x"`, "one join code"}},
	} {
		d := newDevice(t)
		out, code := d.run(append([]string{"enroll", "--ephemeral"}, c.args...)...)
		if code != 2 {
			t.Errorf("%q: got exit %d, want 2", c.args, code)
		}
		for _, w := range c.words {
			if !strings.Contains(out, w) {
				t.Errorf("%q: no %q in %s", c.args, w, out)
			}
		}
		if _, err := os.Stat(d.dir); !os.IsNotExist(err) {
			t.Errorf("%q: got a state directory (%v), want that nothing was made", c.args, err)
		}
	}
}

func TestAProgramSaysItsVersion(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"--version", "version"} {
		out, code := newDevice(t).run(arg)
		if code != 0 || !strings.HasPrefix(out, "sallyport-agent ") || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: exit %d: %q", arg, code, out)
		}
	}
}

func TestTheStateMayNotLieInMemory(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "sallyport-test")
	if err != nil {
		t.Fatalf("no tmpfs at /dev/shm to try it on: %v", err)
	}
	defer os.RemoveAll(dir)
	g := newGate(t)
	d := newDevice(t)
	d.dir = dir
	if out, code := d.run("enroll", g.code.String(), "--no-wait"); code != 1 || !strings.Contains(out, "--ephemeral") {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, code := d.run("enroll", g.code.String(), "--no-wait", "--ephemeral"); code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, _ := d.run("status"); !strings.Contains(out, "lies on tmpfs") {
		t.Errorf("status does not say it: %s", out)
	}
}

func TestOnlyALaterBundleOfTheSameRootIsTaken(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	line := g.online()
	next, gone := newSigner(), g.ca
	g.mu.Lock()
	g.serial = 2
	mine := g.root
	g.root = newSigner()
	foreign := g.makeBundle(nil)
	g.root = mine
	both := g.makeBundle(func(b *wire.Bundle) {
		b.SessionCA = []wire.PublicKey{{PublicKey: gone.PublicKey()}, {PublicKey: next.PublicKey()}}
	})
	g.serial = 1
	stale := g.makeBundle(func(b *wire.Bundle) { b.SessionCA = []wire.PublicKey{{PublicKey: next.PublicKey()}} })
	g.mu.Unlock()
	for _, b := range []wire.Signed{foreign, stale} {
		line.SendMsg(wire.BundleMsg{T: wire.TypeBundle, Bundle: b}, time.Second)
	}
	g.refuses(d, "a CA of no bundle", g.order(wish{ca: next}), "pass")
	line.SendMsg(wire.BundleMsg{T: wire.TypeBundle, Bundle: both}, time.Second)
	if m, ok := g.send(g.order(wish{ca: next})).(wire.Accepted); !ok {
		t.Errorf("the new CA is refused: %+v", m)
	}
}

func TestOnlyOneAgentWorksOnAState(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	if out, code := d.run("run", "--ephemeral"); code != 1 || !strings.Contains(out, "another agent") {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, code := d.run("doctor"); code > 1 || !strings.Contains(out, "a gateway answers") {
		t.Errorf("doctor: exit %d: %s", code, out)
	}
	if out, code := d.run("status"); code != 0 || !strings.Contains(out, "online at "+g.host) {
		t.Errorf("status: exit %d: %s", code, out)
	}
}

func TestTheAgentComesBackAfterALostLine(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	before := g.online()
	g.cut()
	for range 6000 {
		g.mu.Lock()
		l := g.line
		g.mu.Unlock()
		if l != nil && l != before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("did not come back within a minute")
}
