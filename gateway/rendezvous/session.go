package rendezvous

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/connlimit"
	"github.com/sallyport/sallyport/internal/wire"
)

// Session is the door of session lines (wire.SessionPath). The ticket says which waiting session a connection is for; the
// SSH handshake inside says whether it is the device.
func (r *Registry) Session(w http.ResponseWriter, req *http.Request) {
	if !r.enter() {
		r.away(w)
		return
	}
	addr := r.cfg.ClientAddr(req)
	c, ok := r.present(req.Header, addr)
	if !ok {
		r.lines.Done()
		r.wrongTicket(w, addr)
		return
	}
	ws, err := wire.UpgradeWS(w, req, wire.SessionSubprotocol, wire.MaxStream)
	if err != nil {
		r.lines.Done()
		return
	}
	go r.meet(ws, c, connlimit.From(req.Context()))
}

// wrongTicket counts against the source as a failed handshake does, and tells nothing.
func (r *Registry) wrongTicket(w http.ResponseWriter, addr netip.Addr) {
	r.count.ticketsWrong.Add(1)
	done, ok := r.sources.begin(addr)
	if !ok {
		busy(w)
		return
	}
	done(false)
	http.Error(w, "no such ticket", http.StatusForbidden)
}

// present finds the call of a ticket and takes one of its tries. Tries from the address of the device's control line are
// counted apart, so that somebody elsewhere who stole a ticket cannot use them up.
func (r *Registry) present(h http.Header, addr netip.Addr) (*call, bool) {
	values := h.Values(wire.TicketHeader)
	if len(values) != 1 {
		return nil, false
	}
	raw, err := wire.B64.DecodeString(values[0])
	if err != nil || len(raw) != 32 {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.tickets[sha256.Sum256(raw)]
	if c == nil || !c.accepted.IsZero() && r.cfg.Now().Sub(c.accepted) >= ticketTime {
		return nil, false
	}
	own := 0
	if addr.String() == c.line.addr {
		own = 1
	}
	if c.tries[own] >= maxTries {
		return nil, false
	}
	c.tries[own]++
	return c, true
}

// sessionLine is an SSH connection that a device dialled.
type sessionLine struct {
	line *sessionline.Line
	ws   *wire.WS
}

// cut closes it without a farewell that a stuck connection could hold up.
func (s *sessionLine) cut() { s.ws.Close() }

// meet runs the SSH handshake and hands the line to whoever waits in Open. Several may be under way with one ticket; the
// first that proves the host key has it.
func (r *Registry) meet(ws *wire.WS, c *call, conn *connlimit.Conn) {
	defer r.lines.Done()
	stop := context.AfterFunc(r.ctx, func() { ws.Close() })
	defer stop()
	line, err := sessionline.Handshake(ws.Stream(), r.handshake, c.peer)
	if err != nil {
		r.count.ticketsFailed.Add(1)
		r.cfg.Log.Warn("a session line did not prove the device", slog.String("session", c.sid.String()), slog.String("addr", ws.RemoteAddr().String()), slog.Any("error", err))
		ws.Close()
		return
	}
	conn.Authenticated()
	sl := &sessionLine{line: line, ws: ws}
	if !r.hand(c, sl, outcome{line: line}) {
		ws.Close()
		<-line.Gone()
		return
	}
	r.count.sessions.Add(1)
	line.Keep(r.keepAlive)
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.devices[c.line.fp]; d != nil {
		delete(d.sessions, sl)
		r.forget(c.line.fp, d)
	}
}

// hand settles the call with its line, in one step with making the line known to Cut.
func (r *Registry) hand(c *call, sl *sessionLine, out outcome) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.line.holds(c.size.Load()) // the device dials only once it has agreed, and its word on that may be still on the way
	if !r.settleLocked(c, out) {
		return false
	}
	d := r.devices[c.line.fp] // there: its line has this call
	if d.sessions == nil {
		d.sessions = map[*sessionLine]struct{}{}
	}
	d.sessions[sl] = struct{}{}
	return true
}
