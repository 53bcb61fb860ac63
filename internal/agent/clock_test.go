package agent_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent"
)

var (
	in1970 = time.Unix(0, 0)
	in2040 = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
)

// wallClock is the device's own clock, which a test sets. Only the test build of the agent looks at it.
type wallClock struct {
	t    *testing.T
	path string
}

func newWallClock(t *testing.T, at time.Time) *wallClock {
	c := &wallClock{t: t, path: filepath.Join(t.TempDir(), "wall")}
	c.set(at)
	return c
}

func (c *wallClock) set(at time.Time) {
	c.t.Helper()
	if err := os.WriteFile(c.path+".new", []byte(strconv.FormatInt(at.Unix(), 10)), 0o644); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(c.path+".new", c.path); err != nil {
		c.t.Fatal(err)
	}
}

func (c *wallClock) env() []string { return []string{"SALLYPORT_TEST_WALL=" + c.path} }

// deviceStatus is what `sallyport-agent status` says.
func (d *device) status() (st agent.Status) {
	d.t.Helper()
	out, _ := d.run("status", "--json")
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
	return st
}

// A device that was enrolled with the right clock loses it: a dead battery puts it to 1970, a mistake to 2040. The
// gateway's certificate is good for two days, so it is valid at neither.
func TestWrongClockAfterEnrolmentKeepsControlLineAndSessions(t *testing.T) {
	t.Parallel()
	g, ca := newTLSGate(t, "127.0.0.1", "localhost", time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour))
	clock := newWallClock(t, time.Now())
	d := newDevice(t)
	d.env = clock.env()
	d.enrol(g, "open", "--ca", ca)
	for _, at := range []time.Time{in1970, in2040} {
		d.kill(9)
		clock.set(at)
		d.comeBack(g)
		g.worksAt(d, at)
	}
	// The clock steps while a line and a session are up, and the agent must make a new line.
	long := g.start(wish{}).channel()
	long.exec("while read -r line; do echo \"got $line\"; done")
	for _, at := range []time.Time{in1970, time.Now().Add(-time.Hour)} {
		clock.set(at)
		before := g.online()
		g.cut()
		for end := time.Now().Add(time.Minute); g.online() == before; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("clock at %s: the control line did not come back", at)
			}
		}
		long.ch.Write([]byte("it\n"))
		long.expect(t, "got it")
		g.worksAt(d, at)
	}
}

// worksAt checks a session, the time that the device uses, and the messages for people, while its own clock is wrong.
func (g *gate) worksAt(d *device, wall time.Time) {
	g.t.Helper()
	p := g.start(wish{}).channel()
	p.exec("echo fine")
	if out, _ := p.finish(g.t); out != "fine\n" {
		g.t.Errorf("clock at %s: got %q", wall, out)
	}
	st := d.status()
	if st.Line == nil || time.Until(st.Line.Time).Abs() > time.Minute {
		g.t.Errorf("clock at %s: the device's time is %+v, want the gateway's", wall, st.Line)
		return
	}
	skew, err := time.ParseDuration(st.Line.Skew)
	if err != nil || (skew-time.Until(wall)).Abs() > time.Minute {
		g.t.Errorf("clock at %s: got a skew of %s (%v)", wall, st.Line.Skew, err)
	}
	out, _ := d.run("doctor")
	if !strings.Contains(out, "which does no harm here") || !strings.Contains(out, "a gateway answers") {
		g.t.Errorf("clock at %s: doctor says\n%s", wall, out)
	}
}

// Enrolment works with a clock at 1970 or 2040, because the certificate is also tried at the start of its validity.
func TestEnrolmentWorksWithAWrongClock(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{in1970, in2040} {
		g, ca := newTLSGate(t, "127.0.0.1", "localhost", time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour))
		d := newDevice(t)
		d.env = newWallClock(t, at).env()
		d.enrol(g, "open", "--ca", ca)
		g.worksAt(d, at)
	}
}

// The leniency has a floor: a certificate that ended before this program was built, or before the last signed status,
// stays refused, however the clock is set.
func TestExpiredCertificateIsRefusedAtEveryClock(t *testing.T) {
	t.Parallel()
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{in1970, old.AddDate(0, 6, 0), time.Now(), in2040} {
		g, ca := newTLSGate(t, "127.0.0.1", "localhost", old, old.AddDate(1, 0, 0))
		d := newDevice(t)
		d.env = newWallClock(t, at).env()
		out, code := d.run("enroll", g.code.String(), "--preset", "open", "--ephemeral", "--ca", ca, "--no-wait")
		if code == 0 || !strings.Contains(out, "expired") {
			t.Errorf("clock at %s: exit %d: %s", at, code, out)
		}
	}
}
