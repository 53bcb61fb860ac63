package agent_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
)

// TestTheDeviceSaysWhyItEndedASession: a program that it killed did not end by itself.
func TestTheDeviceSaysWhyItEndedASession(t *testing.T) {
	t.Parallel()
	soon := func() (time.Time, time.Time) {
		return time.Now().Add(-30 * time.Second), time.Now().Add(8 * time.Second)
	}
	for name, c := range map[string]struct {
		wish wish
		end  func(g *gate, d *device, l *live, p *prog)
		want string
	}{
		"the pass ends":     {wish{window: soon}, func(*gate, *device, *live, *prog) {}, wire.EndedGrant},
		"the owner freezes": {wish{}, func(_ *gate, d *device, _ *live, _ *prog) { d.run("freeze") }, wire.EndedFrozen},
		"the owner's rules are narrowed": {wish{}, func(_ *gate, d *device, _ *live, _ *prog) {
			d.owner("format = 1\npreset = \"open\"\nshell = \"deny\"\n")
		}, wire.EndedOwner},
		"nothing is typed": {wish{grant: func(g *wire.Grant) { g.IdleS = 1 }}, func(_ *gate, _ *device, _ *live, p *prog) {
			p.typ("x\n")
		}, wire.EndedIdle},
		"nothing was ever typed": {wish{grant: func(g *wire.Grant) { g.IdleS = 3 }}, func(*gate, *device, *live, *prog) {}, wire.EndedIdle},
		"it is locked": {wish{}, func(g *gate, _ *device, _ *live, _ *prog) {
			g.mu.Lock()
			g.state = wire.StateLocked
			g.mu.Unlock()
		}, wire.EndedLocked},
		"the gateway ends it": {wish{}, func(g *gate, _ *device, l *live, _ *prog) {
			g.online().SendMsg(wire.End{T: wire.TypeEnd, Session: l.sid, Reason: wire.EndedIdle}, time.Second)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			d := newDevice(t).enrol(g, "open")
			l := g.start(c.wish)
			p, other := l.channel(), l.channel()
			other.exec("sleep 1000")
			p.exec("echo ready; sleep 1000")
			p.expect(t, "ready")
			c.end(g, d, l, p)
			for n, p := range []*prog{p, other} {
				if p.finish(t); p.why != c.want || p.signal != "KILL" {
					t.Errorf("channel %d: the device says %q, signal %s, want %q and KILL", n+1, p.why, p.signal, c.want)
				}
			}
		})
	}
}

// TestAProgramThatEndsByItselfIsNotSaidToBeEnded: its own status is the reason.
func TestAProgramThatEndsByItselfIsNotSaidToBeEnded(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	p := g.start(wish{}).channel()
	p.exec("exit 3")
	if p.finish(t); p.why != "" || p.status == nil || *p.status != 3 {
		t.Errorf("the device says %q, status %v, want nothing and 3", p.why, p.status)
	}
}
