package rendezvous

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/internal/connlimit"
	"github.com/sallyport/sallyport/internal/wire"
)

// Close codes of control lines beside those of package wire (RFC 6455 section 7.4).
const (
	closeRestart  = 1012 // the gateway stops or restarts; reconnect after the seconds in the text
	closeTryLater = 1013 // something here is broken; nothing was said about the device
	closeEnrolled = 1000 // the answer to a join code was given
)

// Control is the door of control lines (wire.ControlPath). It ignores cookies and Origin: what counts is the handshake
// inside. It returns once the connection is a WebSocket.
func (r *Registry) Control(w http.ResponseWriter, req *http.Request) {
	if !r.enter() {
		r.away(w)
		return
	}
	addr := r.cfg.ClientAddr(req)
	done, ok := r.sources.begin(addr)
	if !ok {
		r.lines.Done()
		r.count.limited.Add(1)
		busy(w)
		return
	}
	ws, err := wire.UpgradeWS(w, req, wire.ControlSubprotocol, wire.MaxControl)
	if err != nil {
		r.lines.Done()
		done(false)
		return
	}
	conn := connlimit.From(req.Context())
	go r.greet(ws, addr, func(proven bool) {
		if proven {
			conn.Authenticated()
		}
		done(proven)
	})
}

// enter counts a goroutine that is about to start, unless the registry does not serve.
func (r *Registry) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open {
		r.lines.Add(1)
	}
	return r.open
}

// greet runs the handshake and answers the first message. The goroutine that waits for the next is a new one with a small stack.
func (r *Registry) greet(ws *wire.WS, addr netip.Addr, done func(proven bool)) {
	defer r.lines.Done()
	ctx, cancel := context.WithTimeout(r.ctx, r.handshake)
	defer cancel()
	g := &greeting{r: r, ctx: ctx, ws: ws, addr: addr, seen: r.cutsNow()}
	noise, err := r.noise.Respond(ctx, ws, g.judge)
	if err == nil && g.line == nil {
		done(!g.refused)
		r.sayGoodbye(ws)
		return
	}
	var first []byte
	if err == nil {
		first, err = g.confirm(noise)
	}
	done(err == nil)
	if err != nil {
		r.turnAway(ws, err)
		return
	}
	if g.line.version != wire.ControlVersion {
		r.count.refused.Add(1)
		r.refuseVersion(g.line)
		return
	}
	r.count.handshakes.Add(1)
	if g.again {
		r.count.reconnects.Add(1)
	}
	if !r.join(g.line) {
		return
	}
	if g.stale != "" {
		r.quarantine(g.line.fp, g.stale)
	}
	if g.between {
		r.intercepted(g.line)
	}
	r.lines.Add(1)
	g.line.read(first)
}

// confirm waits for the device's first message. The first message of the handshake can be replayed by whoever saw it (Noise,
// section 7.7, source property 1); only one that the line's own cipher lets through shows that the device is there now.
// Without this a replay would count as a second line and bring the device into dispute.
func (g *greeting) confirm(noise *wire.Line) ([]byte, error) {
	g.line.noise = noise
	defer context.AfterFunc(g.ctx, func() { g.ws.Close() })()
	until, _ := g.ctx.Deadline()
	return noise.Receive(until)
}

func (r *Registry) cutsNow() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cuts
}

// turnAway closes without detail: who has proven nothing learns nothing.
func (r *Registry) turnAway(ws *wire.WS, err error) {
	r.count.refused.Add(1)
	switch {
	case errors.Is(err, errUnknown):
		ws.CloseWith(wire.CloseUnknown, "")
	case errors.Is(err, errBroken):
		r.cfg.Log.Warn("a device could not be greeted", slog.Any("error", err))
		ws.CloseWith(closeTryLater, "")
	default:
		ws.Close()
	}
}

// sayGoodbye ends a line that has redeemed a join code. The device has the answer and comes back with an ordinary
// handshake; it closes first, so that the answer is not lost with the connection.
func (r *Registry) sayGoodbye(ws *wire.WS) {
	defer context.AfterFunc(r.ctx, func() { ws.Close() })()
	ws.SetReadDeadline(time.Now().Add(r.handshake))
	ws.ReadMessage() // anything, or the end
	ws.CloseWith(closeEnrolled, "")
}
