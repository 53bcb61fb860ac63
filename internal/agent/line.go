package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/internal/wire"
)

// Times of the control line.
const (
	firstRetry  = time.Second
	longestWait = 3 * time.Minute
	unknownWait = 2 * time.Minute // at least, after the gateway said it does not know this device
	steady      = time.Minute     // a line that held so long begins the back-off anew
	leastPing   = 5 * time.Second
	mostPing    = 10 * time.Minute
	usualPing   = 30 * time.Second
	livePing    = 45 * time.Second // while sessions run: each wants a fresh status within its three minutes
	missedPings = 3
	sendTime    = 10 * time.Second
)

// line is one control line.
type line struct {
	a     *Agent
	noise *wire.Line
	ping  time.Duration
	host  string
	tls   string // as far as this end can tell

	kick chan struct{} // ping now

	mu       sync.Mutex // guards what follows
	pending  map[string]time.Duration
	unpinged int // pings without an answer
}

// reconnect holds a line as long as ctx lives. Each wait is drawn from all of its range, so that ten thousand devices
// that lost one gateway do not come back together.
func (a *Agent) reconnect(ctx context.Context) {
	for try := 0; ctx.Err() == nil; try++ {
		began := time.Now()
		err := a.connect(ctx, try)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > steady {
			try = 0
		}
		a.failed(err)
		wait := pause(try, err)
		a.cfg.Log.Warn("no line to the gateway", slog.Any("error", err), slog.Duration("next", wait.Round(time.Millisecond)))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// pause is full jitter up to a bound that doubles. What the gateway asks for is a lower bound.
func pause(try int, err error) time.Duration {
	bound := min(firstRetry<<min(try, 10), longestWait)
	wait := time.Duration(rand.Int64N(int64(bound)))
	var d *wire.DialError
	switch {
	case errors.As(err, &d) && d.RetryAfter > 0:
		return d.RetryAfter + wait
	case wire.CloseCode(err) == wire.CloseUnknown:
		return unknownWait + time.Duration(rand.Int64N(int64(longestWait)))
	}
	if after := retryAfter(err); after > 0 {
		return after + time.Duration(rand.Int64N(int64(time.Second)))
	}
	return wait
}

// retryAfter reads the wish of a gateway that restarts, out of the text of its close frame.
func retryAfter(err error) time.Duration {
	_, rest, ok := strings.Cut(wire.CloseText(err), "retry-after=")
	n, convErr := strconv.Atoi(strings.TrimSpace(rest))
	if !ok || convErr != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Hour)
}

// connect dials one of the bundle's hosts and holds the line until it breaks.
func (a *Agent) connect(ctx context.Context, try int) error {
	b := a.currentBundle()
	host := b.Hosts[try%len(b.Hosts)]
	ws, err := a.dialer().Dial(ctx, host, wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	nonce := a.trust.NewNonce()
	hello, err := json.Marshal(a.hello(ws.Exporter(), nonce))
	if err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	noise, raw, err := wire.Initiate(ctx, ws, a.keys.Noise, b.Gateway[try/len(b.Hosts)%len(b.Gateway)], hello)
	if err != nil {
		return unproven(host, err)
	}
	var reply wire.HelloReply
	if err := wire.LooseJSON(raw, &reply); err != nil {
		return fmt.Errorf("answer of the gateway: %w", err)
	}
	l := &line{a: a, noise: noise, host: host, ping: pingEvery(reply.Ping), kick: make(chan struct{}, 1), pending: map[string]time.Duration{}, tls: tunnel(reply, ws.Exporter())}
	if sent, r := a.trust.SentAt(nonce); r == nil {
		l.pending[string(nonce)] = sent
	}
	if err := l.welcome(reply); err != nil {
		return err
	}
	err = l.hold(ctx)
	return reach.Broken(host, wire.CloseCode(err), err)
}

func unproven(host string, err error) error {
	if wire.CloseCode(err) == wire.CloseUnknown {
		return errkind.New(errkind.Denied, fmt.Sprintf("the gateway %s does not know this machine, or has revoked it", host)).
			WithHint("An administrator can say why; to start again, remove the state directory and enrol with a new join code.").Because(err)
	}
	if code := wire.CloseCode(err); reach.Interrupted(code, err) {
		return reach.Broken(host, code, err)
	}
	return errkind.New(errkind.Unavailable, fmt.Sprintf("%s did not prove that it is this machine's gateway", host)).
		WithHint("Something else answers at that address, or the gateway was set up anew. A gateway that was just stopping looks the same: try again.").Because(err)
}

func (a *Agent) hello(tls, nonce []byte) wire.Hello {
	a.mu.Lock()
	defer a.mu.Unlock()
	return wire.Hello{V: []int{1}, Device: a.keys.FP(), Gen: a.device.Gen, TLS: tls, Bundle: a.bundle.Serial, Epoch: a.trust.Epoch(), Log: a.trust.Head(),
		Boot: boot(), Agent: Version(), Nonce: nonce, Wall: cmp.Or(state.Wall().UnixMilli(), 1)}
}

func pingEvery(seconds int) time.Duration {
	if seconds == 0 {
		return usualPing
	}
	return max(leastPing, min(time.Duration(seconds)*time.Second, mostPing))
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
			l.a.cfg.Log.Warn("the machine's name could not be stored", slog.Any("error", err))
		}
	}
	return nil
}

// hold reads until the line breaks, and pings.
func (l *line) hold(ctx context.Context) error {
	l.a.mu.Lock()
	l.a.line, l.a.since, l.a.why = l, time.Now(), ""
	l.a.mu.Unlock()
	l.a.cfg.Log.Info("online", slog.String("host", l.host), slog.String("tunnel", l.tls))
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		cancel(nil)
		l.a.mu.Lock()
		l.a.line, l.a.since = nil, time.Now()
		l.a.mu.Unlock()
	}()
	context.AfterFunc(ctx, func() { l.noise.Close() })
	l.sendPing() // a recorded first message could be sent again by anybody; the first one under the line's own keys could not
	var pinging sync.WaitGroup
	pinging.Go(func() { l.pings(ctx, cancel) })
	err := l.read()
	cancel(err)
	pinging.Wait()
	return context.Cause(ctx)
}

func (l *line) read() error {
	for {
		raw, err := l.noise.Receive(time.Time{}) // the pings notice a line that died without a word
		if err != nil {
			return err
		}
		kind, err := wire.Kind(raw)
		if err != nil {
			continue
		}
		l.handle(kind, raw)
	}
}

func (l *line) send(msg any) {
	if err := l.noise.SendMsg(msg, sendTime); err != nil {
		l.noise.Close()
	}
}

// pings asks for a status now and then, and gives up a line that does not answer.
func (l *line) pings(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		every := l.ping
		if len(l.a.cfg.State.Sessions()) > 0 {
			every = min(every, livePing)
		}
		// A little earlier or later each time, so that devices that came back together do not stay together.
		t := time.NewTimer(every - time.Duration(rand.Int64N(int64(every/10))))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-l.kick:
			t.Stop()
		case <-t.C:
		}
		l.mu.Lock()
		l.unpinged++
		dead := l.unpinged > missedPings
		l.mu.Unlock()
		if dead {
			cancel(errors.New("the gateway no longer answers"))
			return
		}
		l.sendPing()
	}
}

func (l *line) pingNow() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

func (l *line) sendPing() {
	n := l.a.trust.NewNonce()
	head := l.a.trust.Head()
	l.mu.Lock()
	l.pending[string(n)] = state.Boot()
	l.mu.Unlock()
	l.send(wire.Ping{T: wire.TypePing, Nonce: n, Size: head.Size, Root: head.Root, Frozen: l.a.cfg.State.Frozen()})
}
