package agent_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// renewal is the next pass of a session before it is sent.
type renewal struct {
	msg  wire.Renew
	pass *wire.Pass
}

// change is what a test wants otherwise of a renewal.
type change struct {
	grant  func(*wire.Grant)
	key    ssh.PublicKey
	ca     ssh.Signer
	until  time.Duration // from now; 0: an hour
	from   time.Duration
	status func(*wire.Status)
	log    *ledger.Log
	typ    string
	ref    []uint64
	body   func(*ledger.PassBody)
	msg    func(*wire.Renew)
}

// renewal makes the next pass of the session that o opened, after before, with everything that a device wants.
func (g *gate) renewal(o order, before *wire.Pass, n uint32, c change) renewal {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	grant, now, key, ca := before.Grant, time.Now(), c.key, c.ca
	grant.IssuedMS = now.UnixMilli()
	if c.grant != nil {
		c.grant(&grant)
	}
	if key == nil {
		key = newSigner().PublicKey()
	}
	if ca == nil {
		ca = g.ca
	}
	if c.until == 0 {
		c.until = time.Hour
	}
	pass, err := wire.NewPass(grant, key, ca.PublicKey(), now.Add(c.from-30*time.Second), now.Add(c.until))
	if err != nil {
		g.t.Fatal(err)
	}
	raw, err := pass.Sign(ca)
	if err != nil {
		g.t.Fatal(err)
	}
	r := renewal{pass: pass, msg: wire.Renew{T: wire.TypeRenew, Session: o.open.Session, N: n, Pass: raw, Status: g.status(g.nonce, c.status)}}
	g.announceNext(o, before, &r, c)
	if c.msg != nil {
		c.msg(&r.msg)
	}
	return r
}

func (g *gate) announceNext(o order, before *wire.Pass, r *renewal, c change) {
	g.t.Helper()
	l, typ, ref := g.log, "pass", []uint64{o.open.Index}
	if c.log != nil {
		l = c.log
	}
	if c.typ != "" {
		typ = c.typ
	}
	if c.ref != nil {
		ref = c.ref
	}
	pb := ledger.PassBody{Session: o.open.Session, Open: o.open.Index, N: r.msg.N, Pass: r.pass.Hash, Prev: before.Hash}
	if c.body != nil {
		c.body(&pb)
	}
	body, err := pb.Marshal()
	if err != nil {
		g.t.Fatal(err)
	}
	var n [16]byte
	rand.Read(n[:])
	leaf := ledger.Leaf{Type: typ, Ref: ref, Commit: ledger.Commit(n, body)}
	rec, err := l.Append(g.t.Context(), ledger.Entry{Leaf: leaf, Nonce: n, Body: body})
	if err != nil {
		g.t.Fatal(err)
	}
	r.msg.Leaf, _ = leaf.Marshal()
	r.msg.Nonce, r.msg.Body, r.msg.Index = n[:], body, rec.Index
	g.prove(&r.msg, l, rec.Checkpoint)
}

// prove begins where the device stands.
func (g *gate) prove(m *wire.Renew, l *ledger.Log, cp ledger.Checkpoint) {
	g.t.Helper()
	proof, err := l.Prove(m.Index, cp.Size)
	if err != nil {
		g.t.Fatal(err)
	}
	m.Checkpoint, m.Proof, m.Consistency = cp.Note, hashes(proof), nil
	if g.ack > 0 && g.ack < cp.Size {
		if proof, err = l.ProveConsistency(g.ack, cp.Size); err != nil {
			g.t.Fatal(err)
		}
		m.Consistency = hashes(proof)
	}
}

// renew sends it, and gives the device's answer.
func (g *gate) renew(r renewal) any {
	g.t.Helper()
	ch := make(chan any, 4)
	g.mu.Lock()
	g.answers[r.msg.Session] = ch
	g.mu.Unlock()
	if err := g.online().SendMsg(r.msg, 5*time.Second); err != nil {
		g.t.Fatal(err)
	}
	select {
	case m := <-ch:
		return m
	case <-time.After(time.Minute):
		g.t.Fatal("the device gave no answer")
		return nil
	}
}

func (g *gate) renewed(r renewal) {
	g.t.Helper()
	if m, ok := g.renew(r).(wire.Accepted); !ok || m.N != r.msg.N || m.Session != r.msg.Session {
		g.t.Fatalf("not accepted: %+v", g.renew(r))
	}
}

// begin opens a session and gives its order as well.
func (g *gate) begin(w wish) (order, *live) {
	g.t.Helper()
	o := g.order(w)
	if m, ok := g.send(o).(wire.Accepted); !ok {
		g.t.Fatalf("not accepted: %+v", m)
	}
	return o, g.attach(o)
}

// until is what the device's owner is shown as the session's end.
func (d *device) until(t *testing.T) time.Time {
	t.Helper()
	out, _ := d.run("sessions", "--json")
	var all []state.Live
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("got %s, %v; want one session", out, err)
	}
	return all[0].Until
}

// TestASessionGoesOnUnderItsNextPass: the hard stop moves, and later programs are tested against the next pass.
func TestASessionGoesOnUnderItsNextPass(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	echo := "run:" + self() + " /bin/echo hello"
	short := func() (time.Time, time.Time) {
		return time.Now().Add(-30 * time.Second), time.Now().Add(15 * time.Second)
	}
	o, l := g.begin(wish{actions: []string{"shell:" + self(), echo}, window: short})
	p := l.channel()
	p.exec("read x; echo got $x")
	first := g.renewal(o, o.pass, 1, change{})
	g.renewed(first)
	if got := d.until(t); !got.Equal(first.pass.Until()) {
		t.Errorf("the session ends at %s, want %s", got, first.pass.Until())
	}
	shell := []string{"shell:" + self()}
	g.renewed(g.renewal(o, first.pass, 2, change{grant: func(g *wire.Grant) { g.Actions = shell }}))
	if !l.channel().exec("exit") {
		t.Error("what the next pass names was refused")
	}
	time.Sleep(time.Until(o.pass.Until()) + 1500*time.Millisecond)
	p.typ("x\n")
	if out, _ := p.finish(t); out != "got x\n" {
		t.Errorf("after the end of the first pass: got %q", out)
	}
}

// TestANextPassGovernsLaterPrograms: and one that lacks what was used ends the session, as narrowed rules of the owner do.
func TestANextPassGovernsLaterPrograms(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	echo, cat := "run:"+self()+" /bin/echo hello", "run:"+self()+" /bin/cat"
	o, l := g.begin(wish{actions: []string{"shell:" + self(), echo, cat}})
	p, other := l.channel(), l.channel()
	p.exec("/bin/cat")
	other.exec("/bin/echo hello")
	other.finish(t)
	narrow := g.renewal(o, o.pass, 1, change{grant: func(g *wire.Grant) { g.Actions = []string{cat, echo} }})
	g.renewed(narrow)
	if l.channel().exec("exit") {
		t.Error("a shell was started that the next pass does not name")
	}
	p.typ("x\n")
	p.expect(t, "x")
	g.renewed(g.renewal(o, narrow.pass, 2, change{grant: func(g *wire.Grant) { g.Actions = []string{cat} }}))
	if p.finish(t); p.why != wire.EndedNarrowed {
		t.Errorf("the device says %q; the pass lacks what an ended program was started by", p.why)
	}
}

func TestASessionWithoutANextPassEndsWithItsPass(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	_, l := g.begin(wish{window: func() (time.Time, time.Time) {
		return time.Now().Add(-30 * time.Second), time.Now().Add(8 * time.Second)
	}})
	p := l.channel()
	p.exec("sleep 1000")
	select {
	case <-p.closed:
	case <-time.After(time.Minute):
		t.Error("the session goes on")
	}
}

// TestARenewalThatDoesNotHoldIsRefused: the session goes on under the pass that it had.
func TestARenewalThatDoesNotHoldIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	const sleep = "/bin/sleep 1000" // an exact command, so that it goes on when the owner denies the shell
	o, l := g.begin(wish{actions: []string{"shell:" + self(), "run:" + self() + " " + sleep},
		grant: func(g *wire.Grant) { g.IdleS = 3600 }})
	l.channel().exec(sleep)
	other := g.order(wish{})
	forked, _ := newLog(t)
	current := g.renewal(o, o.pass, 1, change{})
	g.renewed(current)
	for _, c := range []struct {
		what   string
		change change
		n      uint32
		clause string
	}{
		{"a pass of another CA", change{ca: newSigner()}, 2, "pass"},
		{"garbage for a pass", change{msg: func(m *wire.Renew) { m.Pass = []byte("x") }}, 2, "pass"},
		{"another device's pass", change{grant: func(g *wire.Grant) { g.Device = wire.Hash{5} }}, 2, "device"},
		{"another session's pass", change{grant: func(g *wire.Grant) { g.Session = id.NewSession() }}, 2, "pass"},
		{"another login", change{grant: func(g *wire.Grant) { g.Login, g.Actions = "other", []string{"shell:other"} }}, 2, "pass"},
		{"another person", change{grant: func(g *wire.Grant) { g.Subject.Pseudonym = []byte{2} }}, 2, "pass"},
		{"an action more", change{grant: func(g *wire.Grant) { g.Actions = append(slices.Clone(g.Actions), "web:hmi") }}, 2, "pass"},
		{"a longer idle time", change{grant: func(g *wire.Grant) { g.IdleS = 0 }}, 2, "pass"},
		{"the key of the pass before", change{key: current.pass.Cert.Key}, 2, "pass"},
		{"the key of the first pass", change{key: o.pass.Cert.Key}, 2, "pass"},
		{"the number of the pass before", change{}, 1, "pass"},
		{"a pass that has ended", change{from: -time.Hour, until: -time.Minute}, 2, "pass"},
		{"a pass that has not begun", change{from: 20 * time.Minute}, 2, "pass"},
		{"an old epoch in the pass", change{grant: func(g *wire.Grant) { g.Epoch = 99 }}, 2, "pass"},
		{"a later epoch in the status", change{status: func(s *wire.Status) { s.Epoch = 101 }}, 2, "epoch"},
		{"a status of another device", change{status: func(s *wire.Status) { s.Device = wire.Hash{5} }}, 2, "status"},
		{"a status on a nonce of somebody else", change{status: func(s *wire.Status) { s.Nonce = bytes.Repeat([]byte{9}, 16) }}, 2, "status"},
		{"a locked device", change{status: func(s *wire.Status) { s.State = wire.StateLocked }}, 2, "status"},
		{"no leaf", change{msg: func(m *wire.Renew) { m.Leaf = nil }}, 2, "leaf"},
		{"a leaf of another type", change{typ: "viewed"}, 2, "leaf"},
		{"a leaf that refers to nothing", change{ref: []uint64{}}, 2, "leaf"},
		{"a leaf that refers to another open leaf", change{ref: []uint64{other.open.Index}}, 2, "leaf"},
		{"a leaf of another session", change{body: func(b *ledger.PassBody) { b.Session = id.NewSession() }}, 2, "leaf"},
		{"a leaf of another part", change{body: func(b *ledger.PassBody) { b.Part = 1 }}, 2, "leaf"},
		{"a leaf for another open leaf", change{body: func(b *ledger.PassBody) { b.Open++ }}, 2, "leaf"},
		{"a leaf for another pass", change{body: func(b *ledger.PassBody) { b.Pass = [32]byte{1} }}, 2, "leaf"},
		{"a leaf with another number", change{body: func(b *ledger.PassBody) { b.N++ }}, 2, "leaf"},
		{"a leaf after another pass", change{body: func(b *ledger.PassBody) { b.Prev = o.pass.Hash }}, 2, "leaf"},
		{"a body that the leaf does not commit to", change{msg: func(m *wire.Renew) { m.Nonce = make([]byte, 16) }}, 2, "leaf"},
		{"a proof for another place", change{msg: func(m *wire.Renew) { m.Index = 0 }}, 2, "leaf"},
		{"the open leaf's body", change{msg: func(m *wire.Renew) {
			m.Leaf, m.Nonce, m.Body, m.Index = o.open.Leaf, o.open.Nonce, o.open.Body, o.open.Index
		}}, 2, "leaf"},
		{"a log of another key", change{log: forked}, 2, "checkpoint"},
		{"no proof that the log goes on", change{msg: func(m *wire.Renew) { m.Consistency = nil }}, 2, "checkpoint"},
	} {
		g.pinged()
		m, ok := g.renew(g.renewal(o, current.pass, c.n, c.change)).(wire.Refuse)
		if !ok || m.Clause != c.clause || m.N != c.n || m.Session != o.open.Session || !wire.PlainText(m.Text, wire.MaxGrantText) {
			t.Errorf("%s: got %+v, want it refused by %q", c.what, m, c.clause)
		}
		if got := d.until(t); !got.Equal(current.pass.Until()) {
			t.Fatalf("%s: the session ends at %s now, want %s", c.what, got, current.pass.Until())
		}
	}
	g.pinged()
	d.owner("format = 1\npreset = \"open\"\nshell = \"deny\"\n")
	onlyShell := func(g *wire.Grant) { g.Actions = g.Actions[1:] }
	if m, ok := g.renew(g.renewal(o, current.pass, 2, change{grant: onlyShell})).(wire.Refuse); !ok || m.Clause != "owner.shell" {
		t.Errorf("the owner's rules: got %+v", m)
	}
	g.pinged()
	g.renewed(g.renewal(o, current.pass, 3, change{})) // the number rises, and need not by one
}

// pinged waits until the gate knows which head of the log the device holds.
func (g *gate) pinged() {
	g.t.Helper()
	before := func() uint64 { g.mu.Lock(); defer g.mu.Unlock(); return g.pings }()
	g.online().SendMsg(struct {
		T string `json:"t"`
	}{wire.TypePing}, time.Second)
	eventually(g.t, "the device pings", func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.pings > before })
}

// TestARenewalWhoseAnswerWasLostIsAcceptedAgain: the gateway sends it again, with proofs that begin where the device is.
func TestARenewalWhoseAnswerWasLostIsAcceptedAgain(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	o, l := g.begin(wish{})
	l.channel().exec("sleep 1000")
	r := g.renewal(o, o.pass, 1, change{})
	g.renewed(r)
	g.renewed(r)
	if got := d.until(t); !got.Equal(r.pass.Until()) {
		t.Errorf("the session ends at %s, want %s", got, r.pass.Until())
	}
}

func TestARenewalReachesASupervisorThatOutlivedItsAgent(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	o, l := g.begin(wish{})
	p := l.channel()
	p.exec("read x; echo got $x")
	d.kill(syscall.SIGKILL)
	d.comeBack(g)
	r := g.renewal(o, o.pass, 1, change{})
	g.renewed(r)
	if got := d.until(t); !got.Equal(r.pass.Until()) {
		t.Errorf("the session ends at %s, want %s", got, r.pass.Until())
	}
	p.typ("x\n")
	if out, _ := p.finish(t); out != "got x\n" {
		t.Errorf("got %q", out)
	}
}

func TestARenewalOfASessionThatIsNotHereIsRefused(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	o, l := g.begin(wish{})
	l.conn.Close()
	g.settled(d)
	if m, ok := g.renew(g.renewal(o, o.pass, 1, change{})).(wire.Refuse); !ok || m.Clause != "sid" || m.N != 1 {
		t.Errorf("ended: got %+v", m)
	}
	d.run("freeze")
	if m, ok := g.renew(g.renewal(o, o.pass, 1, change{})).(wire.Refuse); !ok || m.Clause != "frozen" || m.N != 1 {
		t.Errorf("frozen: got %+v", m)
	}
}

// TestRenewalsCountAgainstTheRateOfOpens: each makes the device work as much.
func TestRenewalsCountAgainstTheRateOfOpens(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	o, _ := g.begin(wish{})
	r := g.renewal(o, o.pass, 1, change{msg: func(m *wire.Renew) { m.Pass = nil }})
	for range 200 {
		if m, ok := g.renew(r).(wire.Refuse); ok && m.Clause == "rate" && strings.Contains(m.Text, "too many") {
			return
		}
	}
	t.Error("none of 200 was refused by rate")
}
