package rendezvous

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// newer is a signer whose bundle can be replaced.
type newer struct {
	Signer
	now atomic.Pointer[wire.Signed]
}

func (s *newer) Bundle(ctx context.Context) (wire.Signed, error) {
	if b := s.now.Load(); b != nil {
		return *b, nil
	}
	return s.Signer.Bundle(ctx)
}

// signerWithHost makes the bundle that would follow, under a root of its own: devices check that, the registry relays.
func (h *house) signerWithHost(t *testing.T, host string) wire.Signed {
	t.Helper()
	b := must(wire.ParseBundle(must(h.signer.Bundle(t.Context()))(t)))(t)
	root := newMachine(h).host
	b.Serial++
	b.Root = wire.PublicKey{PublicKey: root.PublicKey()}
	b.Hosts = append(b.Hosts, host)
	return must(wire.Make(root, wire.PurposeBundle, must(json.Marshal(b))(t)))(t)
}

func nextBundle(t *testing.T, c *ctl) wire.BundleMsg {
	return next[wire.BundleMsg](t, c, wire.TypeBundle)
}

// gateway0 is an order that must be refused before anything of it matters.
func gateway0(m *machine) gateway.Order {
	var pass ssh.Signer = m.host
	return gateway.Order{Session: id.NewSession(), Device: m.fp(), Login: "svc", Signer: pass}
}

type addr = netip.Addr

// from takes the source that a test names, else the connection's.
func from(r *http.Request) addr {
	if a, err := netip.ParseAddr(r.Header.Get("Test-From")); err == nil {
		return a
	}
	return remoteAddr(r)
}

// dialFrom dials a session line with a foreign host key, from an address of its own.
func (m *machine) dialFrom(source string, o wire.Open) (*ssh.ServerConn, error) {
	ws, err := m.dial(wire.SessionPath, wire.SessionSubprotocol, wire.MaxStream,
		http.Header{wire.TicketHeader: {wire.B64.EncodeToString(o.Ticket)}, "Test-From": {source}})
	if err != nil {
		return nil, err
	}
	defer ws.Close()
	cfg := &ssh.ServerConfig{NoClientAuth: true}
	cfg.AddHostKey(m.host)
	conn, _, _, err := ssh.NewServerConn(ws.Stream(), cfg)
	return conn, err
}

// clock is a time that a test moves.
type clock struct{ ahead atomic.Int64 }

func newClock() *clock               { return &clock{} }
func (c *clock) now() time.Time      { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) add(d time.Duration) { c.ahead.Add(int64(d)) }
