package agent_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// The gateway counts sessions too, but one in wrong hands would not: what the pass allows at once is counted here, whatever
// comes at the same moment.
func TestOfManyOpensAtOnceNoMoreGetThroughThanThePassAllows(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	newDevice(t).enrol(g, "open")
	const many, most = 8, 2
	orders := make([]order, many)
	for i := range orders {
		orders[i] = g.order(wish{grant: func(gr *wire.Grant) { gr.MaxConcurrent = most }})
	}
	answers := make(chan any, many)
	g.atOneHead(orders, answers)
	l := g.online()
	for _, o := range orders {
		if err := l.SendMsg(o.open, 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	in := map[id.Session]bool{}
	for range orders {
		select {
		case a := <-answers:
			switch a := a.(type) {
			case wire.Accepted:
				in[a.Session] = true
			case wire.Refuse:
				if a.Clause != state.ClauseRate {
					t.Errorf("refused by %s: %s", a.Clause, a.Text)
				}
			}
		case <-time.After(time.Minute):
			t.Fatal("not every open was answered")
		}
	}
	if len(in) != most {
		t.Fatalf("%d of %d sessions at once got through, want %d", len(in), many, most)
	}
	for _, o := range orders {
		if in[o.open.Session] {
			p := g.attach(o).channel()
			p.exec("echo in")
			p.expect(t, "in")
		}
	}
}

// atOneHead proves every order from the same head of the log, so that none depends on which came first.
func (g *gate) atOneHead(orders []order, answers chan any) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	head := g.log.Head()
	for i := range orders {
		o := &orders[i].open
		proof, err := g.log.Prove(o.Index, head.Size)
		if err != nil {
			g.t.Fatal(err)
		}
		o.Checkpoint, o.Proof, o.Consistency = head.Note, hashes(proof), nil
		g.answers[o.Session] = answers
		g.dials[wire.B64.EncodeToString(o.Ticket)] = make(chan *wire.WS, 3)
	}
}
