package rendezvous

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// What a tunnel is, as far as both ends can tell.
const (
	tunnelTLS          = "tls"          // one TLS connection from the device to this process
	tunnelUnterminated = "unterminated" // TLS, if any, ends before this gateway, as it is configured to
	tunnelIntercepted  = "intercepted"  // something between opens TLS
)

var (
	errUnknown = errors.New("unknown or revoked device")
	errBroken  = errors.New("cannot answer")
)

// greeting is one handshake on the way.
type greeting struct {
	r    *Registry
	ctx  context.Context // of this handshake
	ws   *wire.WS
	addr netip.Addr
	seen uint64 // cuts before the database was asked

	line    *line  // of a known device
	stale   string // why its generation quarantines it
	between bool   // something opens TLS, and did not before
	again   bool   // the device has had a control line before
	refused bool   // a join code was not taken, or was before: that costs the source something
}

// judge sees the static key that the device proved and its first payload, and makes the answer.
func (g *greeting) judge(peer wire.Hash, hello []byte) ([]byte, error) {
	var h wire.Hello
	if err := wire.LooseJSON(hello, &h); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	if len(h.V) == 0 || len(h.Nonce) < 16 || len(h.Nonce) > 32 || !wire.PlainText(h.Boot, 80) || !wire.PlainText(h.Agent, 80) || len(h.TLS) > 64 {
		return nil, errors.New("hello: a field is not as it must be")
	}
	reply := wire.HelloReply{V: wire.ControlVersion, Node: g.r.cfg.Node, NoTLS: g.r.cfg.NoTLS, Ping: int(g.r.cfg.Ping.Seconds())}
	if !g.r.cfg.NoTLS {
		reply.TLS = g.ws.Exporter()
	}
	if h.Enrol != nil && !h.Speaks() {
		g.refuseJoin(&h, &reply)
	} else if h.Enrol != nil {
		g.enrol(peer, &h, &reply)
	} else if err := g.known(peer, &h, &reply); err != nil {
		return nil, err
	}
	return json.Marshal(reply)
}

// known answers a device that is in the database under both its keys.
func (g *greeting) known(peer wire.Hash, h *wire.Hello, reply *wire.HelloReply) error {
	d, err := g.r.cfg.Store.DeviceByNoise(g.ctx, peer)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errUnknown
	case err != nil:
		return errors.Join(errBroken, err)
	case d.FP != [32]byte(h.Device) || d.State == store.Revoked:
		return errUnknown
	}
	st, err := g.r.cfg.Signer.Status(g.ctx, h.Device, h.Nonce)
	if err != nil {
		return errors.Join(errBroken, err)
	}
	reply.Status, reply.Name = &st, string(d.Name)
	b := g.r.bundle.Load()
	if h.Bundle < b.parsed.Serial {
		reply.Bundle = &b.signed
	}
	now := g.r.cfg.Now()
	l := &line{r: g.r, ws: g.ws, fp: h.Device, name: d.Name, addr: g.addr.String(), boot: h.Boot, agent: h.Agent, version: protocolOf(h), gen: h.Gen, since: now.UTC(), skew: skewOf(h.Wall, now),
		tunnel: tunnelOf(g.r.cfg.NoTLS, reply.TLS, h.TLS), seen: g.seen, rate: rate.NewLimiter(messageRate, messageRate), gone: make(chan struct{}), turn: make(chan struct{}, 1), moved: make(chan struct{}, 1),
		nonce: h.Nonce, nonceAt: now, epoch: h.Epoch, frozen: d.Frozen,
		inLog: d.Frozen, witnessed: now}
	if h.Log.Origin == b.parsed.Log.Origin {
		l.size = h.Log.Size
	}
	g.again = !d.LastSeen.IsZero() || g.r.Met(h.Device)
	g.line, g.between = l, l.tunnel == tunnelIntercepted && d.Tunnel != tunnelIntercepted
	return g.generation(d, h.Gen)
}

// skewOf is how far ahead the machine's own clock is. The way here is counted in; an absent value is no skew.
func skewOf(wallMS int64, now time.Time) time.Duration {
	if wallMS == 0 {
		return 0
	}
	return time.UnixMilli(wallMS).Sub(now) // ends at 292 years, whatever it says
}

// tunnelOf compares the exporter values of both ends. An inspecting proxy leaves both ends with one, and different ones.
func tunnelOf(noTLS bool, own, theirs []byte) string {
	switch {
	case noTLS:
		return tunnelUnterminated
	case len(own) > 0 && bytes.Equal(own, theirs):
		return tunnelTLS
	}
	return tunnelIntercepted
}

// intercepted is called once the line has joined: what was heard before can be a replay, which no end of TLS fits. And half of it
// is the device's word, so that one which takes it back and gives it again is not written down each time.
func (r *Registry) intercepted(l *line) {
	r.count.intercepted.Add(1)
	if !r.tunnels.allow(l.fp, r.cfg.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), recordTime)
	defer cancel()
	r.record(ctx, audit.Event{Type: "intercepted", Subject: string(l.name), Addr: l.addr, Fields: map[string]string{"fp": l.fp.String(),
		"why": "the two ends of the control line see different TLS connections"}})
}

// record writes an event about a device. Failing to is an error for the operator: nothing here waits for a permission.
func (r *Registry) record(ctx context.Context, e audit.Event) {
	if r.cfg.Audit == nil {
		r.cfg.Log.Warn("event", slog.String("type", e.Type), slog.String("device", e.Subject))
		return
	}
	if err := r.cfg.Audit.Record(ctx, e); err != nil {
		r.cfg.Log.Error("an event is not in the log", slog.String("type", e.Type), slog.String("device", e.Subject), slog.Any("error", err))
	}
}

// generation compares the device's count of key renewals with ours. While a renewal is not confirmed both its ends are
// right, or a power cut would look like a clone.
func (g *greeting) generation(d store.Device, gen uint32) error {
	switch {
	case gen == d.Generation:
		return nil
	case d.Renewing && gen == d.Generation+1:
		_, err := g.r.cfg.Store.ChangeDevice(g.ctx, d.FP, func(row *store.Device) error {
			row.Generation, row.Renewing = gen, false
			return nil
		})
		if err != nil {
			return errors.Join(errBroken, err)
		}
		return nil
	}
	g.stale = fmt.Sprintf("it shows generation %d of its keys where %d was given out", gen, d.Generation)
	return nil
}

// enrol redeems a join code. The handshake succeeds either way: only the holder of the pinned gateway key reads the
// secret, and only the device reads why it was refused.
func (g *greeting) enrol(peer wire.Hash, h *wire.Hello, reply *wire.HelloReply) {
	joined, err := enroll.Joined{}, error(errkind.New(errkind.Unavailable, "this gateway takes no join codes"))
	if g.r.cfg.Office != nil {
		joined, err = g.r.cfg.Office.Redeem(g.ctx, enroll.Joiner{Noise: peer, Device: h.Device, Generation: h.Gen, Agent: h.Agent, Addr: g.addr.String(), Part: *h.Enrol})
	}
	if err != nil {
		g.refused = true
		g.r.count.enrolRefused.Add(1)
		text, hint, ref := errkind.ForPeople(err)
		g.r.cfg.Log.Info("a join code was refused", slog.String("addr", g.addr.String()), slog.String("reference", ref), slog.Any("error", err))
		reply.Error = text
		if hint != "" {
			reply.Error += ". " + hint
		}
		return
	}
	g.refused = joined.Again // a replayed message does as much
	g.r.count.enrolled.Add(1)
	reply.Name, reply.Bundle = string(joined.Device.Name), &joined.Bundle
	if st, err := g.r.cfg.Signer.Status(g.ctx, h.Device, h.Nonce); err == nil {
		reply.Status = &st
	}
}
