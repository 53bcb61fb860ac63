package requests

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/store"
)

// newTellingHouse is a desk whose notifications are kept and not sent. Everybody has an address but ada, and left was last seen
// long ago.
func newTellingHouse(t *testing.T) *house {
	h := newHouse(t)
	m, err := notify.NewMailer(notify.MailConfig{Server: "127.0.0.1:1", From: "access@acme.example", Security: notify.NoTLS})
	if err != nil {
		t.Fatal(err)
	}
	h.cfg.Notifications = notifications.New(notifications.Config{Rows: h.db, Site: "https://access.example", Mail: m, Now: h.clock, Log: slog.New(slog.DiscardHandler)})
	for who, group := range map[string]string{"tess": "technicians", "lea": "leads", "lou": "leads", "left": "leads", "ada": "administrators", "olga": "owners", "otto": "owners", "olaf": "officers"} {
		p := store.Principal{ID: principal(who), Name: who, Email: who + "@acme.example", Groups: []string{group}, SeenAt: h.clock()}
		switch who {
		case "ada":
			p.Email = ""
		case "left":
			p.SeenAt = h.clock().Add(-recently)
		}
		if err := h.db.PutPrincipal(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// told gives the notifications since the last call, as "kind address".
func (h *house) told() (out []string) {
	h.t.Helper()
	all, _, err := h.db.Notifications(h.t.Context(), store.NotificationFilter{States: []string{store.NotificationPending}})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, n := range all {
		out = append(out, n.Kind+" "+strings.TrimSuffix(n.To, "@acme.example"))
		if _, err := h.db.ChangeNotification(h.t.Context(), n.ID, func(n *store.Notification) error { n.State = store.NotificationSent; return nil }); err != nil {
			h.t.Fatal(err)
		}
	}
	slices.Sort(out)
	return out
}

func (h *house) wantsTold(what string, want ...string) {
	h.t.Helper()
	if got := h.told(); !slices.Equal(got, want) {
		h.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestWhoIsToldWhat(t *testing.T) {
	h := newTellingHouse(t)
	ctx, lea := t.Context(), person("lea", "leads")
	ask := func() string {
		t.Helper()
		q, err := h.asks(nil)
		if err != nil {
			t.Fatal(err)
		}
		h.wantsTold("asked", "request.asked lea", "request.asked lou")
		return q.ID
	}
	ok := func(_ store.Request, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	q := ask()
	ok(h.agrees("lea", q, Less{}))
	h.wantsTold("one approval of two")
	ok(h.agrees("lou", q, Less{}))
	h.wantsTold("granted", "request.granted tess")
	ok(h.Withdraw(ctx, lea, q, "enough", true))
	h.wantsTold("withdrawn by another person", "grant.withdrawn tess")

	q = ask()
	ok(h.agrees("lea", q, Less{}))
	ok(h.agrees("lou", q, Less{}))
	h.told()
	ok(h.Withdraw(ctx, person("tess", "technicians"), q, "done", false))
	h.wantsTold("withdrawn by its holder")

	q = ask()
	ok(h.Deny(ctx, lea, q, "no"))
	h.wantsTold("denied", "request.denied tess")
	q = ask()
	ok(h.Withdraw(ctx, person("tess", "technicians"), q, "", false))
	h.wantsTold("taken back")
	ask()
	h.pass(30 * time.Minute)
	h.runs()
	h.wantsTold("expired", "request.expired tess")
	h.runs()
	h.wantsTold("the next round")
}

func TestTheOwnerOfTheSiteIsToldWhereARuleNeedsThem(t *testing.T) {
	h := newTellingHouse(t)
	h.owner("olga")
	if _, err := h.asks(nil); err != nil {
		t.Fatal(err)
	}
	h.wantsTold("under a rule of leads", "request.asked lea", "request.asked lou")
	if _, err := h.asks(func(q *Question) { q.Rule, q.For = "R3", 5*time.Minute }); err != nil {
		t.Fatal(err)
	}
	h.wantsTold("under a rule of a lead and the owner", "request.asked lea", "request.asked lou", "request.asked olga")
}

func TestAGrantThatTheDeskFindsOrLosesIsToldOnce(t *testing.T) {
	h := newTellingHouse(t)
	q, err := h.asks(nil)
	if err != nil {
		t.Fatal(err)
	}
	h.told()
	raw, err := terms(&q)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"lea", "lou"} { // the gateway is killed before it stores the answers
		if _, err := h.cfg.Signer.Approve(t.Context(), evidence(who), raw); err != nil {
			t.Fatal(err)
		}
	}
	h.runs()
	h.wantsTold("found", "request.granted tess")
	h.runs()
	h.wantsTold("the next round")
	if _, err := h.cfg.Signer.WithdrawGrant(t.Context(), q.ID, "elsewhere"); err != nil {
		t.Fatal(err)
	}
	h.runs()
	h.wantsTold("lost", "grant.withdrawn tess")
}

func TestARequestThatIsNotStoredTellsNobody(t *testing.T) {
	h := newTellingHouse(t)
	for range MostOfPerson {
		if _, err := h.asks(nil); err != nil {
			t.Fatal(err)
		}
	}
	h.told()
	if _, err := h.asks(nil); errkind.KindOf(err) != errkind.TooMany {
		t.Fatalf("got %v", err)
	}
	h.wantsTold("one too many")
	if _, err := h.asks(func(q *Question) {
		q.Person, q.Evidence, q.For = person("ada", "administrators"), evidence("ada"), 10*time.Minute
	}); err != nil {
		t.Fatal(err)
	}
	h.wantsTold("a rule without approvals")
}

// Mail is for later: an approval must be counted also while no mail leaves.
func TestAnApprovalDoesNotWaitForAMailServer(t *testing.T) {
	h := newTellingHouse(t)
	q, err := h.asks(nil)
	if err != nil {
		t.Fatal(err)
	}
	outbox, ok := h.cfg.Notifications.(*notifications.Outbox)
	if !ok {
		t.Fatal(errors.New("not the real outbox"))
	}
	if err := outbox.Round(t.Context()); err != nil { // nobody listens at the mail server's address
		t.Fatal(err)
	}
	if outbox.Failed() == 0 {
		t.Fatal("a mail left")
	}
	for _, who := range []string{"lea", "lou"} {
		if _, err := h.agrees(who, q.ID, Less{}); err != nil {
			t.Fatal(err)
		}
	}
	h.wantsTold("all notifications wait", "request.asked lea", "request.asked lou", "request.granted tess")
}
