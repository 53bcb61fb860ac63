package requests

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/notifications"
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
	AddRequest(ctx context.Context, q store.Request, fits func(ofPerson, forDevice int) error, notifications ...store.Notification) error
	Request(ctx context.Context, request string) (store.Request, error)
	ChangeRequest(ctx context.Context, request string, change func(*store.Request) error,
		notifications ...func(store.Request) []store.Notification) (store.Request, error)
	Requests(ctx context.Context, f store.RequestFilter) ([]store.Request, int, error)
	DueRequests(ctx context.Context, now time.Time) ([]store.Request, error)
	LateReviews(ctx context.Context, now time.Time) ([]store.Request, error)
	Site(ctx context.Context, name string) (store.Site, error)
	SitesOwnedBy(ctx context.Context, p id.Principal) ([]string, error)
	PutSite(ctx context.Context, s store.Site) error
	UseGrant(ctx context.Context, grant string, session id.Session) error
	Device(ctx context.Context, name id.Device) (store.Device, error)
	Principal(ctx context.Context, p id.Principal) (store.Principal, error)
	Principals(ctx context.Context) ([]store.Principal, error)
	DeviceByFP(ctx context.Context, fp [32]byte) (store.Device, error)
	AddOnlineWatch(ctx context.Context, w store.OnlineWatch, fits func(others int) error) error
	OnlineWatches(ctx context.Context, fp [32]byte) ([]store.OnlineWatch, error)
	TakeOnlineWatches(ctx context.Context, fp [32]byte, notifications ...store.Notification) error
}

// Signer is the part of the signer that makes and ends grants.
type Signer interface {
	gateway.Policies
	Approve(ctx context.Context, by signer.Evidence, terms []byte) (signer.Approved, error)
	WithdrawGrant(ctx context.Context, request, why string) (signer.Appended, error)
	Sites(ctx context.Context) ([]signer.Site, error)
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
	Notifications Notifications // nil: no notifications
	Now           func() time.Time
	Log           *slog.Logger
}

// Desk takes requests and answers.
type Desk struct {
	cfg Config
	// answers has one item while nobody changes a request. It is taken from before the signer's answer until its row is
	// stored, so that a later answer is stored later. It also guards stale.
	answers chan struct{}
	warned  time.Time // when nobodyReviews logged last; guarded as stale
	stale   bool      // the gateway's copy of the grants may be behind the signer's
}

// New makes a desk.
func New(c Config) *Desk {
	d := &Desk{cfg: c, answers: make(chan struct{}, 1)}
	d.answers <- struct{}{}
	return d
}

// lock waits for its turn to change a request. It returns the function that ends the turn, or why ctx ended.
func (d *Desk) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case <-d.answers:
		return func() { d.answers <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Alone runs change while nobody else changes requests or the owners of sites here.
func (d *Desk) Alone(ctx context.Context, change func() error) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return change()
}

// Run syncs rows with the signer's grants and expires requests, until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		if err := d.round(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.Error("the rows of requests may be behind the signer", slog.Any("error", err))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// round syncs and expires once. Without the signer's grants nothing expires: a request could that the signer has granted.
func (d *Desk) round(ctx context.Context) error {
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	grants, err := signer.AllGrants(ctx, d.cfg.Signer)
	if err != nil {
		return err
	}
	return errors.Join(d.syncGrants(ctx, grants), d.expire(ctx), d.remind(ctx), d.syncSites(ctx), d.followDevices(ctx))
}

func (d *Desk) expire(ctx context.Context) error {
	due, err := d.cfg.Rows.DueRequests(ctx, d.cfg.Now())
	for _, q := range due {
		about, e := d.tell(ctx, notifications.Expired, &q)
		if e == nil {
			_, e = d.cfg.Rows.ChangeRequest(ctx, q.ID, d.expired, about)
		}
		if e != nil && errkind.KindOf(e) != errkind.Conflict {
			err = e
		}
	}
	d.wake()
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

// terms encodes what an approver approves.
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
// If that fails, Run tries again.
func (d *Desk) changed(ctx context.Context) error {
	d.stale = true
	if err := d.cfg.Rules.Load(ctx, d.cfg.Signer); err != nil {
		return fmt.Errorf("the change is stored; loading the grants: %w", err)
	}
	d.cfg.Broker.Revalidate(ctx)
	d.stale = false
	return nil
}
