package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Limits on the answers that wait to be redeemed, in all and of one sign-in.
const (
	maxAsked    = 10_000
	maxAskedOne = 50
)

// Ask decides whether a session may be opened, and keeps the answer for Open. It returns the session's row. A refusal
// is an errkind.Denied with the reason and the nearest way in, or an errkind.TooMany if a limit on live sessions is
// reached. The row of a refusal is stored too. Ask does not contact the device.
func (b *Broker) Ask(ctx context.Context, a Ask) (store.Session, error) {
	if err := checkAsk(&a); err != nil {
		return store.Session{}, err
	}
	if err := b.cfg.Recorder.Ready(); err != nil {
		return store.Session{}, err
	}
	if err := b.ground(); err != nil {
		return store.Session{}, err
	}
	dev, err := b.cfg.Store.Device(ctx, a.Device)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Session{}, err
	}
	snap, now := b.cfg.Rules.Snapshot(), b.cfg.Now()
	seen := known && snap.Policy != nil && snap.Visible(a.Person, target(a.Device, dev), now)
	action, d, refusal := authz.Action{Kind: authz.Shell}, authz.Decision{}, b.draining()
	if refusal == nil && a.Login == "" {
		if a.Login, refusal = onlyLogin(snap, &a, dev, seen, now); refusal != nil && refusal.Kind != errkind.Denied {
			return store.Session{}, refusal
		}
	}
	if refusal == nil {
		action, d, refusal = b.decide(snap, &a, dev, seen, now)
	}
	sid := id.NewSession()
	if refusal == nil {
		refusal = b.reserve(sid, &a)
		defer b.unreserve(sid)
	}
	if refusal != nil && refusal.Kind == errkind.Unavailable && refusal != errDraining {
		refusal = refusal.WithHint(refusal.Hint + b.neighbours(ctx, dev))
	}
	s := store.Session{ID: sid, Device: a.Device, DeviceFP: dev.FP, Site: dev.Site, Principal: a.Person.ID, PrincipalName: a.Person.Name,
		Login: a.Login, Action: action.String(), Argv: a.Start.Argv, PTY: a.Start.PTY != nil, State: store.Decided, Asked: now, Until: d.Until, Purpose: a.Purpose, Ticket: a.Ticket,
		Rule: d.Rule, ViaToken: a.ViaToken, Front: a.Front, Node: b.cfg.Node, PolicySHA: b.cfg.Rules.Version().SHA256}
	if !seen { // the caller can read this row, and a site in it would tell that the device exists
		s.DeviceFP, s.Site = [32]byte{}, ""
	}
	if a.ClientAddr.IsValid() {
		s.ClientAddr = a.ClientAddr.String()
	}
	if refusal != nil {
		s.State, s.Ended, s.EndReason = store.Refused, now, refusal.Text
	}
	if err := b.keepDecision(ctx, &a, dev, s, d, refusal); err != nil {
		return store.Session{}, err
	}
	if refusal != nil {
		return s, refusal
	}
	s.Grant = d.Grant
	if err := b.remember(s.ID, asked{ask: a, device: dev, action: action, grant: d.Grant, until: now.Add(b.cfg.AskTime)}); err != nil {
		if errors.Is(err, errDraining) { // the drain began while this was decided
			b.drained(ctx, s.ID)
			return store.Session{}, err
		}
		return store.Session{}, errors.Join(err, b.notOpened(ctx, s.ID, now))
	}
	return s, nil
}

const nameLogin = "Name a login of the machine with --login; `sallyport devices show` lists those that you may use."

// checkAsk refuses a request that no policy could allow, and says what is wrong with it.
func checkAsk(a *Ask) error {
	if _, err := id.ParseDevice(string(a.Device)); err != nil {
		return errkind.New(errkind.Usage, err.Error()).WithHint("`sallyport devices list` shows the names you can reach.")
	}
	if a.Login != "" {
		if _, err := authz.ParseAction("shell:" + a.Login); err != nil {
			return errkind.New(errkind.Usage, err.Error()).WithHint(nameLogin)
		}
	}
	for what, text := range map[string]string{"reason": a.Purpose, "ticket": a.Ticket} {
		if !wire.PlainText(text, wire.MaxGrantText) {
			return errkind.New(errkind.Usage, fmt.Sprintf("the %s is longer than %d bytes or has control characters", what, wire.MaxGrantText)).WithHint("Write it shorter, as one line of plain text.")
		}
	}
	return checkStart(&a.Start)
}

// program gives the program that the session's first channel starts.
func (a *Ask) program() authz.Program { return program(a.Login, &a.Start) }

func program(login string, s *sessionline.Start) authz.Program {
	return authz.Program{Login: login, Argv: s.Argv, Terminal: s.PTY != nil}
}

// decide decides by which action the session's program may start. It gives that action with the decision or a refusal.
func (b *Broker) decide(snap *authz.Snapshot, a *Ask, dev store.Device, seen bool, now time.Time) (authz.Action, authz.Decision, *errkind.Error) {
	shell := authz.ShellAction(a.Login)
	if _, err := authz.ParseAction(shell.String()); err != nil {
		return shell, authz.Decision{}, errkind.New(errkind.Usage, err.Error()).WithHint(nameLogin)
	}
	if !seen {
		e := authz.Invisible(a.Device)
		return shell, authz.Decision{}, errkind.New(errkind.Denied, e.Text).WithHint(e.Nearest)
	}
	if refusal := unfit(dev); refusal != nil {
		return shell, authz.Decision{}, refusal
	}
	q := authz.Request{Person: a.Person, Device: target(a.Device, dev), LiveSessions: b.LiveOn(a.Device), Ticket: a.Ticket}
	action, d := authz.DecideProgram(snap, q, a.program(), now)
	if d.Allowed {
		return action, d, nil
	}
	e := d.Explain()
	return action, d, errkind.New(errkind.Denied, e.Text).WithHint(e.Nearest)
}

func target(name id.Device, d store.Device) authz.Device {
	return authz.Device{Name: name, Site: d.Site, Labels: d.Labels}
}

// unfit says why no session can start on a device that the caller may see; nil if one can.
func unfit(d store.Device) *errkind.Error {
	switch d.State {
	case store.OK:
	case store.Disputed:
		return errkind.New(errkind.Denied, fmt.Sprintf("%s is disputed: two machines show the same key, so no session can start.", d.Name)).
			WithHint("Ask an administrator to check the device and admit it again.")
	default:
		return errkind.New(errkind.Denied, fmt.Sprintf("%s is %s, so no session can start.", d.Name, d.State)).WithHint("An administrator can say why.")
	}
	if d.Frozen {
		return errkind.New(errkind.Denied, fmt.Sprintf("%s is frozen by its owner, so no session can start.", d.Name)).WithHint("Only the owner can thaw it, at the machine.")
	}
	if why := OutdatedAgent(d); why != "" {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("%s is offline: %s.", d.Name, why)).WithHint(wire.UpdateAgent)
	}
	if !d.Online() {
		text := fmt.Sprintf("%s is offline", d.Name)
		if !d.LastSeen.IsZero() {
			text += " since " + d.LastSeen.UTC().Format("2006-01-02 15:04 UTC")
		}
		return errkind.New(errkind.Unavailable, text+", so no session can start.").
			WithHint("It reconnects by itself once it reaches this gateway. On the device, `sallyport-agent doctor` says more.")
	}
	return nil
}

// OutdatedAgent returns a text if a device is offline because its agent speaks another version of the control protocol
// than this gateway, and otherwise an empty string.
func OutdatedAgent(d store.Device) string {
	if d.Online() || d.Protocol == 0 || d.Protocol == wire.ControlVersion {
		return ""
	}
	return wire.OtherVersion(d.Protocol)
}

// comeBack is how long devices may take to reconnect after the gateway started. A wait is at most 30 s, but a full
// gateway or a slow site may turn away several tries.
const comeBack = 5 * time.Minute

// neighbours locates the fault when a device is offline: the gateway has just started and the device has not come back
// yet, or the fault is at the device or at its whole site.
func (b *Broker) neighbours(ctx context.Context, dev store.Device) string {
	if OutdatedAgent(dev) != "" {
		return ""
	}
	if since := b.cfg.Now().Sub(b.started); since < comeBack && !b.cfg.Lines.Met(dev.FP) {
		return fmt.Sprintf(" The gateway started %s ago. Devices connect again by themselves within a few minutes.",
			since.Round(time.Second))
	}
	if dev.Site == "" {
		return ""
	}
	rows, _, err := b.cfg.Store.Devices(ctx, store.DeviceFilter{Site: dev.Site, States: []store.DeviceState{store.OK}, Page: store.Page{Size: 200}})
	switch {
	case err != nil || len(rows) < 2:
		return ""
	case slices.ContainsFunc(rows, store.Device.Online):
		return " Other devices at its site are online, so the fault is this device, its cable or its network."
	}
	return " No device at its site is online, so the fault is the site's network or its uplink."
}

// onlyLogin finds the login if the caller named none.
func onlyLogin(snap *authz.Snapshot, a *Ask, dev store.Device, seen bool, now time.Time) (string, *errkind.Error) {
	if !seen {
		invisible := authz.Invisible(a.Device)
		return "", errkind.New(errkind.Denied, invisible.Text).WithHint(invisible.Nearest)
	}
	switch logins := snap.Reach(a.Person, target(a.Device, dev), now).Logins(a.program()); {
	case len(logins) == 1:
		return logins[0], nil
	case len(logins) > 1:
		return "", errkind.New(errkind.Usage, fmt.Sprintf("there is more than one login for you on %s: %s", a.Device, strings.Join(logins, ", "))).WithHint("Say which with --login.")
	}
	return "", errkind.New(errkind.Denied, fmt.Sprintf("You may not open a shell on %s.", a.Device)).WithHint("`sallyport devices show` lists what you may do there.")
}

// beside starts do in a goroutine and returns a function that waits for it. Two writes that do not depend on each other
// can so wait for the disk at the same time.
func beside(do func() error) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- do() }()
	return func() error { return <-done }
}

func (b *Broker) remember(sid id.Session, a asked) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain {
		return errDraining
	}
	now, mine := b.cfg.Now(), 0
	for _, old := range b.asked {
		if !now.After(old.until) && old.ask.Key == a.ask.Key {
			mine++
		}
	}
	if len(b.asked) >= maxAsked || mine >= maxAskedOne {
		return errkind.New(errkind.TooMany, "too many requested sessions have not been opened").
			WithHint("Wait half a minute.").
			WithWait(30 * time.Second) // each try is an entry of the log, so a client must not retry at once
	}
	b.asked[sid] = a
	delete(b.deciding, sid)
	return nil
}
