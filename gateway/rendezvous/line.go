package rendezvous

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// line is one proven control line.
type line struct {
	r       *Registry
	ws      *wire.WS
	noise   *wire.Line
	fp      wire.Hash
	name    id.Device
	addr    string
	boot    string
	agent   string
	version int // of the control protocol; another than wire.ControlVersion is refused
	tunnel  string
	gen     uint32
	since   time.Time
	skew    time.Duration // of the machine's own clock when the line came up
	seen    uint64        // Registry.cuts when its handshake began
	rate    *rate.Limiter
	gone    chan struct{} // closed when nothing of it is left
	turn    chan struct{} // held by what moves the device's head of the log on
	moved   chan struct{} // a ping may have shown a later head

	mu        sync.Mutex // guards what follows
	nonce     []byte     // the device's latest
	nonceAt   time.Time
	size      uint64 // of the log, as the device last accepted it; 0: not known
	epoch     uint64
	frozen    bool          // as the device said last
	inLog     bool          // frozen, as the last event in the log says
	witnessed time.Time     // when it was last given a head of the log
	heard     chan struct{} // closed at the next message; nil: nobody waits
}

// read takes one message and leaves the next to a goroutine of its own. What an answer needs grows the stack to twice what
// waiting does, and a stack once grown is given back only with its goroutine.
func (l *line) read(raw []byte) {
	l.wake()
	l.slow()
	l.handle(raw)
	go l.wait()
}

// wait is the one goroutine of an idle line.
func (l *line) wait() {
	raw, err := l.noise.Receive(time.Now().Add(l.patience()))
	if err == nil {
		l.read(raw)
		return
	}
	l.ws.Close()
	l.r.leave(l)
	close(l.gone)
	l.r.lines.Done()
}

// patience is how long a line may be silent: one and a half intervals, so that a ping which is due has half an
// interval to arrive. TCP has resent a lost segment several times by then.
func (l *line) patience() time.Duration { return max(leastSilence, l.r.cfg.Ping+l.r.cfg.Ping/2) }

// slow delays the reading of a device that sends too much. It is never closed for it: what it sends may matter.
func (l *line) slow() {
	d := l.rate.Reserve().Delay()
	if d <= 0 {
		return
	}
	l.r.count.delayed.Add(1)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.r.ctx.Done():
	}
}

func (l *line) handle(raw []byte) {
	m, err := wire.ReadMessage(raw)
	if err != nil {
		l.r.count.malformed.Add(1)
		return
	}
	switch m.T {
	case wire.TypePing:
		on(l, m, l.ping)
	case wire.TypeAccepted:
		on(l, m, l.accepted)
	case wire.TypeAsking: // somebody at the machine is asked; how long a session may be opening is the caller's to say
	case wire.TypeRefuse:
		on(l, m, l.refused)
	case wire.TypeReport:
		on(l, m, l.report)
	default: // a later version's, and what has no use for this gateway
		l.r.count.unknown.Add(1)
	}
}

// accepted and refused are the device's answers to an open, or with a number to a renewal.
func (l *line) accepted(m wire.Accepted) {
	if m.N > 0 {
		l.r.renewed(l, m.Session, m.N, nil)
		return
	}
	l.r.accepted(l, m.Session)
}

func (l *line) refused(m wire.Refuse) {
	if m.N > 0 {
		l.r.renewed(l, m.Session, m.N, refusal(m))
		return
	}
	l.r.refused(l, m)
}

// on decodes a message and hands it over; a malformed one is counted and ignored, as the line itself is sound.
func on[T any](l *line, m wire.Message, use func(T)) {
	msg, err := wire.As[T](m)
	if err != nil {
		l.r.count.malformed.Add(1)
		return
	}
	use(msg)
}

// send writes a message; a line that does not take it is closed.
func (l *line) send(msg any) error {
	err := l.noise.SendMsg(msg, sendTime)
	if err != nil {
		l.ws.Close()
	}
	return err
}

func (l *line) close(code int, why string) { l.ws.CloseWith(code, why) }

// ping answers with a fresh status on the ping's nonce. If the signer gives none, the answer only shows that the
// gateway is there: without it every device would drop its line while the signer restarts, and all would reconnect at
// once.
func (l *line) ping(m wire.Ping) {
	if len(m.Nonce) < 16 || len(m.Nonce) > 32 {
		l.r.count.malformed.Add(1)
		return
	}
	l.r.count.pings.Add(1)
	ctx, cancel := context.WithTimeout(l.r.ctx, sendTime)
	defer cancel()
	l.take(m) // first: an owner freezes also while the signer is away
	st, err := l.r.cfg.Signer.Status(ctx, l.fp, m.Nonce)
	if err != nil {
		l.r.cfg.Log.Warn("a status could not be signed", slog.String("device", string(l.name)), slog.Any("error", err))
		l.send(wire.Pong{T: wire.TypePong})
		return
	}
	if l.send(wire.Pong{T: wire.TypePong, Status: st}) != nil {
		return
	}
	if l.flipped() {
		l.logFrozen(ctx, m.Frozen)
	}
	l.r.witness(ctx, l)
}

// take keeps what a ping tells, and notes for the device's row if the owner froze or thawed it.
func (l *line) take(m wire.Ping) {
	l.mu.Lock()
	changed := l.frozen != m.Frozen
	l.nonce, l.nonceAt, l.frozen = m.Nonce, l.r.cfg.Now(), m.Frozen
	l.size = max(l.size, m.Size) // a head never shrinks; a session line may have told sooner
	l.mu.Unlock()
	select {
	case l.moved <- struct{}{}:
	default:
	}
	if changed {
		l.r.mu.Lock()
		l.r.note(l, true)
		l.r.mu.Unlock()
	}
}

// flipped reports whether a freeze or thaw is to be written to the log.
func (l *line) flipped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inLog == l.frozen || !l.r.flips.allow(l.fp, l.r.cfg.Now()) {
		return false
	}
	l.inLog = l.frozen
	return true
}

func (l *line) logFrozen(ctx context.Context, frozen bool) {
	what := "thawed"
	if frozen {
		what = "frozen"
	}
	l.r.record(ctx, audit.Event{Type: "freeze", Subject: string(l.name), Addr: l.addr, Fields: map[string]string{"what": what, "by": "owner"}})
}

// report puts a device's word into the operator's log, as far as it is text.
// lastNonce gives the nonce that a status may answer now.
func (l *line) lastNonce() ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nonce, l.r.cfg.Now().Sub(l.nonceAt) < nonceAge
}

// answers asks a line whether it is alive. The device answers a gateway's ping with its own next ping; any message that
// the line's cipher lets through will do.
func (l *line) answers(within time.Duration) bool {
	l.mu.Lock()
	if l.heard == nil {
		l.heard = make(chan struct{})
	}
	heard := l.heard
	l.mu.Unlock()
	ask := struct {
		T string `json:"t"`
	}{wire.TypePing}
	if err := l.noise.SendMsg(ask, within); err != nil {
		l.ws.Close()
		return false
	}
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-heard:
		return true
	case <-l.gone:
	case <-t.C:
	}
	return false
}

func (l *line) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.heard != nil {
		close(l.heard)
		l.heard = nil
	}
}
