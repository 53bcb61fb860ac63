package requests

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// Question is a new request: for a role, or for single actions.
type Question struct {
	Person  authz.Person
	Device  store.Device
	Rule    string   // empty: the rule that needs the fewest approvals
	Role    string   // or Actions
	Actions []string // action words; shell alone means the shell of Login, or the only one there is

	Emergency bool   // under an emergency rule alone; otherwise never under one
	Login     string // with Role: only rights with this login or without a login
	For       time.Duration
	Reason    string
	Ticket    string
	ViaToken  string // id of the API token
	Evidence  signer.Evidence

	again bool // a right that is there already, for longer: Rule and Actions are exact
}

// Ask stores a request. What may not be asked for is refused as Explain refuses it: with the reason and the nearest way
// in.
func (d *Desk) Ask(ctx context.Context, a Question) (store.Request, error) {
	if a.Person.Machine != "" { // its principal is its maker's
		return store.Request{}, errkind.New(errkind.Denied, "a service account cannot request rights").WithHint("An allow rule can give it rights.")
	}
	now, snap := d.cfg.Now(), d.cfg.Rules.Snapshot()
	dev := authz.Device{Name: a.Device.Name, Site: a.Device.Site, Labels: a.Device.Labels}
	offer, actions, err := chosen(snap, a, dev, now)
	if err != nil {
		return store.Request{}, err
	}
	if err := d.owned(ctx, offer, dev, a.Person.ID); err != nil {
		return store.Request{}, err
	}
	_, within, _, _ := snap.Policy.Needs(offer.Rule)
	q := store.Request{ID: newID(), Who: a.Person.ID, Name: a.Person.Name, Device: dev.Name, DeviceFP: a.Device.FP, Site: dev.Site, Rule: offer.Rule,
		Actions: actions, For: a.For, Reason: strings.TrimSpace(a.Reason), Ticket: strings.TrimSpace(a.Ticket),
		Address: a.Person.Address.String(), ViaToken: a.ViaToken, State: store.RequestPending, Asked: now, Expires: now.Add(min(within, MostWait))}
	if err := check(snap, &q, dev); err != nil {
		return q, err
	}
	fields := map[string]string{"request": q.ID, "rule": q.Rule, "actions": strings.Join(q.Actions, "\n"), "for": q.For.String(),
		"reason": q.Reason, "ticket": q.Ticket}
	e := audit.Event{Type: "asked", Actor: q.Who.String(), Subject: string(q.Device), Addr: q.Address, Fields: fields}
	about, err := d.tell(ctx, notifications.Asked, &q)
	if err != nil {
		return q, err
	}
	if err := d.cfg.Rows.AddRequest(ctx, q, func(ofPerson, forDevice int) error { return fits(ofPerson, forDevice, q) }, about(q)...); err != nil {
		return q, err
	}
	defer d.wake()
	err = d.cfg.Audit.Record(ctx, e)
	if err == nil && len(offer.Agree) == 0 { // nobody has to approve it
		var granted store.Request
		if granted, err = d.Approve(ctx, a.Person, a.Evidence, q.ID, Less{}); err == nil {
			return granted, nil
		}
		if errors.Is(err, errCounted) { // the grant exists: Run stores what is missing
			return granted, err
		}
	}
	if err != nil { // it must not stay without its event in the log, or waiting for nobody
		_, end := d.cfg.Rows.ChangeRequest(context.WithoutCancel(ctx), q.ID, func(r *store.Request) error {
			r.By, r.Answer, r.Decided = "the gateway", "the request failed", d.cfg.Now()
			return move(r, withdraw)
		})
		err = errors.Join(err, end)
	}
	return q, err
}

// owned refuses a request that waits for more owners than the site has. Its requester does not count.
func (d *Desk) owned(ctx context.Context, o authz.Offer, dev authz.Device, requester id.Principal) error {
	i := slices.IndexFunc(o.Agree, func(n authz.Agree) bool { return n.From == authz.OwnerOfSite })
	if i < 0 {
		return nil
	}
	site, err := d.cfg.Rows.Site(ctx, dev.Site)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	others := slices.DeleteFunc(site.Owners, func(p id.Principal) bool { return p == requester })
	switch need := o.Agree[i].Count; {
	case dev.Site == "":
		return errkind.New(errkind.Denied, fmt.Sprintf("rule %s needs the approval of %s, and %s has no site", o.Rule, owners(need), dev.Name)).
			WithHint("A device gets its site from its join code or when it is admitted. Request under another rule: --rule ID.")
	case len(others) < need:
		return errkind.New(errkind.Denied, fmt.Sprintf("rule %s needs the approval of %s other than you, and the site %q has %d",
			o.Rule, owners(need), dev.Site, len(others))).WithHint("An administrator adds owners: `sallyport sites owners`.")
	}
	return nil
}

func owners(n int) string {
	if n == 1 {
		return "an owner"
	}
	return fmt.Sprintf("%d owners", n)
}

func fits(ofPerson, forDevice int, q store.Request) error {
	switch {
	case ofPerson >= MostOfPerson:
		return errkind.New(errkind.TooMany, fmt.Sprintf("you have %d pending requests, which is the limit", ofPerson)).
			WithHint("Withdraw one: `sallyport request list --mine`, `sallyport request withdraw R`.")
	case forDevice >= MostForDevice:
		return errkind.New(errkind.TooMany, fmt.Sprintf("%s has %d pending requests, which is the limit", q.Device, forDevice)).
			WithHint("Ask again when some of them are answered.")
	}
	return nil
}

// check refuses a request that the signer would not let anybody approve.
func check(snap *authz.Snapshot, q *store.Request, dev authz.Device) error {
	t := authz.Terms{Who: q.Who, Device: q.Device, Rule: q.Rule, For: q.For, Reason: q.Reason, Ticket: q.Ticket}
	for i, word := range q.Actions {
		p, err := authz.ParsePattern(word)
		if err != nil {
			return errkind.New(errkind.Usage, err.Error())
		}
		t.Actions, q.Actions[i] = append(t.Actions, p), p.String()
	}
	if text := t.Check(snap.Policy, dev); text != "" {
		return errkind.New(errkind.Usage, text)
	}
	_, err := terms(q)
	return err
}

// chosen finds the rule and the actions for a request.
func chosen(snap *authz.Snapshot, a Question, dev authz.Device, now time.Time) (authz.Offer, []string, error) {
	if agree, _, _, _ := snap.Policy.Needs(a.Rule); a.again && snap.Policy.MayAsk(a.Rule, a.Person) {
		return authz.Offer{Rule: a.Rule, Agree: agree}, a.Actions, nil
	}
	reach := snap.Reach(a.Person, dev, now)
	if !reach.Visible {
		e := authz.Invisible(dev.Name)
		return authz.Offer{}, nil, errkind.New(errkind.Denied, e.Text).WithHint(e.Nearest)
	}
	offers := slices.DeleteFunc(slices.Clone(reach.Ask), func(o authz.Offer) bool {
		return (o.Via == "emergency") != a.Emergency || a.Rule != "" && o.Rule != a.Rule || a.Role != "" && o.Role != a.Role
	})
	slices.SortStableFunc(offers, func(x, y authz.Offer) int { return cmp.Compare(heads(x), heads(y)) })
	for _, o := range offers {
		actions := wanted(o, a)
		if actions == nil {
			continue
		}
		return o, actions, nil
	}
	return authz.Offer{}, nil, noOffer(snap, a, dev, reach, now)
}

func heads(o authz.Offer) (n int) {
	for _, a := range o.Agree {
		n += a.Count
	}
	return n
}

// wanted gives the actions of an offer that are asked for; nil if it lacks one.
func wanted(o authz.Offer, a Question) []string {
	var out []string
	if a.Role != "" {
		for _, r := range o.Rights {
			if a.Login == "" || r.Login == "" || r.Login == a.Login {
				out = append(out, r.Action)
			}
		}
		return out
	}
	for _, word := range a.Actions {
		if word == "shell" {
			if word = shellOf(o, a.Login); word == "" {
				return nil
			}
		}
		if !slices.ContainsFunc(o.Rights, func(r authz.Right) bool { return gives(r, word) }) {
			return nil
		}
		out = append(out, word)
	}
	return out
}

// shellOf gives the shell of a login, or the only one that an offer has.
func shellOf(o authz.Offer, login string) string {
	switch {
	case login != "" && slices.Contains(o.Logins, login):
		return "shell:" + login
	case login == "" && len(o.Logins) == 1:
		return "shell:" + o.Logins[0]
	}
	return ""
}

// gives reports whether a right is an action or one that contains it, such as a directory.
func gives(r authz.Right, word string) bool {
	whole, err := authz.ParsePattern(r.Action)
	part, perr := authz.ParsePattern(word)
	return err == nil && perr == nil && whole.Contains(part)
}

// noOffer explains why no rule fits: the person has the right already, or there is a nearer way in.
func noOffer(snap *authz.Snapshot, a Question, dev authz.Device, reach authz.Reach, now time.Time) error {
	if a.Role != "" {
		if slices.ContainsFunc(reach.Open, func(o authz.Offer) bool { return o.Role == a.Role }) {
			return errkind.New(errkind.Conflict, fmt.Sprintf("you already have the role %s on %s, so you need no request", a.Role, dev.Name))
		}
		return errkind.New(errkind.Denied, fmt.Sprintf("no rule lets you ask for the role %s on %s", a.Role, dev.Name)).WithHint(askable(reach))
	}
	for _, word := range a.Actions {
		if word == "shell" {
			login := a.Login
			if logins := reach.Logins(authz.Program{Terminal: true}); login == "" && len(logins) > 0 {
				login = logins[0]
			}
			word = "shell:" + login
		}
		action, err := authz.ParseAction(word)
		if err != nil {
			return errkind.New(errkind.Usage, fmt.Sprintf("%q is not one action: %v", word, err)).WithHint(askable(reach))
		}
		d := authz.Decide(snap, authz.Request{Person: a.Person, Device: dev, Action: action, Ticket: a.Ticket}, now)
		if d.Allowed {
			return errkind.New(errkind.Conflict, fmt.Sprintf("you already have %s on %s, so you need no request", word, dev.Name))
		}
		if e := d.Explain(); !a.Emergency && len(e.CanAsk) == 0 {
			return errkind.New(errkind.Denied, e.Text).WithHint(e.Nearest)
		}
	}
	if a.Emergency {
		return errkind.New(errkind.Denied, fmt.Sprintf("no emergency rule gives you this on %s", dev.Name)).WithHint(askable(reach))
	}
	return errkind.New(errkind.Denied, "no single rule covers everything in this request").WithHint(askable(reach))
}

// askable lists what can be asked for.
func askable(r authz.Reach) string {
	var all []string
	for _, o := range r.Ask {
		if o.Via != "emergency" {
			all = append(all, fmt.Sprintf("%s (%s)", o.Role, o.Text))
		}
	}
	if len(all) == 0 {
		if i := slices.IndexFunc(r.Ask, func(o authz.Offer) bool { return o.Via == "emergency" }); i >= 0 {
			return fmt.Sprintf("Rule %s gives %s in an emergency: --emergency.", r.Ask[i].Rule, r.Ask[i].Role)
		}
		return "There is nothing that you can ask for there."
	}
	return "You can ask for " + strings.Join(all, "; ") + "."
}
