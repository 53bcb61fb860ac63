package terminal

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// serve carries one connection from its ticket to the end of its session.
func (d *Door) serve(ctx context.Context, l *line, r *http.Request, c Caller) {
	var all sync.WaitGroup
	defer all.Wait()
	defer l.finish()
	sid, err := d.hello(l, r, c)
	if err != nil {
		l.refuse(err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := make(chan Session, 1)
	all.Go(l.watch)
	all.Go(func() { l.listen(opened, cancel) })
	s, err := d.cfg.Broker.Open(ctx, sid, l)
	if err != nil {
		close(opened)
		l.refuse(err)
		return
	}
	until := s.Until()
	l.control(apitype.TerminalControl{T: apitype.TermReady, Session: &sid, Until: &until})
	close(l.ready)
	opened <- s
	out := s.Wait()
	d.cfg.Log.Info("session ended", slog.String("session", sid.String()), slog.String("reason", out.Reason))
	l.exit(out)
}

// hello reads the first message and gives the session it is a ticket for. Who calls is asked again: the sign-in may have
// ended while the socket stood open, and its end reaches only what is asked for or open already.
func (d *Door) hello(l *line, r *http.Request, c Caller) (id.Session, error) {
	l.readBy(time.Now().Add(d.cfg.HelloTime))
	text, msg, err := l.read()
	if err != nil {
		return id.Session{}, errkind.New(errkind.Usage, "no ticket came in time").WithHint("Open the session again.").Because(err)
	}
	l.readBy(time.Time{})
	var h apitype.TerminalHello
	if !text || wire.StrictJSON(msg, &h) != nil {
		return id.Session{}, errkind.New(errkind.Usage, "the first message is not a ticket").WithHint("Open the session again; the page may be older than the gateway: load it again.")
	}
	sid, err := d.cfg.Tickets.Redeem(h.Ticket, c.Key)
	if err == nil {
		_, err = d.cfg.Who(r)
	}
	return sid, err
}

// listen reads what the client sends. It runs while the session is still being opened, so that a client that leaves
// stops the opening; what it typed meanwhile waits.
func (l *line) listen(opened <-chan Session, leave context.CancelFunc) {
	defer leave()
	var s Session
	for {
		text, msg, err := l.read()
		if s == nil {
			if err != nil {
				leave()
			}
			var ok bool
			if s, ok = <-opened; !ok {
				return
			}
		}
		if err != nil {
			s.End("the terminal was closed")
			return
		}
		l.handling.Store(true)
		ok := l.handle(s, text, msg)
		l.handling.Store(false)
		if !ok {
			s.End("the client sent what is not a terminal message")
			return
		}
	}
}

// handle passes one message on; false means that it is none of ours. A session that no longer takes something is no
// reason to stop: its output still comes.
func (l *line) handle(s Session, text bool, msg []byte) bool {
	if !text {
		if len(msg) == 0 || msg[0] != apitype.StreamIn {
			return false
		}
		if len(msg) > 1 {
			s.Write(msg[1:])
		}
		return true
	}
	var c apitype.TerminalControl
	if wire.LooseJSON(msg, &c) != nil {
		return false
	}
	switch c.T {
	case apitype.TermResize:
		l.tell(s.Resize(c.Cols, c.Rows))
	case apitype.TermSignal:
		l.tell(s.Signal(c.Signal))
	case apitype.TermEOF:
		s.CloseInput()
	case apitype.TermEnd:
		s.End("you ended the session")
	}
	return true
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
