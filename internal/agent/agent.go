// Package agent is the device's side of the tunnel: it holds one quiet line to the gateway, keeps what must not be
// forgotten, and starts a supervisor for each session.
//
// # Parts
//
// The network part (line.go) reads messages and decides nothing. The keeper (keeper.go) holds what sessions share and
// answers supervisors over the descriptor they inherit. Supervisors (package supervise) are processes of their own, which
// check everything themselves and outlive this one; what comes for them later is handed on through their sockets in the
// run directory, so an agent that was restarted has nothing to take up again.
//
// # What it never does
//
// It listens on no port, dials no host that the trust bundle does not name, and stands nowhere in the path of the
// machine's own work: without a gateway nothing new opens, and that is all.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/agent/dial"
	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// Config is what an agent is started with.
type Config struct {
	State     state.Dir
	Ephemeral bool
	Proxy     string // URL from the command line
	ProxyFile string // file with the URL; read again for each connection
	CA        string // for enrolling; the agent keeps its own copy
	Fallback  proc.Fallback
	Log       *slog.Logger
}

// Agent is a running agent.
type Agent struct {
	cfg   Config
	keys  state.Keys
	trust *state.Trust

	deciding sync.Mutex // held while a supervisor decides on an open
	changed  chan bool  // wakes a try while there is no line; true: the owner asked for it

	mu     sync.Mutex // guards what follows
	bundle *wire.Bundle
	device state.Device
	clock  state.Clock
	line   *line  // nil: not connected
	gate   string // what the gateway last said of this device
	since  time.Time
	why    string        // the last failure, for status
	hint   string        // what to do about it
	peer   netip.Addr    // where the last connection went
	unsent []wire.Report // reports that wait for a control line

	children    sync.WaitGroup // goroutines that wait for supervisors and answer them
	supervisors supervisors
	adopts      bool // it gets what its supervisors leave behind as children; set before the first one starts
}

// Version names this build to the gateway.
func Version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return "sallyport-agent " + strings.Trim(b.Main.Version, "()")
	}
	return "sallyport-agent devel"
}

// Run holds the control line until ctx ends. Sessions go on after it.
func Run(ctx context.Context, cfg Config) error {
	if err := proc.KeepDescriptors(); err != nil {
		return fmt.Errorf("keep inherited descriptors from programs: %w", err)
	}
	a, unlock, err := open(cfg)
	if err != nil {
		return err
	}
	defer unlock()
	if err := cfg.checkFixedProxy(a.bundle.Hosts[0]); err != nil {
		return err
	}
	if a.adopts, err = proc.Adopt(); err != nil {
		return fmt.Errorf("become the parent of what supervisors leave: %w", err)
	}
	l, err := cfg.State.Listen(state.AgentSocket)
	if err != nil {
		return err
	}
	defer cfg.State.Unlisten(state.AgentSocket)
	defer l.Close()
	go state.Serve(l, a.answer)
	if cfg.State.Volatile() != "" {
		cfg.Log.Warn("the state directory does not outlive a restart of this machine: used sessions and the log are forgotten then")
	}
	a.cfg.Log.Info("agent started", slog.String("device", a.keys.FP().String()), slog.Int("sessions", len(cfg.State.Sessions())))
	if !a.adopts {
		cfg.Log.Warn("the agent has child processes that it did not start, or is process 1: " +
			"what a dead supervisor leaves is found by its cgroup alone")
	}
	a.sweep()
	a.watchEarlierSupervisors()
	go a.watchStuck(ctx)
	if os.Getpid() == 1 {
		go a.reapOrphans(ctx)
	}
	a.reconnect(ctx)
	a.children.Wait()
	return nil
}

// open reads the state of an enrolled device and takes its lock.
func open(cfg Config) (*Agent, func(), error) {
	if err := cfg.State.Prepare(cfg.Ephemeral); err != nil {
		return nil, nil, err
	}
	lock, err := cfg.State.Lock()
	if err != nil {
		return nil, nil, err
	}
	a := &Agent{cfg: cfg, since: time.Now(), changed: make(chan bool, 1)}
	a.keys, err = cfg.State.Keys()
	if err == nil {
		a.bundle, err = cfg.State.Bundle()
	}
	if err == nil {
		a.device, err = cfg.State.Device()
	}
	if err == nil {
		a.trust, err = state.OpenTrust(cfg.State)
	}
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return a, func() { a.trust.Close(); lock.Close() }, nil
}

func (a *Agent) dialer() (dial.Dialer, error) {
	proxy, err := a.cfg.proxy()
	if err != nil {
		return dial.Dialer{}, err
	}
	d := dial.Dialer{CA: a.cfg.State.CA(), Proxy: proxy.URL, Floor: a.trust.Floor()}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.clock.Known() {
		d.Time, _ = a.clock.Now()
	}
	return d, nil
}

// boot names this start of the machine, so that two machines with one key can be told apart.
func boot() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

func (a *Agent) currentBundle() *wire.Bundle {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bundle
}

// failed remembers why there is no line.
func (a *Agent) failed(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.why, a.hint = err.Error(), ""
	if e, ok := errkind.Of(err); ok {
		a.why, a.hint = e.Text, e.Hint // the cause behind it is in the log
	}
}
