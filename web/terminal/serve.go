package terminal

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// serve carries one connection from its ticket to the end of its session.
func (d *Door) serve(ctx context.Context, l *line, r *http.Request, c Caller) {
	var all sync.WaitGroup
	defer all.Wait()
	defer l.finish()
	to, err := d.hello(l, r, c)
	if err != nil {
		l.refuse(err)
		return
	}
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	all.Go(l.watch)
	all.Go(func() { l.listen(leave) })
	s, err := d.begin(ctx, to, l)
	if err != nil {
		if why := context.Cause(ctx); why != nil {
			err = why
		}
		l.refuse(err)
		return
	}
	defer context.AfterFunc(ctx, func() { s.End(reason(ctx)) })()
	until := s.Until()
	l.control(apitype.TerminalControl{T: apitype.TermReady, Session: &to.Session, Until: &until})
	close(l.ready)
	all.Go(func() { l.passInput(s) })
	all.Go(func() { l.passRequests(s) })
	out := s.Wait()
	d.cfg.Log.Info("channel ended", slog.String("session", to.Session.String()), slog.Uint64("channel", uint64(to.Channel)), slog.String("reason", out.Reason))
	l.exit(out)
}

// begin opens what the ticket is for: a session with its first channel, or one more channel.
func (d *Door) begin(ctx context.Context, to Target, l *line) (Channel, error) {
	if to.Channel == 1 {
		return d.cfg.Broker.Open(ctx, to.Session, l)
	}
	return d.cfg.Broker.OpenChannel(ctx, to.Session, to.Channel, l)
}

// reason gives the words for which the client's side ended the session.
func reason(ctx context.Context) string {
	text, _, _ := errkind.ForPeople(context.Cause(ctx))
	return text
}

// hello reads the first message and gives the session and channel it is a ticket for. Who calls is asked again: the sign-in may have
// ended while the socket stood open, and its end reaches only what is asked for or open already.
func (d *Door) hello(l *line, r *http.Request, c Caller) (to Target, err error) {
	l.readBy(time.Now().Add(d.cfg.HelloTime))
	var h apitype.TerminalHello
	valid := false
	if err := l.read(func(text bool, msg []byte) { valid = text && wire.StrictJSON(msg, &h) == nil }); err != nil {
		return to, errkind.New(errkind.Usage, "no ticket came in time").WithHint("Open the session again.").Because(err)
	}
	l.readBy(time.Time{})
	if !valid {
		return to, errkind.New(errkind.Usage, "the first message is not a ticket").WithHint("Open the session again; the page may be older than the gateway: load it again.")
	}
	if to, err = d.cfg.Tickets.Redeem(h.Ticket, c.Key); err == nil {
		_, err = d.cfg.Who(r)
	}
	return to, err
}

// Why the client's side ends a session, beside errGone.
var (
	errEnd    = errkind.New(errkind.Unavailable, "you ended the session")
	errAlien  = errkind.New(errkind.Usage, "the client sent what is not a terminal message")
	errWindow = errkind.New(errkind.Usage, fmt.Sprintf("the client sent more input than its window of %d KiB allows",
		apitype.TerminalWindow>>10))
)

// listen reads what the client sends. It only decodes: it waits for nothing but the client, so an end counts at once,
// whatever device and disk do. It runs while the session is still being opened, so that a client that leaves stops the
// opening; what was typed meanwhile waits. After an end it reads on: to close a connection with unread bytes would
// take the last words from the client.
func (l *line) listen(leave context.CancelCauseFunc) {
	left := false
	take := func(text bool, msg []byte) {
		if left {
			return
		}
		if why := l.decode(text, msg); why != nil {
			left = true
			if why != errEnd {
				l.fault.Store(why)
			}
			leave(why)
		}
	}
	for l.read(take) == nil {
	}
	leave(errGone)
}

// decode puts one message where the session takes it from. An error is the reason why the session ends.
func (l *line) decode(text bool, msg []byte) *errkind.Error {
	if !text {
		switch {
		case len(msg) == 0 || msg[0] != apitype.StreamIn:
			return errAlien
		case !l.in.add(msg[1:]):
			return errWindow
		}
		return nil
	}
	var c apitype.TerminalControl
	if wire.LooseJSON(msg, &c) != nil {
		return errAlien
	}
	switch c.T {
	case apitype.TermResize:
		l.in.resize(c)
	case apitype.TermSignal:
		if !l.in.signal(c.Signal) {
			l.Notice("refused", "too many signals wait, so this one was not sent")
		}
	case apitype.TermEOF:
		l.in.end()
	case apitype.TermEnd:
		return errEnd
	}
	return nil
}

// inputPiece is handed to the session at once, and then returned to the client's window.
const inputPiece = 128 << 10

// passInput hands typed bytes to the session, which may take its time, and returns them to the client's window. A
// session that no longer takes input is no reason to stop: its output still comes, and input is discarded.
func (l *line) passInput(s Channel) {
	var buf []byte
	for {
		select {
		case <-l.in.input:
		case <-l.closed:
			return
		}
		p, last := l.in.take(buf)
		for rest := p; len(rest) > 0; {
			n := min(len(rest), inputPiece)
			_, _ = s.Write(rest[:n]) // see above
			rest = rest[n:]
			l.ack(l.in.took(n))
		}
		clear(p) // there may be a password in it
		if buf = p[:0]; cap(buf) > keepInput && !l.in.waits() {
			buf = nil
		}
		if last {
			_ = s.CloseInput()
			return
		}
	}
}

// passRequests hands resizes and signals to the session.
func (l *line) passRequests(s Channel) {
	for {
		select {
		case <-l.in.requests:
		case <-l.closed:
			return
		}
		size, signals := l.in.takeRequests()
		if size != nil {
			l.tell(s.Resize(size.Cols, size.Rows))
		}
		for _, name := range signals {
			l.tell(s.Signal(name))
		}
	}
}

// tell shows why something the client asked for was not done.
func (l *line) tell(err error) {
	if e, ok := errkind.Of(err); ok && e.Kind == errkind.Usage {
		l.Notice("refused", e.Text)
	}
}

func (l *line) exit(out gateway.Outcome) {
	stuck := time.AfterFunc(controlTime, l.cut) // a client that reads nothing does not hold the goroutine
	defer stuck.Stop()
	l.control(apitype.TerminalControl{T: apitype.TermExit, Status: out.Status, Signal: out.Signal, Reason: out.Reason})
}
