package requests

import (
	"cmp"
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
	Grant    string // that allows the session; empty: a rule does
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
	if m.Grant == "" {
		return Question{}, errkind.New(errkind.Denied, fmt.Sprintf("rule %s does not allow this session for longer", s.Rule)).
			WithHint("The rule allows it without a request, so there is nothing to approve. Open a new session when the rule allows one.")
	}
	g, err := d.cfg.Rows.Request(ctx, m.Grant)
	if err != nil {
		return Question{}, err
	}
	return Question{Person: m.Person, Device: m.Device, Rule: g.Rule, Actions: g.Actions, For: cmp.Or(m.For, g.For),
		Reason: cmp.Or(strings.TrimSpace(m.Reason), g.Reason), Ticket: cmp.Or(s.Ticket, g.Ticket), ViaToken: m.ViaToken, Evidence: m.Evidence,
		Emergency: g.Emergency, again: true}, nil
}
