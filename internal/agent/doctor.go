package agent

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/agent/dial"
	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// Finding is one thing that doctor looked at.
type Finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Doctor tries each thing that a session needs, in the order in which it is needed.
func Doctor(ctx context.Context, cfg Config) []Finding {
	d := cfg.State
	var out []Finding
	add := func(what, good string, err error) {
		f := Finding{What: what, OK: err == nil, Text: good}
		if err != nil {
			f.Text, f.Hint = err.Error(), ""
			if e, ok := errkind.Of(err); ok {
				f.Text, f.Hint = e.Text, e.Hint
			}
		}
		out = append(out, f)
	}
	_, err := d.Keys()
	add("enrolled", d.Path, err)
	bundle, berr := d.Bundle()
	if err != nil || berr != nil {
		return out
	}
	volatile := error(nil)
	if fs := d.Volatile(); fs != "" {
		volatile = errkind.New(errkind.Unavailable, "the state directory lies on "+fs+", which forgets at a restart").WithHint("Move it to a disk.")
	}
	add("state directory", "outlives a restart", volatile)
	_, err = d.OwnerRules()
	add("owner's rules", d.Owner, err)
	if d.Frozen() {
		add("freeze", "", errkind.New(errkind.Denied, "the owner has frozen this device").
			WithHint("`sallyport-agent thaw` lifts it."))
	}
	if p, err := cfg.ProxyInForce(bundle.Hosts[0]); err != nil || p.URL != "" {
		add("proxy", p.String(), cmp.Or(err, checkPrivate(cfg.ProxyFile)))
	}
	for i, host := range bundle.Hosts {
		if slices.Contains(bundle.Hosts[:i], host) { // older gateways signed such bundles
			continue
		}
		add("reach "+host, "a gateway answers", tryHost(ctx, cfg, host))
	}
	var o Online
	if err = d.Call(state.AgentSocket, state.Ask{Op: "status"}, &o); err != nil {
		err = errkind.New(errkind.Unavailable, "no agent runs on this state directory").WithHint("Start `sallyport-agent run`.")
	} else if !o.Online {
		err = errkind.New(errkind.Unavailable, "the agent runs and has no line: "+o.Why).WithHint(o.Hint)
	} else if o.State != wire.StateOK {
		err = errkind.New(errkind.Denied, "the gateway says: "+o.State).
			WithHint("Ask an administrator to admit the device.")
	}
	add("control line", fmt.Sprintf("online, tunnel %s", o.Tunnel), err)
	if err == nil {
		add("clock", clockText(o.Skew), nil)
	}
	add("processes", "a session's processes are held by a cgroup of their own", cgroups())
	return out
}

// clockText says how far this device's clock is off, and that it does no harm here.
func clockText(skew string) string {
	d, err := time.ParseDuration(skew)
	if err != nil || d.Abs() < time.Minute {
		return "right"
	}
	return fmt.Sprintf("off by %s, which does no harm here: the time that the gateway signs counts. Set it all the same, for other programs", d)
}

// checkPrivate reports a file with a proxy's password that other users can read.
func checkPrivate(path string) error {
	if path == "" || !readableByOthers(path) {
		return nil
	}
	return errkind.New(errkind.Unavailable, fmt.Sprintf("%s can be read by other users of this device", path)).
		WithHint(fmt.Sprintf("It may hold a password: chmod 600 %s", path))
}

// tryHost opens a WebSocket to a host and closes it again, without showing who is there.
func tryHost(ctx context.Context, cfg Config, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	proxy, err := cfg.proxy()
	if err != nil {
		return err
	}
	floor, err := cfg.State.RememberedFloor()
	if err != nil {
		return err
	}
	d := dial.Dialer{CA: cfg.State.CA(), Proxy: proxy.URL, Floor: floor}
	ws, err := d.Dial(ctx, host, wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil)
	if err != nil {
		return err
	}
	return ws.Close()
}

func cgroups() error {
	t, err := proc.NewTree(fmt.Sprintf("doctor-%d", os.Getpid()))
	if err != nil {
		return err
	}
	defer t.End(time.Second)
	if !t.HasCgroup() {
		return errkind.New(errkind.Unavailable, "no cgroup v2 can be made here: a session's processes are followed by parentage alone").
			WithHint("Run the agent as root on a system with cgroup v2.")
	}
	return nil
}
