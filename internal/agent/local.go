package agent

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// relay tells every session something.
func (a *Agent) relay(ask state.Ask) {
	for _, sid := range a.cfg.State.Sessions() {
		var ok bool
		a.cfg.State.CallSession(sid, ask, &ok)
	}
}

func (a *Agent) endSession(m wire.End) {
	var ok bool
	err := a.cfg.State.CallSession(m.Session, state.Ask{Op: "end", Reason: m.Reason}, &ok)
	switch {
	case errors.Is(err, fs.ErrNotExist): // it was refused here, or has ended by itself: there is nothing left to end
		a.cfg.Log.Debug("a session that is to end is not here", slog.String("session", m.Session.String()))
	case err != nil:
		a.cfg.Log.Warn("a session could not be told to end", slog.String("session", m.Session.String()), slog.Any("error", err))
	}
}

// freeze is the gateway's wish: it takes away, so it is followed. Only the owner lifts it, here.
func (a *Agent) freeze() {
	if _, err := Freeze(a.cfg.State, true); err != nil {
		a.cfg.Log.Error("freeze", slog.Any("error", err))
	}
}

// answer serves the agent's own socket.
func (a *Agent) answer(ask state.Ask) any {
	a.mu.Lock()
	l := a.line
	a.mu.Unlock()
	switch ask.Op {
	case "changed":
		if l != nil {
			l.pingNow()
		}
		if a.cfg.State.Frozen() {
			go a.sweep()
		}
		return true
	case "network": // the owner set another proxy
		a.networkChanged(true)
		return true
	case "report":
		if ask.Report != nil {
			a.report(*ask.Report)
		}
		return ask.Report != nil
	}
	return a.online()
}

// Online is what a running agent tells about its line.
type Online struct {
	Online  bool      `json:"online"`
	Since   time.Time `json:"since"`
	Gateway string    `json:"gateway,omitempty"`
	State   string    `json:"state,omitempty"`
	Tunnel  string    `json:"tunnel,omitempty"`
	Why     string    `json:"why,omitempty"`
	Hint    string    `json:"hint,omitempty"`  // what to do about it
	Proxy   string    `json:"proxy,omitempty"` // without its password
	Time    time.Time `json:"time"`            // by the gateway's signed word; zero: none yet
	Skew    string    `json:"skew,omitempty"`
}

func (a *Agent) online() Online {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := Online{Online: a.line != nil, Since: a.since, State: a.gate, Why: a.why, Hint: a.hint, Proxy: a.cfg.shownProxy(a.bundle)}
	if a.line != nil {
		o.Gateway, o.Tunnel = a.line.host, a.line.tls
	}
	if a.clock.Known() {
		o.Time, _ = a.clock.Now()
		o.Skew = state.Wall().Sub(o.Time).Round(time.Second).String()
	}
	return o
}

// Status is what the owner is shown.
type Status struct {
	Enrolled    bool         `json:"enrolled"`
	Name        string       `json:"name,omitempty"`
	Fingerprint string       `json:"fingerprint,omitempty"`
	Running     bool         `json:"running"`
	Line        *Online      `json:"line,omitempty"`
	Frozen      bool         `json:"frozen"`
	Preset      string       `json:"preset,omitempty"`
	RulesHash   string       `json:"rules_hash,omitempty"`
	Rules       string       `json:"rules,omitempty"` // what is wrong with them
	Log         uint64       `json:"log"`             // entries of the log that this machine has seen
	StateDir    string       `json:"state_dir"`
	Proxy       string       `json:"proxy,omitempty"` // in force, without its password
	Weakened    []string     `json:"weakened"`
	Sessions    []state.Live `json:"sessions"`
}

// Look gathers a status. It works without a running agent.
func Look(d state.Dir) (Status, error) {
	st := Status{StateDir: d.Path, Weakened: weakened(d), Sessions: Sessions(d), Frozen: d.Frozen()}
	keys, err := d.Keys()
	if err != nil {
		return st, err
	}
	st.Enrolled, st.Fingerprint = true, fingerprint(keys)
	if dev, err := d.Device(); err == nil {
		st.Name = dev.Name
	}
	if head, err := d.RememberedHead(); err == nil {
		st.Log = head.Size
	}
	if rules, err := d.OwnerRules(); err != nil {
		st.Rules = err.Error()
	} else {
		st.Preset, st.RulesHash = rules.Preset, wire.Hash(rules.Hash()).String()
	}
	var o Online
	if d.Call(state.AgentSocket, state.Ask{Op: "status"}, &o) == nil {
		st.Running, st.Line, st.Proxy = true, &o, o.Proxy
	} else if p, err := (Config{State: d}).proxy(); err == nil && p.URL != "" {
		st.Proxy = p.String()
	}
	return st, nil
}

// Silent is the state of a session whose supervisor does not answer: its programs may run.
const Silent = "silent"

// Sessions asks every supervisor. One that does not answer gives its id, process and the state Silent.
func Sessions(d state.Dir) []state.Live {
	out := []state.Live{}
	for _, sid := range d.Sessions() {
		var l state.Live
		err := d.CallSession(sid, state.Ask{Op: "info"}, &l)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			l = state.Live{Session: sid, Actions: []string{}, State: Silent}
			l.PID, err = d.HolderOf(sid)
		}
		if err == nil {
			out = append(out, l)
		}
	}
	return out
}
