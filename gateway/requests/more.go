package requests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// More is a request for more time in a running session.
type More struct {
	Person   authz.Person
	Session  store.Session
	Device   store.Device
	For      time.Duration // zero: as long as its grant
	Reason   string        // empty: the session's own
	ViaToken string        // id of the API token
	Evidence signer.Evidence
}

// More asks for the right that a session uses once more, under the same rule. If such a request is pending already, it
// returns that one. A session under an allow rule has no rule to ask under.
func (d *Desk) More(ctx context.Context, m More) (store.Request, error) {
	q, err := d.moreQuestion(ctx, m)
	if err != nil {
		return store.Request{}, err
	}
	rows, _, err := d.cfg.Rows.Requests(ctx, store.RequestFilter{Who: m.Person.ID, Device: m.Device.Name, States: []string{store.RequestPending}})
	if err != nil {
		return store.Request{}, err
	}
	i := slices.IndexFunc(rows, func(r store.Request) bool {
		return r.Rule == q.Rule && covers(r.Actions, m.Session.Action) && d.Late(r).State == store.RequestPending
	})
	if i >= 0 {
		return rows[i], nil
	}
	return d.Ask(ctx, q)
}

// moreQuestion takes actions, time and texts from the grant that the session uses.
func (d *Desk) moreQuestion(ctx context.Context, m More) (Question, error) {
	s := m.Session
	if _, _, _, ok := d.cfg.Rules.Snapshot().Policy.Needs(s.Rule); !ok {
		return Question{}, errkind.New(errkind.Denied, fmt.Sprintf("rule %s gives no more time", s.Rule)).
			WithHint("It allows the session without a request, so nobody can approve more. Open another session when it allows one.")
	}
	f := store.RequestFilter{Who: s.Principal, Device: s.Device, Granted: true, EndsAfter: d.cfg.Now()}
	rows, _, err := d.cfg.Rows.Requests(ctx, f)
	if err != nil {
		return Question{}, err
	}
	q := Question{Person: m.Person, Device: m.Device, Rule: s.Rule, Actions: []string{s.Action}, For: m.For, Reason: m.Reason, Ticket: s.Ticket,
		ViaToken: m.ViaToken, Evidence: m.Evidence, again: true}
	i := slices.IndexFunc(rows, func(r store.Request) bool { return r.Rule == s.Rule && covers(r.Actions, s.Action) })
	if i < 0 {
		return q, errkind.New(errkind.Conflict, "the grant of this session has ended").WithHint("Ask for a new one: `sallyport request`.")
	}
	if q.Actions = rows[i].Actions; q.For == 0 {
		q.For = rows[i].For
	}
	if strings.TrimSpace(q.Reason) == "" {
		q.Reason = rows[i].Reason
	}
	if q.Ticket == "" {
		q.Ticket = rows[i].Ticket
	}
	return q, nil
}
