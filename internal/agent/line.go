package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/agent/dial"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/internal/wire"
)

const (
	sendTime = 10 * time.Second // for one message to leave
)

// line is one control line.
type line struct {
	a     *Agent
	noise *wire.Line
	ping  time.Duration
	host  string
	tls   string     // as far as this end can tell
	local netip.Addr // of the connection; an address that the device may lose

	kick chan struct{} // ping now
	sent chan struct{} // a ping was sent from elsewhere
	end  context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	asked time.Time  // when the oldest unanswered ping was sent; zero: none
	good  bool       // a message arrived
}

// giveUp ends the line with a reason.
func (l *line) giveUp(why error) { l.end(why) }

// reconnect holds a line as long as ctx lives.
func (a *Agent) reconnect(ctx context.Context) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go a.watchNetwork(watching)
	t := tries{direct: a.direct}
	said := map[string]string{}
	for ctx.Err() == nil {
		host, at := t.next(a.currentBundle().Hosts)
		if !a.waitFor(ctx, &t, at) {
			continue
		}
		e := a.try(ctx, host)
		if ctx.Err() != nil {
			return
		}
		t.end(host, e, time.Now())
		_, next := t.next(a.currentBundle().Hosts)
		a.failed(e.err)
		level := slog.LevelWarn
		if why := outage(e.err); why == said[host] { // an outage of a day is one line, not thousands
			level = slog.LevelDebug
		} else {
			said[host] = why
		}
		a.cfg.Log.Log(ctx, level, "no line to the gateway", slog.String("host", host), slog.Any("error", e.err),
			slog.String("hint", hintOf(e.err)), slog.Duration("next_try", max(0, time.Until(next)).Round(time.Millisecond)))
		if e.good {
			clear(said)
		}
	}
}

// hintOf gives what the owner can do about an error; empty: nothing is known.
func hintOf(err error) string {
	if e, ok := errkind.Of(err); ok {
		return e.Hint
	}
	return ""
}

// direct reports whether a host is reached without a proxy, as by NO_PROXY.
func (a *Agent) direct(host string) bool {
	p, err := a.cfg.ProxyInForce(host)
	return err == nil && p.URL == ""
}

// outage names what is wrong, the same at each try. The text of an error is not: it may hold the time of day, or words
// that another server chooses anew each time.
func outage(err error) string {
	if c, ok := reach.Of(err); ok {
		return fmt.Sprint("cause ", int(c))
	}
	if e, ok := errkind.Of(err); ok {
		return e.Text
	}
	return err.Error()
}

// waitFor waits for a time, and reports whether it has come. A change of the network or of the proxy may bring it
// forward.
func (a *Agent) waitFor(ctx context.Context, t *tries, at time.Time) bool {
	wait := time.Until(at)
	if t.proxy.waits(time.Now()) {
		wait = min(wait, proxyLook)
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-late.C:
		if time.Until(at) <= 0 {
			return true
		}
		if a.proxyChanged(&t.proxy) {
			a.cfg.Log.Info("the proxy's setting changed, trying again")
		}
	case asked := <-a.changed:
		if t.networkChanged(time.Now(), asked) {
			a.cfg.Log.Info("the network of this device changed, trying again")
		}
	case <-ctx.Done():
	}
	return false
}

// try dials a host and holds the line until it breaks. A bundle may name two keys while the gateway changes its own.
func (a *Agent) try(ctx context.Context, host string) (e ended) {
	for i, key := range a.currentBundle().Gateway {
		var foreign bool
		if e, foreign = a.connect(ctx, host, key); !foreign || ctx.Err() != nil || i > 0 {
			break
		}
	}
	return e
}

// connect dials a host, proves both ends and holds the line. With foreign, the other end does not hold this key.
func (a *Agent) connect(ctx context.Context, host string, key wire.Hash) (e ended, foreign bool) {
	var d dial.Dialer
	fail := func(err error) (ended, bool) { return ended{err: err, proxy: d.Proxy}, false }
	d, err := a.dialer()
	if err != nil {
		return fail(err)
	}
	ws, err := d.Dial(ctx, host, wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil)
	if err != nil {
		return fail(err)
	}
	defer ws.Close()
	a.dialled(ws)
	hello, err := json.Marshal(a.hello(ws.Exporter(), a.trust.NewNonce()))
	if err != nil {
		return fail(fmt.Errorf("hello: %w", err))
	}
	noise, raw, err := wire.Initiate(ctx, ws, a.keys.Noise, key, hello)
	if err != nil {
		return ended{err: unproven(host, err)}, wire.CloseCode(err) == 0
	}
	var reply wire.HelloReply
	if err := wire.LooseJSON(raw, &reply); err != nil {
		return fail(fmt.Errorf("answer of the gateway: %w", err))
	}
	if err := checkVersion(host, reply.V); err != nil {
		return fail(err)
	}
	l := newLine(a, host, noise, reply)
	l.tls, l.local = tunnel(reply, ws.Exporter()), addrOf(ws.LocalAddr())
	if err := l.welcome(reply); err != nil {
		return fail(err)
	}
	e = l.hold(ctx)
	e.err = lost(host, e.err)
	return e, false
}

func newLine(a *Agent, host string, noise *wire.Line, reply wire.HelloReply) *line {
	return &line{
		a:     a,
		host:  host,
		noise: noise,
		ping:  pingEvery(reply.Ping),
		kick:  make(chan struct{}, 1),
		sent:  make(chan struct{}, 1),
	}
}

// unproven explains a handshake that failed.
func unproven(host string, err error) error {
	code := wire.CloseCode(err)
	if code == wire.CloseUnknown || code == wire.CloseReplaced || code == wire.CloseVersion || reach.Interrupted(code, err) {
		return lost(host, err)
	}
	return errkind.New(errkind.Unavailable, fmt.Sprintf("%s did not prove that it is this device's gateway", host)).
		WithHint("Another server answers at that address, or the gateway was set up anew. " +
			"A gateway that is stopping looks the same: try again.").Because(err)
}

// lost explains why a line ended. A close code of the gateway takes precedence over the network's error.
func lost(host string, err error) error {
	code := wire.CloseCode(err)
	switch code {
	case wire.CloseUnknown:
		return errkind.New(errkind.Denied,
			fmt.Sprintf("the gateway %s does not know this device, or has revoked it", host)).
			WithHint("Ask an administrator why. To start again, remove the state directory and enrol " +
				"with a new join code.").
			Because(err)
	case wire.CloseVersion:
		return refusedVersion(host, err)
	case wire.CloseReplaced:
		return errkind.New(errkind.Conflict, "another line with this device's key took over").
			WithHint("If this continues, a copy of the state directory is in use elsewhere: tell an administrator.").
			Because(err)
	}
	return reach.Broken(host, code, err)
}

func (a *Agent) hello(tls, nonce []byte) wire.Hello {
	a.mu.Lock()
	defer a.mu.Unlock()
	return wire.Hello{V: wire.OfferedVersions(), Device: a.keys.FP(), Gen: a.device.Gen, TLS: tls, Bundle: a.bundle.Serial, Epoch: a.trust.Epoch(), Log: a.trust.Head(),
		Boot: boot(), Agent: Version(), Nonce: nonce, Wall: cmp.Or(state.Wall().UnixMilli(), 1)}
}

// tunnel compares what both ends see of TLS. An inspecting proxy leaves both with a value, and different ones.
func tunnel(r wire.HelloReply, own []byte) string {
	switch {
	case r.NoTLS:
		return "unterminated"
	case len(own) > 0 && string(own) == string(r.TLS):
		return "tls"
	}
	return "intercepted"
}

// welcome takes the gateway's first words.
func (l *line) welcome(r wire.HelloReply) error {
	if r.Bundle != nil {
		l.takeBundle(*r.Bundle)
	}
	if r.Status == nil {
		return errors.New("the gateway gave no status")
	}
	if err := l.takeStatus(*r.Status); err != nil {
		return err
	}
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	if r.Name != "" && r.Name != l.a.device.Name {
		l.a.device.Name = r.Name
		if err := l.a.cfg.State.WriteJSON("device.json", l.a.device); err != nil {
			l.a.cfg.Log.Warn("the device's name could not be stored", slog.Any("error", err))
		}
	}
	return nil
}

// hold reads until the line breaks, and pings.
func (l *line) hold(ctx context.Context) ended {
	began := time.Now()
	ctx, l.end = context.WithCancelCause(ctx)
	l.a.mu.Lock()
	l.a.line, l.a.since, l.a.why, l.a.hint = l, began, "", ""
	l.a.mu.Unlock()
	l.a.cfg.Log.Info("online", slog.String("host", l.host), slog.String("tunnel", l.tls))
	defer func() {
		l.end(nil)
		l.a.mu.Lock()
		l.a.line, l.a.since = nil, time.Now()
		l.a.mu.Unlock()
	}()
	context.AfterFunc(ctx, func() { l.noise.Close() })
	l.sendPing() // a recorded first message could be sent again by anybody; the first one under the line's own keys could not
	l.sendUnsent()
	var pinging sync.WaitGroup
	pinging.Go(func() { l.pings(ctx) })
	l.end(l.read())
	pinging.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return ended{good: l.good, lasted: time.Since(began), err: context.Cause(ctx)}
}

func (l *line) read() error {
	for {
		raw, err := l.noise.Receive(time.Time{}) // the pings notice a line that died without a word
		if err != nil {
			return err
		}
		l.heard()
		kind, err := wire.Kind(raw)
		if err != nil {
			continue
		}
		l.handle(kind, raw)
	}
}

// send writes a message. If that fails, it closes the line.
func (l *line) send(msg any) { _ = l.trySend(msg) }

// trySend does the same as send, and returns the error, so that the caller can keep the message.
func (l *line) trySend(msg any) error {
	err := l.noise.SendMsg(msg, sendTime)
	if err != nil {
		l.noise.Close()
	}
	return err
}
