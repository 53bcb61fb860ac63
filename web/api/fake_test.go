package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/web/apitype"
)

const testPolicy = `
format = 1
name   = "test"
groups = ["technicians", "shift-leads", "owners", "compliance", "compliance-unseal", "administrators"]
by_token = ["review"]

[duties]
administer = ["administrators"]
approve    = ["shift-leads"]
review     = ["compliance"]
unseal     = ["compliance-unseal"]
own        = ["owners"]

[labels]
hall = { needed = true, one_of = ["1", "2"] }

[role.maintain]
why   = "Repair."
shell = { as = ["svc"] }

[[allow]]
id      = "A1"
why     = "Hall 1."
who     = ["technicians"]
role    = "maintain"
devices = { hall = "1" }
hours   = "always"
`

var testTime = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// people of the tests, by the word in their bearer.
var people = map[string]Asker{
	"technician":    person("technician", "technicians"),
	"other":         person("other", "technicians"),
	"approver":      person("approver", "shift-leads"),
	"owner":         person("owner", "owners"),
	"officer":       person("officer", "compliance"),
	"unsealer":      person("unsealer", "compliance", "compliance-unseal"),
	"admin":         person("admin", "administrators"),
	"nobody":        person("nobody"),
	"tech-token":    token("technician", []string{"technicians"}, "session"),
	"weak-token":    token("technician", []string{"technicians"}),
	"audit-token":   token("officer", []string{"compliance"}, "review", "export"),
	"unseal-token":  token("unsealer", []string{"compliance", "compliance-unseal"}, "review", "unseal"),
	"no-scope":      token("officer", []string{"compliance"}, "session"),
	"machine":       machine("t2"),
	"machine-of-t1": machine("t1"),
}

func person(name string, groups ...string) Asker {
	return Asker{Person: authz.Person{ID: id.Principal{Issuer: "https://idp", Subject: name}, Name: name, Groups: groups, Address: netip.MustParseAddr("192.0.2.7")},
		Evidence: signer.Evidence{IDToken: "id token of " + name}, Key: "key " + name, Via: ViaWeb, Expires: testTime.Add(time.Hour)}
}

func token(name string, groups []string, scopes ...string) Asker {
	a := person(name, groups...)
	a.Via, a.Token, a.Scopes, a.Key, a.Person.ViaToken = ViaToken, "t1", scopes, "token:"+name+strings.Join(scopes, ","), true
	return a
}

// machine is a service's token, made by an administrator: it has none of its maker's duties, and none of their sessions.
func machine(tokenID string) Asker {
	a := token("admin", []string{"administrators", "compliance"}, "administer", "review", "session")
	a.Person.Machine, a.Token = "job", tokenID
	return a
}

func who(r *http.Request) (Asker, error) {
	a, ok := people[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		return Asker{}, errkind.New(errkind.Signin, "you are not signed in")
	}
	return a, nil
}

// world is everything the API needs, small and by hand.
type world struct {
	API           http.Handler
	api           *API
	rules         gateway.Rules
	broker        *fakeBroker
	rows          *fakeStore
	office        *fakeOffice
	signer        *fakeSigner
	events        *fakeAudit
	reads         *fakeRecords
	notifications *fakeNotifications
	passed        time.Duration // since the tests' time
	out           []string      // who was signed out, by whom and why

	signedOut atomic.Bool // nobody is signed in any more
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{broker: &fakeBroker{}, rows: newRows(), office: &fakeOffice{}, signer: &fakeSigner{}, events: &fakeAudit{}, reads: &fakeRecords{}, notifications: &fakeNotifications{}}
	w.signer.policy = signer.Policy{Version: 1, Files: []signer.PolicyFile{{Name: "policy.toml", Text: testPolicy}}, By: "test", At: testTime}
	if err := w.rules.Load(t.Context(), w.signer); err != nil {
		t.Fatal(err)
	}
	w.reads.events = w.events
	w.api = New(Config{Site: Site{Name: "Test", Notice: []string{"Sessions are recorded."}}, Who: w.who, Rules: &w.rules, Broker: w.broker, Tickets: fakeTickets{}, Store: w.rows,
		Office: w.office, Desk: fakeDesk{}, Notifications: w.notifications, Records: w.reads, Signer: w.signer, Audit: w.events, SignOut: w.signOut, SessionTime: 12 * time.Hour, Now: func() time.Time { return testTime.Add(w.passed) }})
	w.API = w.api
	return w
}

func (w *world) who(r *http.Request) (Asker, error) {
	if w.signedOut.Load() {
		return Asker{}, errkind.New(errkind.Signin, "your sign-in has ended")
	}
	return who(r)
}

func (w *world) signOut(_ context.Context, p, by id.Principal, reason string) (int, error) {
	w.out = append(w.out, p.Subject+" by "+by.Subject+": "+reason)
	return 2, nil
}

// call sends one request and gives the answer.
func (w *world) call(as, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+as)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	out := httptest.NewRecorder()
	w.API.ServeHTTP(out, r)
	return out
}

type fakeTickets struct{}

func (fakeTickets) Issue(key string, _ id.Session, _ uint32) (string, error) {
	return "ticket of " + key, nil
}

type fakeBroker struct {
	asked       []gateway.Ask
	channels    []gateway.ChannelAsk
	refuse      error
	ended       []string
	revalidated int
	signedOut   []string
}

func (b *fakeBroker) Ask(_ context.Context, a gateway.Ask) (store.Session, error) {
	b.asked = append(b.asked, a)
	return store.Session{ID: id.Session{1}, Login: "svc", Rule: "A1"}, b.refuse
}
func (b *fakeBroker) AskChannel(_ context.Context, a gateway.ChannelAsk) (uint32, error) {
	b.channels = append(b.channels, a)
	return 2, b.refuse
}
func (b *fakeBroker) End(_ context.Context, s id.Session, by, why string) error {
	b.ended = append(b.ended, by)
	return nil
}
func (b *fakeBroker) EndAllOf(key, why string) { b.signedOut = append(b.signedOut, key) }
func (b *fakeBroker) MoreTime(context.Context, id.Session, signer.Evidence) (gateway.MoreTime, error) {
	return gateway.MoreTime{Until: testTime}, b.refuse
}
func (b *fakeBroker) Revalidate(context.Context) { b.revalidated++ }
func (b *fakeBroker) LiveOn(id.Device) int       { return 0 }

func (b *fakeBroker) Watch(id.Session, uint32) (*gateway.Watched, error) {
	return &gateway.Watched{}, b.refuse
}

type fakeAudit struct {
	mu     sync.Mutex
	events []audit.Event
	broken bool
}

func (a *fakeAudit) Index(_ context.Context, _ uint64, typ, actor, subject string) error {
	return a.Record(context.Background(), audit.Event{Type: typ, Actor: actor, Subject: subject})
}

func (a *fakeAudit) Record(_ context.Context, e audit.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken {
		return errkind.New(errkind.Unavailable, "this could not be written to the log, so it was not done")
	}
	a.events = append(a.events, e)
	return nil
}

func (a *fakeAudit) count(typ string) int {
	n := 0
	for _, e := range a.events {
		if e.Type == typ {
			n++
		}
	}
	return n
}

// fakeRecords answers with a word, and notes how many events there were when it was asked, and of which channel.
type fakeRecords struct {
	differs []string
	unread  error // why nothing was compared
	silent  bool  // the log does not answer
	of      []uint32
	events  *fakeAudit
	before  []int
	err     error
	runs    bool // what is watched does not end
}

func (f *fakeRecords) say(w io.Writer, text string) error {
	f.before = append(f.before, len(f.events.events))
	if f.err != nil {
		return f.err
	}
	_, err := io.WriteString(w, text)
	return err
}

func (f *fakeRecords) sayOf(ch uint32, w io.Writer, text string) error {
	f.of = append(f.of, ch)
	return f.say(w, text)
}

func (f *fakeRecords) Timeline(context.Context, store.Session, []store.Part) (apitype.Timeline, error) {
	return apitype.Timeline{Duration: 1}, f.say(io.Discard, "")
}
func (f *fakeRecords) ReplayIndex(_ context.Context, _ store.Session, _ []store.Part, ch uint32, _ time.Duration, w io.Writer) error {
	return f.sayOf(ch, w, "{}")
}
func (f *fakeRecords) ReplaySegment(_ context.Context, _ store.Session, _ []store.Part, ch uint32, n int, _ time.Duration, _ uint64, w io.Writer) error {
	return f.sayOf(ch, w, "[]")
}
func (f *fakeRecords) Transcript(_ context.Context, _ store.Session, _ []store.Part, ch uint32, w io.Writer) error {
	return f.sayOf(ch, w, "hello\n")
}
func (f *fakeRecords) Output(_ context.Context, _ store.Session, _ []store.Part, ch uint32, w io.Writer) error {
	return f.sayOf(ch, w, "\x00\xff")
}
func (f *fakeRecords) Watch(ctx context.Context, _ []store.Part, opt archive.FollowOptions, _ archive.Confirmed,
	emit func(apitype.Written) error) error {
	if err := f.sayOf(opt.Channel, io.Discard, ""); err != nil {
		return err
	}
	if err := emit(apitype.Written{At: 7, Stream: 1, Data: []byte("shown")}); err != nil || !f.runs {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}
func (f *fakeRecords) Input(_ context.Context, _ store.Session, _ []store.Part, ch uint32, w io.Writer) error {
	return f.sayOf(ch, w, "typed\n")
}
func (f *fakeRecords) Cast(_ context.Context, _ store.Session, _ []store.Part, ch uint32, _ int, w io.Writer) error {
	return f.sayOf(ch, w, "{}\n")
}
func (f *fakeRecords) Verify(context.Context, store.Session, []store.Part) (apitype.Verdict, error) {
	return apitype.Verdict{OK: true, Summary: "Yes."}, f.say(io.Discard, "")
}
func (f *fakeRecords) Differences(ctx context.Context, _ store.Session, _ []store.Part) ([]string, error) {
	if f.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.differs, f.unread
}
func (f *fakeRecords) Export(_ context.Context, _ store.Session, _ []store.Part, w io.Writer) error {
	return f.say(w, "bundle")
}

// fakeDesk is for what asks for nothing.
type fakeDesk struct{ Desk }

func (fakeDesk) Alone(_ context.Context, change func() error) error { return change() }
func (fakeDesk) Used(context.Context, id.Session, string)           {}

func (s *fakeStore) Requests(context.Context, store.RequestFilter) ([]store.Request, int, error) {
	return nil, 0, nil
}

type fakeOffice struct{ did []string }

func (o *fakeOffice) CreateToken(_ context.Context, actor enroll.Actor, s enroll.TokenSpec) (wire.JoinCode, store.JoinToken, error) {
	o.did = append(o.did, "create by "+actor.Name)
	return wire.JoinCode{URL: "https://gw.example"}, store.JoinToken{Uses: s.Uses, Expires: testTime}, nil
}
func (o *fakeOffice) Tokens(context.Context) ([]store.JoinToken, error) { return nil, nil }
func (o *fakeOffice) RevokeToken(_ context.Context, actor enroll.Actor, _ [16]byte) error {
	o.did = append(o.did, "revoke code by "+actor.Name)
	return nil
}
func (o *fakeOffice) Admit(_ context.Context, by signer.Evidence, actor enroll.Actor, name id.Device, a enroll.Admission) (store.Device, error) {
	o.did = append(o.did, "admit "+string(name)+" with "+by.IDToken)
	return store.Device{Name: name, State: store.OK}, nil
}
func (o *fakeOffice) Label(_ context.Context, _ signer.Evidence, actor enroll.Actor, name id.Device, _ map[string]string) (store.Device, error) {
	o.did = append(o.did, "label "+string(name))
	return store.Device{Name: name, State: store.OK}, nil
}
func (o *fakeOffice) Place(_ context.Context, _ signer.Evidence, _ enroll.Actor, to signer.Device) (store.Device, error) {
	o.did = append(o.did, "place "+string(to.Name))
	return store.Device{Name: to.Name, State: store.OK}, nil
}
func (o *fakeOffice) Revoke(_ context.Context, actor enroll.Actor, name id.Device, _ string) (store.Device, error) {
	o.did = append(o.did, "revoke "+string(name))
	return store.Device{Name: name, State: store.Revoked}, nil
}

type fakeSigner struct {
	policy  signer.Policy
	tokens  []signer.Token
	revoked []string
	sites   []signer.Site
	down    bool // it does not answer
}

func (s *fakeSigner) Grants(context.Context, string) ([]signer.Consent, error) { return nil, nil }
func (s *fakeSigner) Mappings(context.Context) ([]signer.Mapping, error)       { return nil, nil }
func (s *fakeSigner) MapGroups(context.Context, signer.Evidence, []signer.Mapping) (signer.Appended, error) {
	return signer.Appended{}, nil
}
func (s *fakeSigner) CurrentPolicy(context.Context) (signer.Policy, error) { return s.policy, nil }
func (s *fakeSigner) ApplyPolicy(_ context.Context, _ signer.Evidence, files []signer.PolicyFile, reason string) (signer.Policy, error) {
	if _, err := signer.LoadPolicy(files); err != nil {
		return signer.Policy{}, err
	}
	s.policy = signer.Policy{Version: s.policy.Version + 1, Files: files, Reason: reason}
	return s.policy, nil
}
func (s *fakeSigner) PutToken(_ context.Context, _ signer.Evidence, t signer.Token) (signer.Appended, error) {
	s.tokens = append(s.tokens, t)
	return signer.Appended{}, nil
}
func (s *fakeSigner) PutSite(_ context.Context, _ signer.Evidence, site signer.Site) (signer.Appended, error) {
	if s.down {
		return signer.Appended{}, errkind.New(errkind.Unavailable, "the signer does not answer")
	}
	s.sites = append(s.sites, site)
	return signer.Appended{}, nil
}
func (s *fakeSigner) Proposals(context.Context) ([]signer.Proposal, error) { return nil, nil }
func (s *fakeSigner) Proposal(context.Context, string) (signer.Proposal, error) {
	return signer.Proposal{}, errkind.New(errkind.NotFound, "no such change waits")
}
func (s *fakeSigner) DropProposal(context.Context, string, string) (signer.Appended, error) {
	return signer.Appended{}, nil
}
func (s *fakeSigner) Sites(context.Context) ([]signer.Site, error) { return s.sites, nil }
func (s *fakeSigner) RevokeToken(_ context.Context, tokenID, why string) (signer.Appended, error) {
	s.revoked = append(s.revoked, tokenID+" "+why)
	return signer.Appended{}, nil
}
func (s *fakeSigner) Head(context.Context) ([]byte, error) {
	return []byte("test\n7\nAAAA\n\n— sig\n"), nil
}
func (s *fakeSigner) ProveConsistency(context.Context, uint64, uint64) ([]wire.Hash, error) {
	return []wire.Hash{{1}}, nil
}
func (s *fakeSigner) Keys(context.Context) (signer.PublicKeys, error) {
	return signer.PublicKeys{LogKey: "test+key"}, nil
}

// fakeStore holds three devices and three sessions.
type fakeStore struct {
	audit     func(store.AuditFilter) []store.AuditEvent
	devices   []store.Device
	sessions  []store.Session
	decisions []store.Decision // newest first
	tokens    []store.APIToken
	policies  []store.PolicyVersion
	sites     []store.Site
	groups    []string                 // of the technician, as last seen
	owned     atomic.Pointer[[]string] // sites of the owner; nil: hall-south
	broken    error
}

// sid makes a session's id whose text begins with a letter of the alphabet.
func sid(n byte) id.Session { return id.Session{n << 3, n} }

func newRows() *fakeStore {
	dev := func(name, site, hall string, state store.DeviceState) store.Device {
		return store.Device{Name: id.Device(name), Site: site, State: state, Labels: map[string]string{"hall": hall}, Serial: "serial of " + name, LastAddr: "203.0.113.9:1", ConnectedAt: testTime}
	}
	ses := func(n byte, by, device, site, state string) store.Session {
		return store.Session{ID: sid(n), Device: id.Device(device), Site: site, Principal: id.Principal{Issuer: "https://idp", Subject: by}, PrincipalName: by, Login: "svc",
			State: state, Asked: testTime.Add(time.Duration(n) * time.Minute)}
	}
	return &fakeStore{
		groups:  []string{"technicians"},
		devices: []store.Device{dev("press-1", "hall-north", "1", store.OK), dev("press-2", "hall-south", "2", store.OK), dev("press-9", "hall-north", "1", store.Waiting)},
		sessions: []store.Session{ses(3, "other", "press-2", "hall-south", store.Live), ses(2, "technician", "press-1", "hall-north", store.Live),
			ses(1, "technician", "press-1", "hall-south", store.Closed)},
	}
}

func (s *fakeStore) Device(_ context.Context, name id.Device) (store.Device, error) {
	for _, d := range s.devices {
		if d.Name == name {
			return d, nil
		}
	}
	return store.Device{}, store.NotFound("device", string(name))
}
func (s *fakeStore) AllDevices(context.Context) ([]store.Device, error) {
	return s.inState(func(d store.DeviceState) bool { return d != store.Revoked }), s.broken
}
func (s *fakeStore) RevokedDevices(context.Context) ([]store.Device, error) {
	return s.inState(func(d store.DeviceState) bool { return d == store.Revoked }), s.broken
}
func (s *fakeStore) inState(fits func(store.DeviceState) bool) []store.Device {
	return slices.DeleteFunc(slices.Clone(s.devices), func(d store.Device) bool { return !fits(d.State) })
}
func (s *fakeStore) Session(ctx context.Context, want id.Session) (store.Session, error) {
	return s.SessionByPrefix(ctx, want.String())
}
func (s *fakeStore) SessionByPrefix(_ context.Context, prefix string) (store.Session, error) {
	var found []store.Session
	for _, x := range s.sessions {
		if strings.HasPrefix(x.ID.String(), prefix) {
			found = append(found, x)
		}
	}
	switch len(found) {
	case 0:
		return store.Session{}, store.NotFound("session", prefix)
	case 1:
		return found[0], nil
	}
	return store.Session{}, errkind.New(errkind.Usage, "more than one session id begins with "+prefix)
}
func (s *fakeStore) Sessions(_ context.Context, f store.SessionFilter) ([]store.Session, int, error) {
	var out []store.Session
	for _, x := range s.sessions {
		if sees(f.Sight, x) && (f.Principal.IsZero() || x.Principal == f.Principal) && (f.States == nil || slices.Contains(f.States, x.State)) &&
			(f.User == "" || slices.Contains(f.Users, x.Principal)) && (f.Sites == nil || slices.Contains(f.Sites, x.Site)) {
			out = append(out, x)
		}
	}
	return out, len(out), s.broken
}
func (s *fakeStore) Parts(_ context.Context, want id.Session) ([]store.Part, error) {
	return []store.Part{{Session: want}}, nil
}
func (s *fakeStore) Retained(_ context.Context, now time.Time) ([]store.Retained, error) {
	return []store.Retained{{Class: "routine", Month: "2027-01", Recordings: 2, Bytes: 5, Oldest: now,
		First: now}}, s.broken
}
func (s *fakeStore) Decisions(_ context.Context, f store.DecisionFilter) ([]store.Decision, error) {
	rest := slices.DeleteFunc(slices.Clone(s.decisions), func(d store.Decision) bool { return f.Before > 0 && d.ID >= f.Before })
	return rest[:min(len(rest), f.Limit)], nil
}
func (s *fakeStore) Sites(context.Context) ([]store.Site, error) { return s.sites, nil }
func (s *fakeStore) Site(_ context.Context, name string) (store.Site, error) {
	for _, x := range s.sites {
		if x.Name == name {
			return x, nil
		}
	}
	return store.Site{}, store.NotFound("site", name)
}
func (s *fakeStore) PutSite(_ context.Context, x store.Site) error {
	s.sites = append(slices.DeleteFunc(s.sites, func(y store.Site) bool { return y.Name == x.Name }), x)
	return nil
}
func (s *fakeStore) SitesOwnedBy(_ context.Context, p id.Principal) ([]string, error) {
	switch {
	case p.Subject != "owner":
		return nil, nil
	case s.owned.Load() != nil:
		return *s.owned.Load(), nil
	}
	return []string{"hall-south"}, nil
}
func (s *fakeStore) Principal(_ context.Context, p id.Principal) (store.Principal, error) {
	return store.Principal{ID: p, Email: "x@acme.example"}, nil
}
func (s *fakeStore) OnlineWatchesOf(context.Context, id.Principal) ([]store.OnlineWatch, error) {
	return nil, nil
}
func (s *fakeStore) DropOnlineWatch(context.Context, [32]byte, id.Principal) error { return nil }
func (s *fakeStore) Principals(context.Context) ([]store.Principal, error) {
	return []store.Principal{{ID: id.Principal{Issuer: "https://idp", Subject: "technician"}, Name: "technician", Username: "tess", Groups: s.groups},
		{ID: id.Principal{Issuer: "https://idp", Subject: "admin"}, Name: "admin", Groups: []string{"administrators"}}}, nil
}
func (s *fakeStore) AddAPIToken(_ context.Context, t store.APIToken) error {
	s.tokens = append(s.tokens, t)
	return nil
}
func (s *fakeStore) APIToken(_ context.Context, tokenID string) (store.APIToken, error) {
	switch tokenID {
	case "t1":
	case "t2":
		return store.APIToken{ID: "t2", Machine: "job", Principal: id.Principal{Issuer: "https://idp", Subject: "admin"}}, nil
	default:
		return store.APIToken{}, store.NotFound("API token", tokenID)
	}
	return store.APIToken{ID: "t1", Principal: id.Principal{Issuer: "https://idp", Subject: "technician"}}, nil
}
func (s *fakeStore) APITokens(_ context.Context, p id.Principal) ([]store.APIToken, error) {
	return []store.APIToken{{ID: "t1", Name: "of " + p.Subject}}, nil
}
func (s *fakeStore) RevokeAPIToken(context.Context, string, time.Time) error { return nil }
func (s *fakeStore) AddPolicy(_ context.Context, p store.PolicyVersion) error {
	if len(s.policies) > 0 && s.policies[0].Version >= p.Version {
		return store.Conflict("it is there")
	}
	s.policies = slices.Insert(s.policies, 0, p)
	return nil
}
func (s *fakeStore) Policies(context.Context) ([]store.PolicyVersion, error) { return s.policies, nil }
func (s *fakeStore) Policy(_ context.Context, version int) (store.PolicyVersion, error) {
	for _, p := range s.policies {
		if p.Version == version {
			return p, nil
		}
	}
	return store.PolicyVersion{}, store.NotFound("policy version", "of that number")
}
func (s *fakeStore) AuditEvents(_ context.Context, f store.AuditFilter) ([]store.AuditEvent, error) {
	if s.audit != nil {
		return s.audit(f), nil
	}
	return []store.AuditEvent{{ID: 1, Type: "viewed", Leaf: 4}}, nil
}

var errUnknown = errors.New("disk sector 7 is on fire")
