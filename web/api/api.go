// Package api is the HTTP API of the gateway, /api/v1. The bodies are those of package apitype; the description is
// generated from them (openapi.yaml, kept beside this file, and a test fails when it drifts).
//
// # Who may what
//
// Every operation but the sign-in page's asks who calls first. Then it is one of three: something of the caller's own, something
// that follows from a duty of the policy, or something on a device, which the broker and the policy decide. An API token has
// the duties of its groups only as far as its scopes and the policy's by_token go.
//
// What does not exist and what the caller may not see read the same.
//
// # Evidence first
//
// Looking at a record, exporting it and searching in records are events of the log before they happen. If the event cannot
// be written, the answer is a refusal.
package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/limit"
)

// Site is what the pages say of this gateway.
type Site struct {
	Name      string
	Notice    []string // the four lines before every session
	Demo      bool
	Providers []apitype.Provider
	URL       string // for the enrolment command
}

// Rules is the policy in force. *gateway.Rules is one.
type Rules interface {
	Snapshot() *authz.Snapshot
	Version() signer.Policy
	Load(ctx context.Context, from gateway.Policies) error
}

// Broker decides on sessions and ends them. *gateway.Broker is one.
type Broker interface {
	Ask(ctx context.Context, a gateway.Ask) (store.Session, error)
	AskChannel(ctx context.Context, a gateway.ChannelAsk) (uint32, error)
	End(ctx context.Context, sid id.Session, by, why string) error
	EndAllOf(key, why string)
	MoreTime(ctx context.Context, sid id.Session, by signer.Evidence) (gateway.MoreTime, error)
	Revalidate(ctx context.Context)
	LiveOn(device id.Device) int
	Watch(sid id.Session, channel uint32) (*gateway.Watched, error)
}

// Tickets gives permissions to connect the terminal socket.
type Tickets interface {
	Issue(key string, session id.Session, channel uint32) (string, error)
}

// Store is what the API reads, and the few rows it writes.
type Store interface {
	Device(ctx context.Context, name id.Device) (store.Device, error)
	AllDevices(ctx context.Context) ([]store.Device, error)
	RevokedDevices(ctx context.Context) ([]store.Device, error)
	Session(ctx context.Context, sid id.Session) (store.Session, error)
	SessionByPrefix(ctx context.Context, prefix string) (store.Session, error)
	Sessions(ctx context.Context, f store.SessionFilter) ([]store.Session, int, error)
	Parts(ctx context.Context, sid id.Session) ([]store.Part, error)
	Decisions(ctx context.Context, f store.DecisionFilter) ([]store.Decision, error)
	Site(ctx context.Context, name string) (store.Site, error)
	Sites(ctx context.Context) ([]store.Site, error)
	PutSite(ctx context.Context, s store.Site) error
	SitesOwnedBy(ctx context.Context, p id.Principal) ([]string, error)
	Principals(ctx context.Context) ([]store.Principal, error)
	Principal(ctx context.Context, p id.Principal) (store.Principal, error)
	OnlineWatchesOf(ctx context.Context, who id.Principal) ([]store.OnlineWatch, error)
	DropOnlineWatch(ctx context.Context, fp [32]byte, who id.Principal) error
	AddAPIToken(ctx context.Context, t store.APIToken) error
	APIToken(ctx context.Context, tokenID string) (store.APIToken, error)
	APITokens(ctx context.Context, p id.Principal) ([]store.APIToken, error)
	RevokeAPIToken(ctx context.Context, tokenID string, when time.Time) error
	AddPolicy(ctx context.Context, p store.PolicyVersion) error
	Policy(ctx context.Context, version int) (store.PolicyVersion, error)
	Policies(ctx context.Context) ([]store.PolicyVersion, error)
	Retained(ctx context.Context, now time.Time) ([]store.Retained, error)
	AuditEvents(ctx context.Context, f store.AuditFilter) ([]store.AuditEvent, error)
	Requests(ctx context.Context, f store.RequestFilter) ([]store.Request, int, error)
}

// Signer is the part of the signer that the API calls.
type Signer interface {
	gateway.Policies
	ApplyPolicy(ctx context.Context, by signer.Evidence, files []signer.PolicyFile, reason string) (signer.Policy, error)
	PutToken(ctx context.Context, by signer.Evidence, t signer.Token) (signer.Appended, error)
	RevokeToken(ctx context.Context, tokenID, why string) (signer.Appended, error)
	PutSite(ctx context.Context, by signer.Evidence, site signer.Site) (signer.Appended, error)
	Sites(ctx context.Context) ([]signer.Site, error)
	Proposals(ctx context.Context) ([]signer.Proposal, error)
	Proposal(ctx context.Context, proposal string) (signer.Proposal, error)
	DropProposal(ctx context.Context, proposal, why string) (signer.Appended, error)
	MapGroups(ctx context.Context, by signer.Evidence, added []signer.Mapping) (signer.Appended, error)
	Head(ctx context.Context) ([]byte, error)
	ProveConsistency(ctx context.Context, from, to uint64) ([]wire.Hash, error)
	Keys(ctx context.Context) (signer.PublicKeys, error)
}

// Auditor writes events of the log. *audit.Log is one.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
	Index(ctx context.Context, leaf uint64, typ, actor, subject string) error
}

// Records reads recordings and makes evidence of them. *records.Records does. What takes a channel's number ch is of that
// channel alone, and of the first one where it is 0.
type Records interface {
	Timeline(ctx context.Context, s store.Session, parts []store.Part) (apitype.Timeline, error)
	ReplayIndex(ctx context.Context, s store.Session, parts []store.Part, ch uint32, idle time.Duration, w io.Writer) error
	ReplaySegment(ctx context.Context, s store.Session, parts []store.Part, ch uint32, n int, idle time.Duration, until uint64, w io.Writer) error
	Transcript(ctx context.Context, s store.Session, parts []store.Part, ch uint32, w io.Writer) error
	Output(ctx context.Context, s store.Session, parts []store.Part, ch uint32, w io.Writer) error
	Watch(ctx context.Context, parts []store.Part, opt archive.FollowOptions, confirmed archive.Confirmed,
		emit func(apitype.Written) error) error
	Input(ctx context.Context, s store.Session, parts []store.Part, ch uint32, w io.Writer) error
	Cast(ctx context.Context, s store.Session, parts []store.Part, ch uint32, version int, w io.Writer) error
	Verify(ctx context.Context, s store.Session, parts []store.Part) (apitype.Verdict, error)
	Differences(ctx context.Context, s store.Session, parts []store.Part) ([]string, error)
	Export(ctx context.Context, s store.Session, parts []store.Part, w io.Writer) error
}

// Config is what the API is made of.
type Config struct {
	Site          Site
	Who           func(*http.Request) (Asker, error)
	Rules         Rules
	Broker        Broker
	Tickets       Tickets
	Store         Store
	Office        Office
	Desk          Desk
	Notifications Notifications
	Records       Records
	Signer        Signer
	Audit         Auditor
	SignOut       func(ctx context.Context, p, by id.Principal, reason string) (int, error) // all sign-ins of a person
	Now           func() time.Time
	Log           *slog.Logger

	SessionTime time.Duration // how long a session lasts at most; 0: not told

	AsksPerMinute int // what one person may ask for that is an entry of the log each time; default 120
}

// API serves /api/.
type API struct {
	cfg   Config
	mux   *http.ServeMux
	huma  huma.API
	rates *limit.Rates // by sign-in and token
	asks  *limit.Rates // by person: what is an entry of the log each time
	looks *limit.Rates // by person: at records
	views views

	verifying verifying
	underWay  underWay // by person
}

// New makes the API.
func New(cfg Config) *API {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.AsksPerMinute == 0 {
		cfg.AsksPerMinute = 120
	}
	a := &API{cfg: cfg, mux: http.NewServeMux(), rates: limit.New(20, 120, 50_000, cfg.Now), views: views{now: cfg.Now},
		asks: limit.New(float64(cfg.AsksPerMinute)/60, cfg.AsksPerMinute, 50_000, cfg.Now), looks: limit.New(10, 300, 50_000, cfg.Now)}
	a.huma = humago.New(a.mux, describe())
	a.huma.UseMiddleware(a.identify)
	for _, register := range []func(){a.registerPeople, a.registerDevices, a.registerEnrolment, a.registerSessions, a.registerReplay, a.registerWatch, a.registerSites,
		a.registerTokens, a.registerRequests, a.registerMoreTime, a.registerNotifications, a.registerPolicy, a.registerProposals, a.registerLog, a.registerRetention} {
		register()
	}
	a.mux.HandleFunc("GET /api/openapi.yaml", a.document)
	a.mux.HandleFunc("/", a.unknown)
	return a
}

// Handle adds a route under /api/ that is not described here: the terminal socket, the command line's sign-in.
func (a *API) Handle(pattern string, h http.Handler) { a.mux.Handle(pattern, h) }

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }
