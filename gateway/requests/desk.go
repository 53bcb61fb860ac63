package requests

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Bounds against flooding (docs/policy.md, "Asking, step by step").
const (
	MostOfPerson  = 5
	MostForDevice = 20
	MostWait      = 24 * time.Hour // of a pending request
	expireEvery   = 15 * time.Second
)

// Rows keeps the requests. *sqlite.DB does.
type Rows interface {
	AddRequest(ctx context.Context, q store.Request, fits func(ofPerson, forDevice int) error) error
	Request(ctx context.Context, request string) (store.Request, error)
	ChangeRequest(ctx context.Context, request string, change func(*store.Request) error) (store.Request, error)
	Requests(ctx context.Context, f store.RequestFilter) ([]store.Request, int, error)
	DueRequests(ctx context.Context, now time.Time) ([]store.Request, error)
}

// Signer is the part of the signer that makes and ends grants.
type Signer interface {
	gateway.Policies
	Approve(ctx context.Context, by signer.Evidence, terms []byte) (signer.Approved, error)
	WithdrawGrant(ctx context.Context, request, why string) (signer.Appended, error)
}

// Rules is the gateway's copy of policy and grants. *gateway.Rules is one.
type Rules interface {
	Snapshot() *authz.Snapshot
	Load(ctx context.Context, from gateway.Policies) error
}

// Config is what a desk works with.
type Config struct {
	Rows   Rows
	Signer Signer
	Rules  Rules
	Broker interface{ Revalidate(ctx context.Context) } // decides again on live sessions
	Audit  interface {
		Record(ctx context.Context, e audit.Event) error
		Index(ctx context.Context, leaf uint64, typ, actor, subject string) error
	}
	Now func() time.Time
	Log *slog.Logger
}

// Desk takes requests and answers.
type Desk struct {
	cfg Config
	// answers is held from the signer's answer until its row is stored, so that a later answer is stored later.
	answers sync.Mutex
}

// New makes a desk.
func New(c Config) *Desk { return &Desk{cfg: c} }

// Run syncs rows with the signer's grants and expires requests, until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		err := d.syncGrants(ctx)
		if err == nil { // otherwise a request could expire that the signer has granted
			err = d.expire(ctx)
		}
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("the rows of requests may be behind the signer", slog.Any("error", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *Desk) expire(ctx context.Context) error {
	d.answers.Lock()
	defer d.answers.Unlock()
	due, err := d.cfg.Rows.DueRequests(ctx, d.cfg.Now())
	for _, q := range due {
		if _, e := d.cfg.Rows.ChangeRequest(ctx, q.ID, d.expired); e != nil && errkind.KindOf(e) != errkind.Conflict {
			err = e
		}
	}
	return err
}

// syncGrants stores each grant in force that has no row, and ends rows of grants that the signer does not have. Rows can
// differ after a crash or a restore. Every right must be listed.
func (d *Desk) syncGrants(ctx context.Context) error {
	d.answers.Lock()
	defer d.answers.Unlock()
	grants, err := d.cfg.Signer.Grants(ctx)
	if err != nil {
		return err
	}
	inForce, changed := map[string]bool{}, 0
	for _, c := range grants {
		t, e := ledger.ParseTerms(c.Terms)
		if e == nil {
			inForce[t.Request] = true
			e = d.syncGrant(ctx, t, c, &changed)
		}
		err = errors.Join(err, e)
	}
	err = errors.Join(err, d.endOthers(ctx, inForce, &changed))
	if changed > 0 {
		err = errors.Join(err, d.changed(ctx))
	}
	return err
}

// endOthers ends the rows of grants that are not in force at the signer.
func (d *Desk) endOthers(ctx context.Context, inForce map[string]bool, changed *int) error {
	now := d.cfg.Now()
	f := store.RequestFilter{EndsAfter: now, States: []string{store.RequestApproved, store.RequestUsed}, Page: store.Page{Number: 1, Size: store.MaxPage}}
	rows, _, err := d.cfg.Rows.Requests(ctx, f) // if there are more, a later round reaches them
	for _, q := range rows {
		if inForce[q.ID] {
			continue
		}
		_, e := d.cfg.Rows.ChangeRequest(ctx, q.ID, func(r *store.Request) error {
			r.Ended, r.By, r.Answer = now, "the gateway", "the signer has no such grant"
			return move(r, withdraw)
		})
		err = errors.Join(err, e)
		*changed++
	}
	return err
}

func (d *Desk) syncGrant(ctx context.Context, t ledger.Terms, c signer.Consent, changed *int) error {
	as := store.Request{ID: t.Request, Who: id.Principal{Issuer: t.Issuer, Subject: t.Subject}, Name: t.Name, Device: id.Device(t.Device),
		DeviceFP: t.DeviceFP, Rule: t.Rule, Actions: t.Actions, For: time.Duration(t.Seconds) * time.Second, Reason: t.Reason, Ticket: t.Ticket,
		State: store.RequestPending, Asked: c.From, Expires: c.From}
	row, err := d.cfg.Rows.Request(ctx, t.Request)
	if errkind.KindOf(err) == errkind.NotFound {
		row, err = as, d.cfg.Rows.AddRequest(ctx, as, func(int, int) error { return nil })
	}
	if err != nil || !row.From.IsZero() {
		return err
	}
	*changed++
	_, err = d.cfg.Rows.ChangeRequest(ctx, t.Request, func(r *store.Request) error { return d.approved(r, as, signer.Approved{Consent: c}) })
	return err
}

// expired moves a request whose time is up. For others it is an error.
func (d *Desk) expired(q *store.Request) error {
	now := d.cfg.Now()
	if now.Before(q.Expires) {
		return errkind.New(errkind.Conflict, "its time is not up")
	}
	if err := move(q, expire); err != nil {
		return err
	}
	q.Decided = now
	return nil
}

// Late marks a request as expired if Run has not done so yet.
func (d *Desk) Late(q store.Request) store.Request {
	_ = d.expired(&q) // most are not
	return q
}

func newID() string {
	var raw [16]byte
	rand.Read(raw[:])
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:]))
}

// terms encodes what whoever approves agrees to.
func terms(q *store.Request) ([]byte, error) {
	raw, err := ledger.Terms{V: ledger.TermsVersion, Request: q.ID, Issuer: q.Who.Issuer, Subject: q.Who.Subject, Name: q.Name,
		Device: string(q.Device), DeviceFP: q.DeviceFP, Rule: q.Rule, Actions: q.Actions, Seconds: uint32(q.For / time.Second),
		Reason: q.Reason, Ticket: q.Ticket}.Marshal()
	if err != nil {
		return nil, errkind.New(errkind.Usage, err.Error())
	}
	return raw, nil
}

// changed reloads the grants and decides again on live sessions.
func (d *Desk) changed(ctx context.Context) error {
	if err := d.cfg.Rules.Load(ctx, d.cfg.Signer); err != nil {
		return fmt.Errorf("the change is stored; loading the grants: %w", err)
	}
	d.cfg.Broker.Revalidate(ctx)
	return nil
}
