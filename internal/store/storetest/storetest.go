// Package storetest is the one suite that every store must pass, so that no rule lives in one database alone.
//
// It asks for what the others rely on: that of many at once exactly one wins, that a change which fails changes nothing, and
// that lists come in one order. A store's own tests call Run and add what is theirs.
package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// DB is everything that a database does. It stands here and nowhere else: who needs rows names the few methods it uses.
type DB interface {
	AddDevice(ctx context.Context, d store.Device) error
	Device(ctx context.Context, name id.Device) (store.Device, error)
	DeviceByFP(ctx context.Context, fp [32]byte) (store.Device, error)
	DeviceByNoise(ctx context.Context, key [32]byte) (store.Device, error)
	Devices(ctx context.Context, f store.DeviceFilter) ([]store.Device, int, error)
	AllDevices(ctx context.Context) ([]store.Device, error)
	RevokedDevices(ctx context.Context) ([]store.Device, error)
	ChangeDevice(ctx context.Context, fp [32]byte, change func(*store.Device) error,
		events ...store.AuditEvent) (store.Device, error)
	SetPresence(ctx context.Context, fp [32]byte, p store.Presence) error
	SetPresences(ctx context.Context, all map[[32]byte]store.Presence) error
	DisconnectAll(ctx context.Context, node string, when time.Time) (int, error)

	AddJoinToken(ctx context.Context, t store.JoinToken, events ...store.AuditEvent) error
	JoinToken(ctx context.Context, tokenID [16]byte) (store.JoinToken, error)
	JoinTokens(ctx context.Context) ([]store.JoinToken, error)
	RevokeJoinToken(ctx context.Context, tokenID [16]byte, when time.Time, by string, events ...store.AuditEvent) error
	Redeem(ctx context.Context, tokenID [16]byte, fp, noise [32]byte, addr string, decide func(store.Joining) (store.Joined, error)) (store.Device, error)
	AddBundle(ctx context.Context, b store.Bundle) error
	BundleByHash(ctx context.Context, hash [32]byte) (store.Bundle, error)
	LatestBundle(ctx context.Context) (store.Bundle, error)

	AddSession(ctx context.Context, s store.Session) error
	AddDecided(ctx context.Context, s store.Session, d store.Decision, events ...store.AuditEvent) error
	Session(ctx context.Context, sid id.Session) (store.Session, error)
	SessionByPrefix(ctx context.Context, prefix string) (store.Session, error)
	ChangeSession(ctx context.Context, sid id.Session, change func(*store.Session) error) (store.Session, error)
	Sessions(ctx context.Context, f store.SessionFilter) ([]store.Session, int, error)
	RunningSessions(ctx context.Context) ([]store.Session, error)
	AddPart(ctx context.Context, p store.Part) error
	AddPass(ctx context.Context, p store.Pass) error
	Passes(ctx context.Context, sid id.Session, part uint32) ([]store.Pass, error)
	Part(ctx context.Context, sid id.Session, n uint32) (store.Part, error)
	Retained(ctx context.Context, now time.Time) ([]store.Retained, error)
	Parts(ctx context.Context, sid id.Session) ([]store.Part, error)
	ChangePart(ctx context.Context, sid id.Session, n uint32, change func(*store.Part) error) (store.Part, error)
	ChangeRecorded(ctx context.Context, sid id.Session, n uint32, change func(*store.Session, *store.Part) error) error
	UnclosedParts(ctx context.Context) ([]store.Part, error)

	PutPrincipal(ctx context.Context, p store.Principal) error
	Principal(ctx context.Context, p id.Principal) (store.Principal, error)
	Principals(ctx context.Context) ([]store.Principal, error)
	AddWebSession(ctx context.Context, s store.WebSession) error
	ReplaceWebSession(ctx context.Context, old [32]byte, next store.WebSession, closeAt time.Time) error
	SignOuts(ctx context.Context, now time.Time) ([][32]byte, error)
	SignedOut(ctx context.Context, token [32]byte) error
	WebSession(ctx context.Context, hash [32]byte) (store.WebSession, error)
	WebSessionsOf(ctx context.Context, p id.Principal) ([]store.WebSession, error)
	TouchWebSession(ctx context.Context, hash [32]byte, when time.Time) error
	EndWebSession(ctx context.Context, hash [32]byte) (store.WebSession, error)
	EndWebSessionsBySID(ctx context.Context, issuer, sid string) ([]store.WebSession, error)
	EndWebSessionsOf(ctx context.Context, p id.Principal) ([]store.WebSession, error)
	SweepWebSessions(ctx context.Context, now time.Time) ([]store.WebSession, error)
	SignInsWithoutRefresh(ctx context.Context, now time.Time) (map[string]int, error)
	AddAPIToken(ctx context.Context, t store.APIToken) error
	APIToken(ctx context.Context, tokenID string) (store.APIToken, error)
	APITokenByHash(ctx context.Context, hash [32]byte) (store.APIToken, error)
	APITokens(ctx context.Context, p id.Principal) ([]store.APIToken, error)
	RevokeAPIToken(ctx context.Context, tokenID string, when time.Time) error
	RevokeAPITokensOf(ctx context.Context, p id.Principal, when time.Time) ([]store.APIToken, error)
	TouchAPIToken(ctx context.Context, tokenID string, when time.Time) error
	PutSite(ctx context.Context, s store.Site) error
	Site(ctx context.Context, name string) (store.Site, error)
	Sites(ctx context.Context) ([]store.Site, error)
	SitesOwnedBy(ctx context.Context, p id.Principal) ([]string, error)

	AddPolicy(ctx context.Context, p store.PolicyVersion) error
	Policy(ctx context.Context, version int) (store.PolicyVersion, error)
	LatestPolicy(ctx context.Context) (store.PolicyVersion, error)
	Policies(ctx context.Context) ([]store.PolicyVersion, error)
	Decisions(ctx context.Context, f store.DecisionFilter) ([]store.Decision, error)
	AddAudit(ctx context.Context, e store.AuditEvent) (int64, error)
	AuditEvents(ctx context.Context, f store.AuditFilter) ([]store.AuditEvent, error)

	AddRequest(ctx context.Context, q store.Request, fits func(ofPerson, forDevice int) error, notifications ...store.Notification) error
	Request(ctx context.Context, request string) (store.Request, error)
	ChangeRequest(ctx context.Context, request string, change func(*store.Request) error,
		notifications ...func(store.Request) []store.Notification) (store.Request, error)
	Requests(ctx context.Context, f store.RequestFilter) ([]store.Request, int, error)
	DueRequests(ctx context.Context, now time.Time) ([]store.Request, error)

	AddNotifications(ctx context.Context, all ...store.Notification) error
	DueNotifications(ctx context.Context, channel string, now time.Time, most int) ([]store.Notification, error)
	DueChannels(ctx context.Context, now time.Time) ([]string, error)
	ChangeNotification(ctx context.Context, notification string, change func(*store.Notification) error) (store.Notification, error)
	Notifications(ctx context.Context, f store.NotificationFilter) ([]store.Notification, int, error)
	AddOnlineWatch(ctx context.Context, w store.OnlineWatch, fits func(others int) error) error
	DropOnlineWatch(ctx context.Context, fp [32]byte, who id.Principal) error
	OnlineWatchesOf(ctx context.Context, who id.Principal) ([]store.OnlineWatch, error)
	OnlineWatches(ctx context.Context, fp [32]byte) ([]store.OnlineWatch, error)
	TakeOnlineWatches(ctx context.Context, fp [32]byte, notifications ...store.Notification) error
	CountNotifications(ctx context.Context, state string) (int, error)
	PruneNotifications(ctx context.Context, sent, dead time.Time) (int64, error)

	Ping(ctx context.Context) error
	Close() error
}

// Run runs every check, each on a database of its own that open makes empty.
func Run(t *testing.T, open func(t *testing.T) DB) {
	for _, c := range []struct {
		name  string
		check func(*suite)
	}{
		{"a device reads back as it was stored", deviceRoundTrip},
		{"a name is taken by one device that is not revoked", deviceNames},
		{"a change of a device is all or nothing", deviceChange},
		{"device lists are filtered, counted and paged", deviceLists},
		{"presence only moves forward what must not fall", presence},
		{"a join code reads back and is revoked once", joinTokens},
		{"a join code with one use is redeemed once by fifty at a time", redeemOnce},
		{"a redemption that fails or repeats writes nothing", redeemNothing},
		{"bundles are found by hash and by age", bundles},
		{"a session reads back as it was stored", sessionRoundTrip},
		{"a session is found by prefix and as the last", sessionPrefix},
		{"session lists are filtered by every field", sessionFilters},
		{"session lists page by key while new ones arrive", sessionPaging},
		{"a list has the beginning of long commands", sessionLong},
		{"who may not see everything sees their own and their sites'", sessionSight},
		{"parts read back and are listed in order", parts},
		{"further passes of a part are listed by their numbers", passes},
		{"principals are stored as last seen", principals},
		{"web sessions rotate and end", webSessions},
		{"the signer is told of sign-ins that have ended", signOuts},
		{"API tokens are found by hash and revoked once", apiTokens},
		{"sites have owners", sites},
		{"requests are bounded, changed and listed", requests},
		{"request lists are filtered by what people see and can answer", requestLists},
		{"notifications are stored with their request, found when due, and pruned", notifications},
		{"people wait for devices until they are told", watches},
		{"policy versions only grow", policies},
		{"decisions are listed by key", decisions},
		{"audit events are found by every field", auditEvents},
		{"a context that is over stops a call", contexts},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := open(t)
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.check(&suite{T: t, DB: db, ctx: t.Context()})
		})
	}
}

type suite struct {
	*testing.T
	DB
	ctx context.Context
}

// t0 has microseconds, which must survive, and nothing finer.
var t0 = time.Date(2026, 3, 2, 10, 0, 0, 123456000, time.UTC)

func at(n int) time.Time { return t0.Add(time.Duration(n) * time.Minute) }

var (
	tess = id.Principal{Issuer: "https://idp.test", Subject: "tess"}
	ada  = id.Principal{Issuer: "https://idp.test", Subject: "ada"}
	also = id.Principal{Issuer: "https://other.test", Subject: "tess"} // the same subject elsewhere is somebody else
)

func key(n int) (k [32]byte) {
	k[0], k[1], k[31] = byte(n), byte(n>>8), 0xaa
	return k
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) same(what string, got, want any) {
	s.Helper()
	if !reflect.DeepEqual(got, want) {
		s.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// is checks that an error is one of the store's own and may be shown to people.
func (s *suite) is(what string, err, want error, kind errkind.Kind) {
	s.Helper()
	if !errors.Is(err, want) || errkind.KindOf(err) != kind {
		s.Errorf("%s: got %v (kind %d), want %v (kind %d)", what, err, errkind.KindOf(err), want, kind)
	}
}

func (s *suite) missing(what string, err error) {
	s.Helper()
	s.is(what, err, store.ErrNotFound, errkind.NotFound)
}

func (s *suite) taken(what string, err error) {
	s.Helper()
	s.is(what, err, store.ErrConflict, errkind.Conflict)
}

func get[T any](s *suite) func(v T, err error) T {
	return func(v T, err error) T {
		s.Helper()
		if err != nil {
			s.Fatal(err)
		}
		return v
	}
}

func contexts(s *suite) {
	over, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := s.AddDevice(over, device(1)); !errors.Is(err, context.Canceled) {
		s.Errorf("write: got %v, want canceled", err)
	}
	if _, err := s.AllDevices(over); !errors.Is(err, context.Canceled) {
		s.Errorf("read: got %v, want canceled", err)
	}
	s.ok(s.Ping(s.ctx))
	s.same("devices", len(get[[]store.Device](s)(s.AllDevices(s.ctx))), 0)
}
