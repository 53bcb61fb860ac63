package requests

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// Less is what an approver approves, if it is less than what was requested. Zero fields mean all of it.
type Less struct {
	For     time.Duration
	Actions []string
}

// errCounted marks an error after the signer has counted an approval. The approval holds, and Run stores what is missing.
var errCounted = errors.New("the approval is in the log")

func counted(err error) error {
	return errkind.New(errkind.Unavailable, "the approval is in the log, but not all of it could be stored here").
		WithHint("The gateway tries again within 15 s. `sallyport request show` shows what came of it.").Because(fmt.Errorf("%w: %w", errCounted, err))
}

// Approve approves a request on the approver's evidence. Approving less changes the request for everybody, and earlier
// approvals become void.
func (d *Desk) Approve(ctx context.Context, who authz.Person, by signer.Evidence, request string, less Less) (store.Request, error) {
	if err := d.mayApprove(ctx, who, request); err != nil {
		return store.Request{}, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return store.Request{}, err
	}
	defer unlock()
	q, err := d.cfg.Rows.Request(ctx, request)
	if err != nil {
		return q, err
	}
	if q = d.Late(q); q.State != store.RequestPending {
		return q, move(&q, complete)
	}
	if err := narrow(&q, less); err != nil {
		return q, err
	}
	raw, err := terms(&q)
	if err != nil {
		return q, err
	}
	about, err := d.tellGranted(ctx, &q)
	if err != nil {
		return q, err
	}
	ctx = context.WithoutCancel(ctx) // once the signer counts it, finish even if the caller disconnects
	out, err := d.cfg.Signer.Approve(ctx, by, raw)
	if err != nil {
		return q, err
	}
	changed, err := d.cfg.Rows.ChangeRequest(ctx, request, func(r *store.Request) error { return d.approved(r, q, out) }, about)
	if err != nil {
		return q, counted(err)
	}
	d.wake()
	err = d.index(ctx, who, &q, out)
	if out.Consent.Granted() {
		err = errors.Join(err, d.changed(ctx))
	}
	if err != nil {
		return changed, counted(err)
	}
	return changed, nil
}

// index makes the leaves of an approval searchable.
func (d *Desk) index(ctx context.Context, who authz.Person, q *store.Request, out signer.Approved) (err error) {
	add := func(leaf uint64, typ string, actor id.Principal) {
		err = errors.Join(err, d.cfg.Audit.Index(ctx, leaf, typ, actor.String(), string(q.Device)))
	}
	if out.Leaf > 0 {
		add(out.Leaf, "approved", who.ID)
	}
	if out.Consent.Emergency {
		add(out.Consent.Alarm, "emergency", q.Who)
	}
	if out.Consent.Granted() {
		add(out.Consent.Leaf, "granted", q.Who)
	}
	return err
}

// mayApprove refuses who cannot approve a request before anything waits for the signer. The signer judges by itself.
func (d *Desk) mayApprove(ctx context.Context, who authz.Person, request string) error {
	q, err := d.cfg.Rows.Request(ctx, request)
	if err != nil {
		return err
	}
	owner, err := d.owner(ctx, who, &q)
	if err != nil {
		return err
	}
	agree, _, _, ok := d.cfg.Rules.Snapshot().Policy.Needs(q.Rule)
	if d.Speaks(who, &q, owner) || ok && len(agree) == 0 && who.ID == q.Who {
		return nil
	}
	if d.cfg.Rules.Snapshot().Policy.Same(who.ID, q.Who) {
		return errkind.New(errkind.Denied, "you cannot approve your own request").WithHint("Another person whom its rule names can.")
	}
	return errkind.New(errkind.Denied, "you cannot answer this request").
		WithHint(whoAnswers)
}

const whoAnswers = "You need the duty approve and a group that the request's rule names. If it names @owner: the duty own, ownership of the site, and a sign-in instead of an API token."

// owner reports whether the person owns the site of a request's device.
func (d *Desk) owner(ctx context.Context, who authz.Person, q *store.Request) (bool, error) {
	if q.Site == "" {
		return false, nil
	}
	sites, err := d.cfg.Rows.SitesOwnedBy(ctx, who.ID)
	return slices.Contains(sites, q.Site), err
}

// approved takes over what the signer says of a request.
func (d *Desk) approved(r *store.Request, as store.Request, out signer.Approved) error {
	e := agree
	if out.Consent.Granted() {
		e = complete
		r.From, r.Until, r.Decided = out.Consent.From, out.Consent.Until, out.Consent.From
	}
	if err := move(r, e); err != nil {
		return err
	}
	if out.Consent.Emergency {
		d.loud(r)
	}
	r.For, r.Actions, r.Approvals = as.For, as.Actions, nil
	for _, v := range out.Consent.Voices {
		r.Approvals = append(r.Approvals, store.Approval{Who: v.Who, Name: v.Name, For: v.For, At: v.At})
	}
	return nil
}

// narrow changes a request to less, and refuses more.
func narrow(q *store.Request, less Less) error {
	if less.For != 0 {
		if less.For > q.For {
			return errkind.New(errkind.Usage, fmt.Sprintf("the time must be at most %d min, as requested", int(q.For/time.Minute)))
		}
		if less.For < authz.MinAskFor {
			return errkind.New(errkind.Usage, "the time must be at least one minute")
		}
		q.For = less.For.Truncate(time.Second)
	}
	if less.Actions == nil {
		return nil
	}
	for _, word := range less.Actions {
		part, err := authz.ParsePattern(word)
		if err != nil {
			return errkind.New(errkind.Usage, err.Error())
		}
		if !slices.ContainsFunc(q.Actions, func(a string) bool { p, err := authz.ParsePattern(a); return err == nil && p.Contains(part) }) {
			return errkind.New(errkind.Usage, fmt.Sprintf("%s is not in the request", word)).WithHint("Approve some of the actions of the request.")
		}
	}
	q.Actions = less.Actions
	return nil
}

// Speaks reports whether a person can approve or deny requests like this one: the rule names them, and it is not their own.
// owner: they own the site of the device.
func (d *Desk) Speaks(who authz.Person, q *store.Request, owner bool) bool {
	p := d.cfg.Rules.Snapshot().Policy
	return !p.Same(who.ID, q.Who) && len(p.Voices(q.Rule, who, owner)) > 0
}

// covers reports whether one of the actions of a request contains the action of a session.
func covers(actions []string, action string) bool {
	a, err := authz.ParsePattern(action)
	return err == nil && slices.ContainsFunc(actions, func(word string) bool { p, err := authz.ParsePattern(word); return err == nil && p.Contains(a) })
}
