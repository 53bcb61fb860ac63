package requests

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
)

const policy = `
format = 1
name = "test"
groups = ["technicians", "leads", "administrators", "owners", "officers"]
[duties]
administer = ["administrators"]
approve = ["leads"]
own = ["owners"]
review = ["officers"]
by_token = ["approve"]
[role.maintain]
why = "repair"
shell = { as = ["svc", "root"] }
files = { read = ["/var/log"], write = ["/opt/press"] }
[[request]]
id = "R1"
why = "ask"
who = ["technicians"]
role = "maintain"
devices = "all"
at_most = "2h"
ask_for = ["reason"]
agree = [{ from = "leads", count = 2 }]
answer_within = "30m"
[[request]]
id = "R2"
why = "look alone"
who = ["administrators"]
role = "maintain"
devices = "all"
at_most = "10m"
ask_for = ["reason"]
agree = "nobody"
[[request]]
id = "R3"
why = "the customer agrees"
who = ["technicians"]
role = "maintain"
devices = "all"
at_most = "10m"
ask_for = ["reason"]
agree = [{ from = "leads", count = 1 }, { from = "@owner", count = 1 }]
answer_within = "30m"
[[request]]
id = "E1"
why = "the line stands"
who = ["technicians", "officers"]
role = "maintain"
devices = "all"
at_most = "30m"
agree = "nobody"
emergency = true
tell = ["@owner", "leads"]
review_within = "24h"
`

type identities map[string]signer.Identity

func (p identities) VerifyIDToken(_ context.Context, raw, _ string) (signer.Identity, error) {
	who, ok := p[raw]
	if !ok {
		return who, errors.New("signature does not hold")
	}
	return who, nil
}

// house is a desk on a real signer and a real database. The clock is the test's.
type house struct {
	*Desk
	t       *testing.T
	db      *sqlite.DB
	signer  *signer.Service
	hostKey wire.PublicKey
	rules   *gateway.Rules
	dev     store.Device
	now     atomic.Int64
	decided atomic.Int64 // how often live sessions were decided again
}

func (h *house) Revalidate(context.Context) { h.decided.Add(1) }
func (h *house) clock() time.Time           { return time.Unix(0, h.now.Load()).UTC() }
func (h *house) pass(d time.Duration)       { h.now.Add(int64(d)) }

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx := t.Context()
	h := &house{t: t, rules: &gateway.Rules{}}
	h.now.Store(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC).UnixNano())
	people := identities{}
	for who, group := range map[string]string{"tess": "technicians", "lea": "leads", "lou": "leads", "ada": "administrators", "olga": "owners", "otto": "owners", "olaf": "officers"} {
		people[who] = signer.Identity{Principal: principal(who), Name: who, Groups: []string{group}, SignedInAt: h.clock()}
	}
	s, err := signer.New(signer.Config{Dir: filepath.Join(t.TempDir(), "signer"), Origin: "test/log", Hosts: []string{"127.0.0.1:1"}, NoiseKey: wire.Sum([]byte("noise")), PassTime: time.Hour,
		SignInAge: 12 * time.Hour, RetainFor: time.Hour, Now: h.clock, Identities: people})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Seed(ctx, []signer.PolicyFile{{Name: "p.toml", Text: policy}}, nil); err != nil {
		t.Fatal(err)
	}
	seed := wire.Sum([]byte("press-1"))
	pub, err := ssh.NewPublicKey(keyOf(seed))
	if err != nil {
		t.Fatal(err)
	}
	h.hostKey = wire.PublicKey{PublicKey: pub}
	h.dev = store.Device{Name: "press-1", Site: "ulm", FP: wire.Fingerprint(pub), State: store.OK}
	if _, err := s.PutDevice(ctx, evidence("ada"), signer.Device{Name: "press-1", Site: "ulm", FP: h.dev.FP, HostKey: h.hostKey}); err != nil {
		t.Fatal(err)
	}
	if h.db, err = sqlite.Open(ctx, filepath.Join(t.TempDir(), "db"), sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.Close() })
	if err := h.rules.Load(ctx, s); err != nil {
		t.Fatal(err)
	}
	h.signer = s
	h.Desk = New(Config{Rows: h.db, Signer: s, Rules: h.rules, Broker: h, Audit: &audit.Log{Signer: s, Rows: h.db, Now: h.clock}, Now: h.clock,
		Log: slog.New(slog.DiscardHandler)})
	return h
}

func principal(who string) id.Principal {
	return id.Principal{Issuer: "https://idp.test", Subject: who}
}

func evidence(who string) signer.Evidence {
	return signer.Evidence{IDToken: who, Session: wire.Sum([]byte("web session of " + who))}
}

func person(who string, groups ...string) authz.Person {
	return authz.Person{ID: principal(who), Name: who, Groups: groups}
}

// asks asks for half an hour of a shell, changed as given.
func (h *house) asks(change func(*Question)) (store.Request, error) {
	q := Question{Person: person("tess", "technicians"), Device: h.dev, Actions: []string{"shell"}, Login: "svc", For: 30 * time.Minute, Reason: "why", Evidence: evidence("tess")}
	if change != nil {
		change(&q)
	}
	return h.Ask(h.t.Context(), q)
}

func (h *house) agrees(who, request string, less Less) (store.Request, error) {
	return h.Approve(h.t.Context(), person(who, "leads"), evidence(who), request, less)
}

func (h *house) wants(what string, err error, kind errkind.Kind, text string) {
	h.t.Helper()
	if err == nil || errkind.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		h.t.Errorf("%s: got %v (kind %d), want kind %d with %q", what, err, errkind.KindOf(err), kind, text)
	}
}

// owner makes somebody an owner of the device's site, at the signer and here.
func (h *house) owner(who string) {
	h.t.Helper()
	_, err := h.signer.PutSite(h.t.Context(), evidence("ada"), signer.Site{Name: "ulm", Owners: []id.Principal{principal(who)}})
	if err == nil {
		err = h.db.PutSite(h.t.Context(), store.Site{Name: "ulm", Owners: []id.Principal{principal(who)}, Created: h.clock()})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestTheOwnerOfTheSiteApprovesToo(t *testing.T) {
	h := newHouse(t)
	ask := func() (store.Request, error) {
		return h.asks(func(q *Question) { q.Rule, q.For = "R3", 5*time.Minute })
	}
	_, err := ask()
	h.wants("at a site without an owner", err, errkind.Denied, "needs the approval of an owner")
	h.owner("olga")
	q, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	approve := func(who string) (store.Request, error) {
		return h.Approve(t.Context(), person(who, "owners"), evidence(who), q.ID, Less{})
	}
	_, err = approve("otto")
	h.wants("an owner of nothing", err, errkind.Denied, "cannot answer")
	if got, err := h.agrees("lea", q.ID, Less{}); err != nil || got.State != store.RequestPending {
		t.Fatalf("after a lead: got %+v, %v, want that the owner is missing", got, err)
	}
	if got, err := approve("olga"); err != nil || got.State != store.RequestApproved {
		t.Errorf("after the owner: got %+v, %v", got, err)
	}
	if q, err = ask(); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Deny(t.Context(), person("olga", "owners"), q.ID, "not today"); err != nil || got.State != store.RequestDenied {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestARequestBecomesAGrantWhenEnoughHaveAgreed(t *testing.T) {
	h := newHouse(t)
	q, err := h.asks(nil)
	if err != nil {
		t.Fatal(err)
	}
	can := func(want bool) {
		t.Helper()
		ask := authz.Request{Person: person("tess", "technicians"), Device: authz.Device{Name: "press-1", Site: "ulm"}, Action: authz.ShellAction("svc")}
		if got := authz.Decide(h.rules.Snapshot(), ask, h.clock()); got.Allowed != want || want && got.Grant != q.ID {
			t.Errorf("the gateway decides %+v, want %t", got, want)
		} else if text := got.Explain().Text; want && !strings.Contains(text, "grant "+q.ID+" of rule R1, approved by lea and lou") {
			t.Errorf("the decision does not name its rule and approvers: %s", text)
		}
	}
	if got, err := h.agrees("lea", q.ID, Less{}); err != nil || got.State != store.RequestPending || len(got.Approvals) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	can(false)
	_, err = h.agrees("lea", q.ID, Less{})
	h.wants("twice", err, errkind.Conflict, "already")
	got, err := h.agrees("lou", q.ID, Less{})
	if err != nil || got.State != store.RequestApproved || !got.Until.Equal(h.clock().Add(30*time.Minute)) || len(got.Approvals) != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	can(true)
	h.pass(30 * time.Minute)
	can(false)
}

func TestToAgreeToLessVoidsWhatWasAgreed(t *testing.T) {
	h := newHouse(t)
	q, err := h.asks(func(q *Question) { q.Actions = []string{"shell:svc", "files.read:/var/log/pump"} })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.agrees("lea", q.ID, Less{}); err != nil {
		t.Fatal(err)
	}
	got, err := h.agrees("lou", q.ID, Less{For: 10 * time.Minute, Actions: []string{"files.read:/var/log/pump"}})
	if err != nil || got.State != store.RequestPending || len(got.Approvals) != 1 || got.Approvals[0].Name != "lou" || got.For != 10*time.Minute {
		t.Fatalf("got %+v, %v", got, err)
	}
	for what, less := range map[string]Less{"the time of before": {For: 30 * time.Minute}, "an action of before": {Actions: []string{"shell:svc"}},
		"more of a directory": {Actions: []string{"files.read:/var/log"}}, "another kind": {Actions: []string{"files.write:/var/log/pump"}},
		"no time": {For: time.Second}} {
		_, err := h.agrees("lea", q.ID, less)
		h.wants(what, err, errkind.Usage, "")
	}
	if got, err = h.agrees("lea", q.ID, Less{}); err != nil || got.State != store.RequestApproved || len(got.Actions) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWhatCannotBeAskedForIsRefusedWithTheReason(t *testing.T) {
	h := newHouse(t)
	for what, c := range map[string]struct {
		change func(*Question)
		kind   errkind.Kind
		text   string
	}{
		"a login that no rule gives":  {func(q *Question) { q.Login = "admin" }, errkind.Denied, ""},
		"a shell of which login":      {func(q *Question) { q.Login = "" }, errkind.Denied, ""},
		"another role":                {func(q *Question) { q.Actions, q.Role = nil, "rule" }, errkind.Denied, "the role rule"},
		"a rule for other people":     {func(q *Question) { q.Rule = "R2" }, errkind.Denied, ""},
		"more of a directory":         {func(q *Question) { q.Actions = []string{"files.read:/var"} }, errkind.Denied, ""},
		"reading as if it were write": {func(q *Question) { q.Actions = []string{"files.write:/var/log"} }, errkind.Denied, ""},
		"every action":                {func(q *Question) { q.Actions = []string{"*"} }, errkind.Usage, ""},
		"no reason":                   {func(q *Question) { q.Reason = "  " }, errkind.Usage, "wants a reason"},
		"too long":                    {func(q *Question) { q.For = 2*time.Hour + time.Minute }, errkind.Usage, "at most 2 h"},
		"by somebody of no group":     {func(q *Question) { q.Person = person("nobody") }, errkind.Denied, ""},
	} {
		_, err := h.asks(c.change)
		h.wants(what, err, c.kind, c.text)
	}
	q, err := h.asks(func(q *Question) { q.Actions, q.Role = nil, "maintain" })
	if err != nil || strings.Join(q.Actions, " ") != "shell:svc files.read:/var/log files.write:/opt/press" {
		t.Errorf("a role as one login: got %v, %v", q.Actions, err)
	}
}

func TestRequestsAreBoundedAndExpire(t *testing.T) {
	h := newHouse(t)
	var q store.Request
	for range MostOfPerson {
		var err error
		if q, err = h.asks(nil); err != nil {
			t.Fatal(err)
		}
	}
	_, err := h.asks(nil)
	h.wants("the sixth", err, errkind.TooMany, "5 pending requests")
	for i := range MostForDevice - MostOfPerson {
		who := person(string(rune('a'+i)), "technicians")
		if _, err := h.asks(func(q *Question) { q.Person = who }); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.asks(func(q *Question) { q.Person = person("another", "technicians") })
	h.wants("the twenty-first for a device", err, errkind.TooMany, "20 pending requests")

	h.pass(30 * time.Minute)
	_, err = h.agrees("lea", q.ID, Less{})
	h.wants("after its time, before the desk has seen it", err, errkind.Conflict, "expired")
	h.runs()
	if got, err := h.db.Request(t.Context(), q.ID); err != nil || got.State != store.RequestExpired {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := h.asks(nil); err != nil {
		t.Errorf("after they have expired: %v", err)
	}
}

func TestWhoMayDenyAndWithdraw(t *testing.T) {
	h := newHouse(t)
	ask := func() string {
		q, err := h.asks(nil)
		if err != nil {
			t.Fatal(err)
		}
		return q.ID
	}
	tess, lea, nobody, ctx := person("tess", "technicians", "leads"), person("lea", "leads"), person("nobody"), t.Context()
	q := ask()
	_, err := h.Deny(ctx, tess, q, "no")
	h.wants("one's own", err, errkind.Denied, "")
	_, err = h.Deny(ctx, nobody, q, "no")
	h.wants("by somebody who could not agree", err, errkind.Denied, "")
	_, err = h.Withdraw(ctx, lea, q, "no", true)
	h.wants("withdrawn by an approver", err, errkind.Denied, "only the requester")
	if _, err := h.agrees("lea", q, Less{}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Deny(ctx, person("lou", "leads"), q, "no"); err != nil || got.State != store.RequestDenied || got.By != "lou" || got.Answer != "no" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = h.agrees("lou", q, Less{})
	h.wants("approved after it was denied", err, errkind.Conflict, "denied")
	raw, _ := terms(&store.Request{ID: q, Who: tess.ID, Name: "tess", Device: "press-1", DeviceFP: h.dev.FP, Rule: "R1", Actions: []string{"shell:svc"},
		For: 30 * time.Minute, Reason: "why"})
	_, err = h.cfg.Signer.Approve(ctx, evidence("lou"), raw)
	h.wants("approved at the signer after it was denied", err, errkind.Conflict, "withdrawn")

	q = ask()
	if got, err := h.Withdraw(ctx, tess, q, "done", false); err != nil || got.State != store.RequestWithdrawn {
		t.Errorf("got %+v, %v", got, err)
	}
	q = ask()
	for _, who := range []string{"lea", "lou"} {
		if _, err := h.agrees(who, q, Less{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.Withdraw(ctx, nobody, q, "no", false)
	h.wants("a grant by somebody else", err, errkind.Denied, "cannot withdraw")
	was := h.decided.Load()
	if got, err := h.Withdraw(ctx, lea, q, "enough", true); err != nil || got.State != store.RequestWithdrawn || got.Ended.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	if grants, err := signer.AllGrants(ctx, h.cfg.Signer); err != nil || len(grants) != 0 || h.decided.Load() == was {
		t.Errorf("the signer has %d grants, %v, and live sessions were decided %d times", len(grants), err, h.decided.Load()-was)
	}
	_, err = h.Withdraw(ctx, lea, q, "enough", true)
	h.wants("twice", err, errkind.Conflict, "withdrawn")
}

func TestWhereNobodyHasToAgreeWhoAsksHasItAtOnce(t *testing.T) {
	h := newHouse(t)
	q, err := h.asks(func(q *Question) {
		q.Person, q.Evidence, q.For = person("ada", "administrators"), evidence("ada"), 10*time.Minute
	})
	if err != nil || q.State != store.RequestApproved || len(q.Approvals) != 0 {
		t.Errorf("got %+v, %v", q, err)
	}
	raw, _ := terms(&store.Request{ID: newID(), Who: principal("ada"), Name: "ada", Device: "press-1", DeviceFP: h.dev.FP, Rule: "R2", Actions: []string{"shell:svc"},
		For: 10 * time.Minute, Reason: "why"})
	_, err = h.cfg.Signer.Approve(t.Context(), evidence("lea"), raw)
	h.wants("for somebody else", err, errkind.Denied, "only the requester")
}

// The gateway dies after the signer has made the grant, and comes back after the request would have expired.
func TestAGrantWithoutItsRowGetsOne(t *testing.T) {
	h := newHouse(t)
	q, err := h.asks(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := terms(&q)
	if err != nil {
		t.Fatal(err)
	}
	lost := q
	lost.ID = newID()
	other, err := terms(&lost)
	if err != nil {
		t.Fatal(err)
	}
	h.pass(29 * time.Minute)
	for _, terms := range [][]byte{raw, other} {
		for _, who := range []string{"lea", "lou"} {
			if _, err := h.cfg.Signer.Approve(t.Context(), evidence(who), terms); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.pass(2 * time.Minute)
	h.runs()
	for _, request := range []string{q.ID, lost.ID} {
		got, err := h.db.Request(t.Context(), request)
		if err != nil || got.State != store.RequestApproved || len(got.Approvals) != 2 || got.From.IsZero() || got.Reason != "why" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestARowOfAGrantThatTheSignerDoesNotHaveEnds(t *testing.T) {
	h := newHouse(t)
	q, err := h.asks(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"lea", "lou"} {
		if _, err := h.agrees(who, q.ID, Less{}); err != nil {
			t.Fatal(err)
		}
	}
	h.runs()
	if got, err := h.db.Request(t.Context(), q.ID); err != nil || got.State != store.RequestApproved {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := h.cfg.Signer.WithdrawGrant(t.Context(), q.ID, "elsewhere"); err != nil {
		t.Fatal(err)
	}
	h.runs()
	if got, err := h.db.Request(t.Context(), q.ID); err != nil || got.State != store.RequestWithdrawn || got.Ended.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
}

// runs is a round of Run.
func (h *house) runs() {
	h.t.Helper()
	if err := h.round(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// A withdrawal must reach the signer also where nobody had to approve, and a denial also where the signer's answer to an
// approval was lost.
func TestAnEndReachesTheSignerWhateverItsRowSays(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	q, err := h.asks(func(q *Question) {
		q.Person, q.Evidence, q.For = person("ada", "administrators"), evidence("ada"), 10*time.Minute
	})
	if err != nil {
		t.Fatal(err)
	}
	inForce := func(want int) {
		t.Helper()
		if grants, err := signer.AllGrants(ctx, h.cfg.Signer); err != nil || len(grants) != want {
			t.Errorf("the signer has %d grants, %v, want %d", len(grants), err, want)
		}
	}
	inForce(1)
	if _, err := h.Withdraw(ctx, person("ada", "administrators"), q.ID, "done", false); err != nil {
		t.Fatal(err)
	}
	inForce(0)

	q, err = h.asks(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := terms(&q)
	for _, who := range []string{"lea", "lou"} { // past the desk, as if its answers were lost
		if _, err := h.cfg.Signer.Approve(ctx, evidence(who), raw); err != nil {
			t.Fatal(err)
		}
	}
	inForce(1)
	if _, err := h.db.ChangeRequest(ctx, q.ID, func(q *store.Request) error { return move(q, deny) }); err != nil {
		t.Fatal(err)
	}
	stuck, err := h.asks(nil)
	if err != nil {
		t.Fatal(err)
	}
	h.pass(30 * time.Minute)
	h.runs()
	inForce(0)
	if got, err := h.db.Request(ctx, stuck.ID); err != nil || got.State != store.RequestExpired {
		t.Errorf("another request: got %+v, %v, want that it has expired", got, err)
	}
}

func TestMachinesRequestNothing(t *testing.T) {
	h := newHouse(t)
	_, err := h.asks(func(q *Question) { q.Person.Machine = "robot" })
	h.wants("a machine", err, errkind.Denied, "a service account cannot")
	_, err = h.asks(func(q *Question) { q.Actions = []string{"files.read:/var/log/a\u202eb"} })
	h.wants("a path that reads as another", err, errkind.Usage, "characters that nobody sees")
	_, err = h.asks(func(q *Question) { q.Actions = []string{"shell:svc", "shell:svc"} })
	h.wants("an action twice", err, errkind.Usage, "once")
}

func keyOf(seed [32]byte) ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
}
