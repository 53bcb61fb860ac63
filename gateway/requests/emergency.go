package requests

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// leastReview is the time for a review if the rule of an emergency grant has gone meanwhile.
const leastReview = 24 * time.Hour

// loud marks a request as an emergency that began, and sets when it must be reviewed.
func (d *Desk) loud(r *store.Request) {
	within, ok := d.cfg.Rules.Snapshot().Policy.Emergency(r.Rule)
	if !ok {
		within = leastReview
	}
	r.Emergency, r.ReviewBy = true, r.From.Add(within)
}

// named lists the people who are told of each grant under the rule of a request. Owners are those of the device's site.
func (d *Desk) named(ctx context.Context, q *store.Request) ([]store.Principal, error) {
	tell := d.cfg.Rules.Snapshot().Policy.Tell(q.Rule)
	if len(tell) == 0 {
		return nil, nil
	}
	return d.people(ctx, q.Site, func(p *store.Principal, owner bool) bool {
		return p.ID != q.Who && slices.ContainsFunc(tell, func(from string) bool {
			return from == authz.OwnerOfSite && owner || slices.Contains(p.Groups, from)
		})
	})
}

// Review records that an officer has looked at what was done under an emergency grant. Nobody reviews their own, and a
// grant in force is not reviewed, because more can be done under it. The caller has checked the duty review.
func (d *Desk) Review(ctx context.Context, who authz.Person, request, note string) (store.Request, error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return store.Request{}, err
	}
	defer unlock()
	q, err := d.cfg.Rows.Request(ctx, request)
	if err != nil {
		return q, err
	}
	if err := d.reviewable(who, &q); err != nil {
		return q, err
	}
	ctx = context.WithoutCancel(ctx) // the log and the row say the same
	e := audit.Event{Type: "reviewed", Actor: who.ID.String(), Subject: string(q.Device), Addr: who.Address.String(),
		Fields: map[string]string{"request": q.ID, "note": note}}
	if err := d.cfg.Audit.Record(ctx, e); err != nil {
		return q, err
	}
	return d.cfg.Rows.ChangeRequest(ctx, request, func(r *store.Request) error {
		r.Reviewed, r.Reviewer, r.Review = d.cfg.Now(), who.Name, note
		return nil
	})
}

func (d *Desk) reviewable(who authz.Person, q *store.Request) error {
	switch {
	case !q.Emergency:
		return errkind.New(errkind.Conflict, "only an emergency grant can be reviewed")
	case tookPart(d.cfg.Rules.Snapshot().Policy, who.ID, q):
		return errkind.New(errkind.Denied, "you cannot review an emergency grant of your own, or one that you approved").
			WithHint("Another person with the duty review can.")
	case !q.Reviewed.IsZero():
		return errkind.New(errkind.Conflict, fmt.Sprintf("%s has reviewed this already", q.Reviewer))
	case q.Ended.IsZero() && d.cfg.Now().Before(q.Until):
		return errkind.New(errkind.Conflict, "this grant is still in force, so more can be done under it").
			WithHint("Withdraw it, or review it after its end.")
	}
	return nil
}

// tookPart reports whether a person uses a grant or approved it. Such a person must not review it.
func tookPart(p *authz.Policy, who id.Principal, q *store.Request) bool {
	return p.Same(who, q.Who) || slices.ContainsFunc(q.Approvals, func(a store.Approval) bool { return p.Same(a.Who, who) })
}

// remind tells the reviewers once of each review that is overdue.
func (d *Desk) remind(ctx context.Context) error {
	late, err := d.cfg.Rows.LateReviews(ctx, d.cfg.Now())
	for _, q := range late {
		if able, e := d.reviewers(ctx, &q); e != nil || len(able) == 0 {
			err = errors.Join(err, e)
			d.nobodyReviews(&q)
			continue
		}
		about, e := d.tell(ctx, notifications.Overdue, &q)
		if e == nil {
			_, e = d.cfg.Rows.ChangeRequest(ctx, q.ID, func(r *store.Request) error { r.Reminded = d.cfg.Now(); return nil }, about)
		}
		err = errors.Join(err, e)
	}
	return err
}

// nobodyReviews logs, at most once an hour, that a review is overdue and nobody known can make it.
func (d *Desk) nobodyReviews(q *store.Request) {
	if now := d.cfg.Now(); now.Sub(d.warned) >= time.Hour {
		d.warned = now
		d.cfg.Log.Error("an emergency grant must be reviewed, and nobody with the duty review has signed in within 90 days",
			slog.String("grant", q.ID), slog.Time("due", q.ReviewBy))
	}
}

// reviewers lists the people who can review an emergency grant.
func (d *Desk) reviewers(ctx context.Context, q *store.Request) ([]store.Principal, error) {
	p := d.cfg.Rules.Snapshot().Policy
	return d.people(ctx, q.Site, func(who *store.Principal, _ bool) bool {
		return !tookPart(p, who.ID, q) && slices.Contains(p.Duties(who.Groups), authz.DutyReview)
	})
}
