package rendezvous

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Refused is a device's own refusal, in the chain of the error that Open gives.
type Refused struct {
	Clause string // a stable word: which check failed
	Text   string
}

func (e *Refused) Error() string { return "refused by the device: " + e.Clause + ": " + e.Text }

// call is one session that is being opened. Whoever takes it out of Registry.calls settles it, so it is settled once.
type call struct {
	r      *Registry
	sid    id.Session
	line   *line
	peer   sessionline.Peer // what the session line must prove, and what it is shown
	ticket [sha256.Size]byte
	end    chan outcome  // one
	heard  chan struct{} // closed when the device has decided, or the call is settled
	once   sync.Once     // closes heard
	size   atomic.Uint64 // of the log, as this open told it

	// guarded by Registry.mu
	accepted time.Time // zero: not yet
	late     *time.Timer
	tries    [2]int // session lines with this ticket: from elsewhere, from the device's own address
}

type outcome struct {
	line *sessionline.Line
	err  error
}

// Open implements gateway.Lines.
func (r *Registry) Open(ctx context.Context, o gateway.Order) (*sessionline.Line, error) {
	row, l, err := r.fit(ctx, o.Device)
	if err != nil {
		return nil, err
	}
	host, err := ssh.ParsePublicKey(row.HostKey)
	if err != nil {
		return nil, fmt.Errorf("host key of %s: %w", row.Name, err)
	}
	msg := o.Open
	if msg.Status, err = r.freshStatus(ctx, l); err != nil {
		return nil, err
	}
	var ticket [32]byte
	rand.Read(ticket[:])
	msg.T, msg.Session, msg.Ticket, msg.Host = wire.TypeOpen, o.Session, ticket[:], r.cfg.Host
	c := &call{r: r, sid: o.Session, line: l, peer: sessionline.Peer{Name: string(row.Name), Host: host, Login: o.Login, Pass: o.Signer, Recording: o.Record},
		ticket: sha256.Sum256(ticket[:]), end: make(chan outcome, 1), heard: make(chan struct{})}
	if err := r.await(c); err != nil {
		return nil, err
	}
	r.count.opens.Add(1)
	if err := r.inTurn(ctx, l, c.heard, &msg, &c.size); err != nil {
		r.settle(c, outcome{err: fmt.Errorf("open %s: %w", c.sid, err)})
	}
	select {
	case out := <-c.end:
		return out.line, out.err
	case <-ctx.Done():
		r.settle(c, outcome{err: gaveUp(ctx, string(row.Name))})
		out := <-c.end // that, or what came first
		return out.line, out.err
	}
}

// fit finds the device's line, unless no session may start on it. The database is asked each time: a dispute, a lock
// or a revocation by another gateway counts from its commit.
func (r *Registry) fit(ctx context.Context, fp wire.Hash) (store.Device, *line, error) {
	row, err := r.cfg.Store.DeviceByFP(ctx, fp)
	if err != nil {
		return row, nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[fp]
	switch {
	case row.State == store.Disputed || d != nil && d.disputed:
		return row, nil, disputed(string(row.Name))
	case row.State != store.OK:
		return row, nil, errkind.New(errkind.Denied, fmt.Sprintf("%s is %s, so no session can start.", row.Name, row.State)).WithHint("An administrator can say why.")
	case d == nil || len(d.lines) != 1:
		return row, nil, unavailable(fmt.Sprintf("%s is offline, so no session can start.", row.Name), "It comes back by itself once it reaches this gateway.")
	}
	return row, d.lines[0], nil
}

// freshStatus speaks on the device as it is now, on the nonce that it sent last: what changed since its last ping counts.
func (r *Registry) freshStatus(ctx context.Context, l *line) (wire.Signed, error) {
	nonce, fresh := l.lastNonce()
	if !fresh {
		return wire.Signed{}, unavailable(fmt.Sprintf("%s has not been heard of for %s, so no session can start.", l.name, nonceAge), "It comes back by itself once it reaches this gateway.")
	}
	return r.cfg.Signer.Status(ctx, l.fp, nonce)
}

// await makes the call known before the device hears of it.
func (r *Registry) await(c *call) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, other := range r.calls {
		if other.line.fp == c.line.fp {
			n++
		}
	}
	switch _, twice := r.calls[c.sid]; {
	case !r.open:
		return unavailable("the gateway is about to restart and starts no new sessions", "Try again in a minute.")
	case twice:
		return errkind.New(errkind.Conflict, "this session is being opened already")
	case n >= maxOpening:
		return errkind.New(errkind.TooMany, fmt.Sprintf("too many sessions are being opened on %s at once", c.line.name)).WithHint("Wait half a minute.")
	}
	if d := r.devices[c.line.fp]; d == nil || d.disputed || len(d.lines) != 1 || d.lines[0] != c.line {
		return lost(string(c.line.name))
	}
	r.calls[c.sid], r.tickets[c.ticket] = c, c
	return nil
}

// settle ends a call; false if somebody else has.
func (r *Registry) settle(c *call, out outcome) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settleLocked(c, out)
}

func (r *Registry) settleLocked(c *call, out outcome) bool {
	if r.calls[c.sid] != c {
		return false
	}
	delete(r.calls, c.sid)
	delete(r.tickets, c.ticket)
	if c.late != nil {
		c.late.Stop()
	}
	c.decided()
	c.end <- out
	return true
}

// failCalls settles those that which chooses. The caller holds r.mu.
func (r *Registry) failCalls(which func(*call) bool, err error) {
	for _, c := range r.calls {
		if which(c) {
			r.settleLocked(c, outcome{err: err})
		}
	}
}

// callFor finds a call for which this very line was asked: another device's word on it counts for nothing.
func (r *Registry) callFor(l *line, sid id.Session) *call {
	c := r.calls[sid]
	if c == nil || c.line != l {
		return nil
	}
	return c
}

// accepted starts the ticket's time.
func (r *Registry) accepted(l *line, sid id.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.callFor(l, sid)
	if c == nil || !c.accepted.IsZero() {
		return
	}
	c.decided()
	c.accepted = r.cfg.Now()
	c.late = time.AfterFunc(ticketTime, func() {
		r.settle(c, outcome{err: unavailable(fmt.Sprintf("%s agreed and then did not connect within %s.", l.name, ticketTime),
			"Something between may let its first connection through and not a second; `sallyport-agent doctor` on the machine tells.")})
	})
}

func (r *Registry) refused(l *line, m wire.Refuse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.callFor(l, m.Session)
	if c == nil {
		return
	}
	r.count.opensRefused.Add(1)
	r.settleLocked(c, outcome{err: refusal(m)})
}

// refusal words a device's own refusal, as far as it is text.
func refusal(m wire.Refuse) error {
	why := &Refused{Clause: m.Clause, Text: m.Text}
	if !wire.PlainText(why.Clause, 80) || why.Clause == "" {
		why.Clause = "unnamed"
	}
	if !wire.PlainText(why.Text, wire.MaxGrantText) || why.Text == "" {
		why.Text = why.Clause
	}
	return errkind.New(errkind.Denied, "the machine refused: "+why.Text).WithHint(whatToDo(why.Clause)).Because(why)
}

// whatToDo is the next step after a device's refusal. The clause is the device's word, so it only chooses among ours.
func whatToDo(clause string) string {
	switch {
	case strings.HasPrefix(clause, "owner"), clause == "consent":
		return "The owner of the machine decides this, whatever the policy here says: ask them. At the machine `sallyport-agent status` names the file with their rules."
	case clause == "frozen":
		return "Only the owner can thaw it, at the machine: `sallyport-agent thaw`."
	case clause == "login":
		return "The account must exist on the machine; the policy names it in `shell = { as = [...] }`."
	}
	return "`sallyport-agent doctor` on the machine, and the agent's log there, say more."
}

// End implements gateway.Lines: it tells every line of the device, and does not wait.
func (r *Registry) End(fp wire.Hash, sid id.Session, reason string) {
	r.tell(fp, func(l *line) { l.send(wire.End{T: wire.TypeEnd, Session: sid, Reason: reason}) })
}

// tell does something with each line of a device, beside the caller.
func (r *Registry) tell(fp wire.Hash, do func(*line)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[fp]
	if d == nil {
		return
	}
	for _, l := range d.lines {
		r.lines.Go(func() { do(l) })
	}
}

// Ack implements gateway.Lines.
func (r *Registry) Ack(fp wire.Hash) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[fp]
	if d == nil || len(d.lines) == 0 {
		return 0
	}
	l := d.lines[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

func gaveUp(ctx context.Context, name string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return unavailable(fmt.Sprintf("%s did not answer in time.", name), "Try again. If it still does not answer, run `sallyport-agent status` on the device.").Because(ctx.Err())
	}
	return context.Cause(ctx)
}

func unavailable(text, hint string) *errkind.Error {
	return errkind.New(errkind.Unavailable, text).WithHint(hint)
}

func lost(name string) error {
	return unavailable(fmt.Sprintf("the line to %s broke off.", name), "It comes back by itself once it reaches this gateway.")
}

func disputed(name string) error {
	return errkind.New(errkind.Denied, fmt.Sprintf("%s is disputed: two machines show the same key, so no session can start.", name)).
		WithHint("Ask an administrator to check the device and admit it again.")
}
