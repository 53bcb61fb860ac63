// Package terminal is the door for browsers and for `sallyport shell`: a WebSocket that carries one session.
//
// # Who may connect
//
// A WebSocket handshake is a GET that browsers send across sites with cookies, and no preflight asks first. So wherever a
// cookie says who calls, the Origin must be exactly ours, and a missing one is refused. A bearer in the Authorization header
// cannot be sent by a foreign page; then cookies are ignored and no Origin is needed.
//
// The handshake opens nothing. The first message redeems a ticket that POST /api/v1/sessions gave to the same sign-in for
// one session: good for ten seconds, once.
//
// # Slow is not gone
//
// Output is written straight through: a client that does not read makes the write block, so the session's pump stops, so
// the device stops. Nothing is queued here. A client that neither reads nor answers is told from one that is merely slow by
// looking at what we are doing: silence counts only while we are not waiting for the client to read.
//
// # Input never blocks control
//
// The reader only decodes. Typed bytes wait in an inbox for a session that takes its time, and the client has a window
// that bounds them: 256 KiB, returned as the session takes them. So resize, signal, end and a closed socket act at
// once, however much input is stuck.
//
// Closing the socket ends the session: a closed tab is not a live session.
package terminal

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/id"
)

// Channel is what a channel of a live session looks like from here. *gateway.Channel is one.
type Channel interface {
	ID() id.Session // of the session
	Until() time.Time
	Write(p []byte) (int, error)
	CloseInput() error
	Resize(cols, rows int) error
	Signal(name string) error
	End(text string)
	Wait() gateway.Outcome
}

// Broker opens sessions, and further channels in them.
type Broker interface {
	Open(ctx context.Context, sid id.Session, sink gateway.Sink) (Channel, error)
	OpenChannel(ctx context.Context, sid id.Session, n uint32, sink gateway.Sink) (Channel, error)
}

// Through makes a Broker of the gateway's.
func Through(b *gateway.Broker) Broker { return broker{b} }

type broker struct{ *gateway.Broker }

func (b broker) Open(ctx context.Context, sid id.Session, sink gateway.Sink) (Channel, error) {
	return orNone(b.Broker.Open(ctx, sid, sink))
}

func (b broker) OpenChannel(ctx context.Context, sid id.Session, n uint32, sink gateway.Sink) (Channel, error) {
	return orNone(b.Broker.OpenChannel(ctx, sid, n, sink))
}

func orNone(c *gateway.Channel, err error) (Channel, error) {
	if err != nil {
		return nil, err // not a nil *gateway.Channel inside an interface
	}
	return c, nil
}

// Caller is who connects.
type Caller struct {
	Key    string // names the sign-in or token; tickets are bound to it
	Cookie bool   // shown by a cookie, not by a bearer
}

// Config is what a door is made of.
type Config struct {
	Broker  Broker
	Tickets *Tickets
	Who     func(*http.Request) (Caller, error)
	Origins []string // exactly what a browser sends: scheme://host[:port]
	Log     *slog.Logger

	HelloTime time.Duration // for the first message; default 10 s
	PingEvery time.Duration // default 20 s
	DeadAfter time.Duration // silence of a client that could answer; default 60 s
	StallTime time.Duration // of a client that does not read; default 10 min
}

// Door serves the terminal socket.
type Door struct {
	cfg  Config
	open sync.WaitGroup // one for each connection
}

// pingEvery keeps proxies from taking an idle terminal for a dead one.
const pingEvery = 20 * time.Second

// New makes a door.
func New(cfg Config) *Door {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&cfg.HelloTime, 10*time.Second)
	or(&cfg.PingEvery, pingEvery)
	or(&cfg.DeadAfter, time.Minute)
	or(&cfg.StallTime, 10*time.Minute)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Door{cfg: cfg}
}

// Wait returns when every connection has ended. Draining the broker ends those that carry a session.
func (d *Door) Wait() { d.open.Wait() }
