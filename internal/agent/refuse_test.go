package agent_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// refuses sends an order and wants exactly this clause: no session line dialled, no session begun.
func (g *gate) refuses(d *device, what string, o order, clause string) {
	g.t.Helper()
	m, ok := g.send(o).(wire.Refuse)
	switch {
	case !ok:
		g.t.Errorf("%s: accepted", what)
		return
	case m.Clause != clause:
		g.t.Errorf("%s: refused by %q (%s), want %q", what, m.Clause, m.Text, clause)
	case !wire.PlainText(m.Text, wire.MaxGrantText) || m.Text == "":
		g.t.Errorf("%s: text for people is %q", what, m.Text)
	}
	if ws := g.dialled(o, 50*time.Millisecond); ws != nil {
		g.t.Errorf("%s: dialled although refused", what)
	}
	if out, _ := d.run("sessions", "--json"); strings.TrimSpace(out) != "[]" {
		g.t.Errorf("%s: a session is there: %s", what, out)
	}
}

// TestAnEndOfWhatIsNotHereIsNoFault: the gateway ends what the owner's rules have refused already, and what has ended by itself.
func TestAnEndOfWhatIsNotHereIsNoFault(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "locked")
	o := g.order(wish{})
	g.refuses(d, "a shell on a locked machine", o, "owner.shell")
	g.online().SendMsg(wire.End{T: wire.TypeEnd, Session: o.open.Session, Reason: "refused"}, time.Second)
	g.refuses(d, "the next one", g.order(wish{}), "owner.shell") // messages are taken in turn: the end was
	if log := d.log.String(); !strings.Contains(log, "session refused") || strings.Contains(log, "could not be told to end") {
		t.Errorf("got the log\n%s\nwant two refusals and no word of an end that failed", log)
	}
}

func TestADeviceRefusesWhatDoesNotHold(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	g.start(wish{}).conn.Close() // the device now holds a head of the log
	g.settled(d)
	foreign, _ := net.Listen("tcp", "127.0.0.1:0") // nobody may call here
	defer foreign.Close()
	forked, _ := newLog(t)
	hour := func(from, until time.Duration) func() (time.Time, time.Time) {
		return func() (time.Time, time.Time) { return time.Now().Add(from), time.Now().Add(until) }
	}
	other := g.order(wish{})
	for _, c := range []struct {
		what   string
		wish   wish
		clause string
	}{
		{"a pass of another CA", wish{ca: newSigner()}, "pass"},
		{"a pass without grant", wish{cert: func(c *ssh.Certificate) { c.CriticalOptions = nil }}, "pass"},
		{"a pass with a garbage grant", wish{cert: func(c *ssh.Certificate) { c.CriticalOptions[wire.GrantOption] = "x" }}, "pass"},
		{"two principals", wish{cert: func(c *ssh.Certificate) { c.ValidPrincipals = append(c.ValidPrincipals, "root2") }}, "pass"},
		{"no principal", wish{cert: func(c *ssh.Certificate) { c.ValidPrincipals = nil }}, "pass"},
		{"an infinite pass", wish{cert: func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }}, "pass"},
		{"an extension", wish{cert: func(c *ssh.Certificate) { c.Extensions = map[string]string{"permit-pty": ""} }}, "pass"},
		{"a pass that has ended", wish{window: hour(-2*time.Hour, -time.Minute)}, "pass"},
		{"a pass that has not begun", wish{window: hour(time.Hour, 2*time.Hour)}, "pass"},
		{"another device's pass", wish{grant: func(g *wire.Grant) { g.Device = wire.Hash{5} }}, "device"},
		{"a shell as another login than the pass's", wish{lie: func(g *wire.Grant) { g.Actions = []string{"shell:other"} }}, "pass"},
		{"an exact command as another login beside the own shell", wish{lie: func(g *wire.Grant) { g.Actions = []string{"run:other /bin/echo", "shell:" + self()} }}, "pass"},
		{"a template as another login", wish{lie: func(g *wire.Grant) { g.Login, g.Templates = "other", [][]any{{"/bin/echo", uint64(1)}} }}, "pass"},
		{"a placeholder that is not known", wish{lie: func(g *wire.Grant) { g.Templates = [][]any{{"/bin/echo", uint64(3)}} }}, "pass"},
		{"a placeholder for the program", wish{lie: func(g *wire.Grant) { g.Templates = [][]any{{uint64(1)}} }}, "pass"},
		{"a placeholder within a text", wish{lie: func(g *wire.Grant) { g.Actions = []string{"run:" + self() + " /bin/echo {word}"} }}, "pass"},
		{"a kind of action that is not known", wish{lie: func(g *wire.Grant) { g.Actions = append(g.Actions, "sudo:"+self()) }}, "pass"},
		{"a bare kind, which would be every login", wish{lie: func(g *wire.Grant) { g.Actions = []string{"shell"} }}, "pass"},
		{"more than 64 actions", wish{lie: func(g *wire.Grant) { g.Actions = many(65) }}, "pass"},
		{"no action", wish{lie: func(g *wire.Grant) { g.Actions = []string{} }}, "pass"},
		{"a pass of an earlier version", wish{lie: func(g *wire.Grant) { g.V = 1 }}, "pass"},
		{"an old epoch in the pass", wish{grant: func(g *wire.Grant) { g.Epoch = 99 }}, "epoch"},
		{"an old epoch in the status", wish{status: func(s *wire.Status) { s.Epoch = 99 }}, "epoch"},
		{"a status of another device", wish{status: func(s *wire.Status) { s.Device = wire.Hash{5} }}, "status"},
		{"a status on a nonce of somebody else", wish{status: func(s *wire.Status) { s.Nonce = bytes.Repeat([]byte{9}, 16) }}, "status"},
		{"a locked device", wish{status: func(s *wire.Status) { s.State = wire.StateLocked }}, "status"},
		{"a status of another CA", wish{open: func(o *wire.Open) { o.Status, _ = wire.Make(newSigner(), wire.PurposeStatus, o.Status.Body) }}, "status"},
		{"no leaf", wish{open: func(o *wire.Open) { o.Leaf = nil }}, "leaf"},
		{"a leaf for another pass", wish{body: func(b *ledger.OpenBody) { b.Pass = [32]byte{1} }}, "leaf"},
		{"a leaf for another recording", wish{body: func(b *ledger.OpenBody) { b.H0 = [32]byte{1} }}, "leaf"},
		{"a leaf for another session", wish{body: func(b *ledger.OpenBody) { b.Session = id.NewSession() }}, "leaf"},
		{"a body that the leaf does not commit to", wish{open: func(o *wire.Open) { o.Nonce = make([]byte, 16) }}, "leaf"},
		{"a proof for another place", wish{open: func(o *wire.Open) { o.Index = 0 }}, "leaf"},
		{"another session's leaf and proof", wish{open: func(o *wire.Open) {
			o.Leaf, o.Nonce, o.Body, o.Index, o.Proof, o.Checkpoint, o.Consistency = other.open.Leaf, other.open.Nonce, other.open.Body, other.open.Index, other.open.Proof, other.open.Checkpoint, other.open.Consistency
		}}, "leaf"},
		{"a log of another key", wish{log: forked}, "checkpoint"},
		{"no proof that the log goes on", wish{open: func(o *wire.Open) { o.Consistency = nil }}, "checkpoint"},
		{"a foreign host", wish{open: func(o *wire.Open) { o.Host = foreign.Addr().String() }}, "host"},
		{"a host with a path", wish{open: func(o *wire.Open) { o.Host += "/x" }}, "host"},
		{"an exact command without a login, as earlier gateways named it", wish{lie: func(g *wire.Grant) { g.Actions = []string{"run:/bin/echo"} }}, "pass"},
		{"a login that this machine has not", wish{login: "nobody-here"}, "login"},
	} {
		g.refuses(d, c.what, g.order(c.wish), c.clause)
	}
	foreign.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Millisecond))
	if c, err := foreign.Accept(); err == nil {
		c.Close()
		t.Error("the foreign host was called")
	}
	if m, ok := g.send(g.order(wish{})).(wire.Accepted); !ok {
		t.Errorf("after all that the truth is refused: %+v", m)
	}
}

// many gives n actions in order.
func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("web:p%03d", i)
	}
	return out
}

// settled waits until the gateway knows which head the device holds.
func (g *gate) settled(d *device) {
	g.t.Helper()
	for range 6000 {
		if out, _ := d.run("sessions", "--json"); strings.TrimSpace(out) == "[]" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAForkedOrShrunkenLogIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	old := g.log.Head().Note
	first := g.order(wish{})
	g.send(first)
	g.attach(first).conn.Close()
	g.settled(d)
	g.refuses(d, "a shrunken log", g.order(wish{open: func(o *wire.Open) { o.Checkpoint = old }}), "checkpoint")
	// the same key signs another history of the same length
	forked := g.fork(t)
	g.refuses(d, "a forked log", g.order(wish{log: forked}), "checkpoint")
}

func TestASessionIDIsTakenOnceAlsoAcrossARestart(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	o := g.order(wish{})
	if _, ok := g.send(o).(wire.Accepted); !ok {
		t.Fatal("not accepted")
	}
	g.attach(o).conn.Close()
	g.settled(d)
	g.refuses(d, "a second open", g.again(o), "sid")
	d.kill(9)
	d.comeBack(g)
	g.refuses(d, "a second open after a restart", g.again(o), "sid")
}

// again is the order with everything fresh but pass and session.
func (g *gate) again(o order) order {
	g.mu.Lock()
	defer g.mu.Unlock()
	o.open.Status = g.status(g.nonce, nil)
	g.announce(&o, wish{})
	return o
}

func TestPassAOnLineBAndAStrangerAreTurnedAway(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	b := g.order(wish{})
	k, _ := ssh.ParsePublicKey(b.open.Pass)
	passB, _ := ssh.NewCertSigner(k.(*ssh.Certificate), b.key)
	for what, signer := range map[string]ssh.Signer{"pass B": passB, "a bare key": newSigner()} {
		a := g.order(wish{})
		if _, ok := g.send(a).(wire.Accepted); !ok {
			t.Fatal("not accepted")
		}
		ws := g.dialled(a, 5*time.Second)
		_, _, _, err := ssh.NewClientConn(ws.Stream(), "device", &ssh.ClientConfig{User: self(), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(g.key())})
		if err == nil {
			t.Errorf("%s opened the line of pass A", what)
		}
		ws.Close()
	}
}

func TestTheOwnersRulesAndFreezeHaveTheLastWord(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "ask")
	g.refuses(d, "ask", g.order(wish{}), "consent")
	for rules, clause := range map[string]string{
		"format = 1\n":                                                          "owner.shell",
		"format = 1\npreset = \"locked\"\n":                                     "owner.shell",
		"format = 1\npreset = \"open\"\nlogins = [\"svc\"]\n":                   "owner.logins",
		"format = 1\npreset = \"open\"\n[switch]\nfile = \"/nonexistent/on\"\n": "owner.switch",
		"format = 1\npreset = \"opne\"\n":                                       "owner",
	} {
		d.owner(rules)
		g.refuses(d, rules, g.order(wish{}), clause)
	}
	d.owner("format = 1\npreset = \"open\"\n")
	l := g.start(wish{})
	p := l.channel()
	p.exec("echo $$; sleep 1000")
	pid := p.expect(t, "\n")
	if out, code := d.run("freeze"); code != 0 {
		t.Fatal(out)
	}
	waitGone(t, pid)
	g.settled(d)
	g.refuses(d, "frozen", g.order(wish{}), "frozen")
	if !g.isFrozen() {
		t.Error("the gateway was not told")
	}
	d.kill(9)
	d.comeBack(g)
	g.refuses(d, "frozen after a restart", g.order(wish{}), "frozen")
	d.run("thaw")
	if _, ok := g.send(g.order(wish{})).(wire.Accepted); !ok {
		t.Error("thawed, and still refused")
	}
}

func TestNarrowedRulesEndALiveSession(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	p := g.start(wish{}).channel()
	p.exec("echo $$; sleep 1000")
	pid := p.expect(t, "\n")
	d.owner("format = 1\npreset = \"open\"\nshell = \"deny\"\n")
	waitGone(t, pid)
}

func TestALockedDeviceLosesItsSessionsAndAWithheldStatusEndsThem(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	p := g.start(wish{}).channel()
	p.exec("echo $$; sleep 1000")
	pid := p.expect(t, "\n")
	g.mu.Lock()
	g.state = wire.StateLocked
	g.mu.Unlock()
	waitGone(t, pid)

	h := newGate(t)
	d := newDevice(t)
	d.env = []string{"SALLYPORT_TEST_SPEED=120"} // three minutes in a second and a half
	d.enrol(h, "open")
	p = h.start(wish{}).channel()
	h.mu.Lock()
	h.mute = true
	h.mu.Unlock()
	p.exec("echo $$; sleep 1000")
	waitGone(t, p.expect(t, "\n"))
}

// TestAStatusOnAnOldNonceIsRefused: who kept a status from before a revocation cannot use it later.
func TestAStatusOnAnOldNonceIsRefused(t *testing.T) {
	t.Parallel()
	kept := func(speed string) (*gate, *device, wish) {
		g := newGate(t)
		d := newDevice(t)
		d.env = []string{"SALLYPORT_TEST_SPEED=" + speed}
		d.enrol(g, "open")
		g.online()
		g.mu.Lock()
		defer g.mu.Unlock()
		status := g.status(g.nonce, nil)
		return g, d, wish{open: func(o *wire.Open) { o.Status = status }}
	}
	g, _, young := kept("1")
	if m, ok := g.send(g.order(young)).(wire.Accepted); !ok {
		t.Fatalf("its own nonce, still young: got %+v", m)
	}
	g, d, old := kept("450") // a quarter of an hour in two seconds
	time.Sleep(2500 * time.Millisecond)
	g.refuses(d, "the same status a quarter of an hour later", g.order(old), "status")
}

func TestAPassEndsExactlyWhenItSays(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	until := time.Now().Add(10 * time.Second).Truncate(time.Second)
	p := g.start(wish{window: func() (time.Time, time.Time) { return time.Now().Add(-time.Minute), until }}).channel()
	p.exec("echo $$; sleep 1000")
	waitGone(t, p.expect(t, "\n"))
	late := time.Since(until)
	if late < -500*time.Millisecond || late > 10*time.Second { // promised within a second
		t.Errorf("ended %s after the pass, want 0 to 1 s", late)
	}
	t.Logf("ended %s after the pass", late)
}

func TestAWrongClockOfTheMachineChangesNothing(t *testing.T) {
	t.Parallel()
	for _, wall := range []string{"0", "2208988800"} { // 1970, 2040
		g := newGate(t)
		d := newDevice(t)
		d.env = []string{"SALLYPORT_TEST_WALL=" + wall}
		d.enrol(g, "open")
		l := g.start(wish{})
		p := l.channel()
		p.exec("echo fine")
		if out, _ := p.finish(t); out != "fine\n" {
			t.Errorf("clock at %s: got %q", wall, out)
		}
		l.conn.Close()
		g.settled(d)
		g.refuses(d, "a pass that has ended, clock at "+wall, g.order(wish{window: func() (time.Time, time.Time) {
			return time.Now().Add(-2 * time.Hour), time.Now().Add(-time.Hour)
		}}), "pass")
	}
}

func TestAClockThatStepsMeanwhileChangesNothing(t *testing.T) {
	t.Parallel()
	wall := filepath.Join(t.TempDir(), "wall")
	set := func(seconds int64) {
		if err := os.WriteFile(wall, []byte(strconv.FormatInt(seconds, 10)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set(time.Now().Unix())
	g := newGate(t)
	d := newDevice(t)
	d.env = []string{"SALLYPORT_TEST_WALL=" + wall}
	d.enrol(g, "open")
	long := g.start(wish{})
	live := long.channel()
	live.exec("while read -r line; do echo \"got $line\"; done")
	for _, step := range []int64{0, 2208988800, time.Now().Unix() - 3600, time.Now().Unix() + 3600} {
		set(step)
		time.Sleep(600 * time.Millisecond) // a supervisor looks twice a second whether its time is up
		live.ch.Write([]byte("it\n"))
		live.expect(t, "got it")
		l := g.start(wish{})
		p := l.channel()
		p.exec("echo fine")
		if out, _ := p.finish(t); out != "fine\n" {
			t.Errorf("after a step to %d: got %q", step, out)
		}
		l.conn.Close()
	}
	long.conn.Close()
	g.settled(d)
	g.refuses(d, "a pass that ended an hour ago, the clock set back by two", g.order(wish{window: func() (time.Time, time.Time) {
		set(time.Now().Unix() - 7200)
		return time.Now().Add(-2 * time.Hour), time.Now().Add(-time.Hour)
	}}), "pass")
}
