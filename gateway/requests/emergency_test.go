package requests

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// emergency uses the emergency rule.
func (h *house) emergency() (store.Request, error) {
	return h.asks(func(q *Question) { q.Emergency, q.For, q.Reason = true, 10*time.Minute, "the line burns" })
}

func TestAnEmergencyIsLoudAndReviewed(t *testing.T) {
	h := newTellingHouse(t)
	h.owner("olga")
	q, err := h.emergency()
	if err != nil || q.State != store.RequestApproved || q.Rule != "E1" || !q.Emergency || !q.ReviewBy.Equal(q.From.Add(24*time.Hour)) {
		t.Fatalf("got %+v, %v", q, err)
	}
	h.wantsTold("at once", "emergency lea", "emergency lou", "emergency olga")
	ask := authz.Request{Person: person("tess", "technicians"), Device: authz.Device{Name: "press-1", Site: "ulm"}, Action: authz.ShellAction("svc")}
	if d := authz.Decide(h.rules.Snapshot(), ask, h.clock()); !d.Allowed || !d.Emergency {
		t.Errorf("the gateway decides %+v", d)
	}
	olaf := person("olaf", "officers")
	_, err = h.Review(t.Context(), olaf, q.ID, "too early")
	h.wants("in force", err, errkind.Conflict, "still in force")
	h.pass(10 * time.Minute)
	_, err = h.Review(t.Context(), person("tess", "technicians", "officers"), q.ID, "fine")
	h.wants("one's own", err, errkind.Denied, "your own")
	got, err := h.Review(t.Context(), olaf, q.ID, "one session, as described")
	if err != nil || got.Reviewer != "olaf" || got.Review != "one session, as described" || got.Reviewed.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = h.Review(t.Context(), olaf, q.ID, "again")
	h.wants("twice", err, errkind.Conflict, "already")
	h.pass(25 * time.Hour)
	h.runs()
	h.wantsTold("after the review")
}

func TestAReviewThatIsOverdueIsToldOnceToThoseWhoCanReview(t *testing.T) {
	h := newTellingHouse(t)
	if _, err := h.emergency(); err != nil {
		t.Fatal(err)
	}
	h.told()
	h.pass(24 * time.Hour)
	h.runs()
	h.wantsTold("overdue", "review.overdue olaf")
	h.runs()
	h.wantsTold("the next round")
	rows, total, err := h.db.Requests(t.Context(), store.RequestFilter{ToReview: true})
	if err != nil || total != 1 || len(rows) != 1 {
		t.Errorf("to review: got %d, %v", total, err)
	}
}

func TestOnlyAnEmergencyUsesAnEmergencyRule(t *testing.T) {
	h := newHouse(t)
	q, err := h.asks(nil)
	if err != nil || q.Rule == "E1" || q.Emergency {
		t.Errorf("an ordinary request: got %+v, %v", q, err)
	}
	_, err = h.asks(func(q *Question) { q.Rule = "E1" })
	h.wants("an emergency rule without an emergency", err, errkind.Denied, "")
	_, err = h.asks(func(q *Question) { q.Emergency, q.Rule = true, "R1" })
	h.wants("an emergency under another rule", err, errkind.Denied, "no emergency rule")
	_, err = h.asks(func(q *Question) { q.Emergency, q.Person = true, person("ada", "administrators") })
	h.wants("somebody whom it does not name", err, errkind.Denied, "no emergency rule")
	_, err = h.asks(func(q *Question) { q.Emergency, q.Reason = true, "" })
	h.wants("without a reason", err, errkind.Usage, "reason")
	if _, err := h.Review(t.Context(), person("olaf", "officers"), q.ID, "x"); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("a review of an ordinary request: got %v", err)
	}
}

// TestAnEmergencyThatTheDeskFindsIsLoudToo: the gateway was killed before it stored the signer's answer.
func TestAnEmergencyThatTheDeskFindsIsLoudToo(t *testing.T) {
	h := newTellingHouse(t)
	q := store.Request{ID: newID(), Who: principal("tess"), Name: "tess", Device: "press-1", DeviceFP: h.dev.FP, Rule: "E1", Actions: []string{"shell:svc"},
		For: 10 * time.Minute, Reason: "the line burns"}
	raw, err := terms(&q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.cfg.Signer.Approve(t.Context(), evidence("tess"), raw); err != nil {
		t.Fatal(err)
	}
	h.runs()
	if got, err := h.db.Request(t.Context(), q.ID); err != nil || !got.Emergency || got.ReviewBy.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	h.wantsTold("found", "emergency lea", "emergency lou")
}

// TestAnEmergencyWhoseRowCannotBeStoredStaysOne: the signer has granted it, so it must not be listed as withdrawn.
func TestAnEmergencyWhoseRowCannotBeStoredStaysOne(t *testing.T) {
	h := newTellingHouse(t)
	real := h.cfg.Rows
	broken := &failing{Rows: real}
	h.cfg.Rows = broken
	q, err := h.emergency()
	if !errors.Is(err, errCounted) {
		t.Fatalf("got %+v, %v", q, err)
	}
	h.cfg.Rows = real
	h.runs()
	got, err := h.db.Request(t.Context(), broken.id)
	if err != nil || got.State != store.RequestApproved || !got.Emergency || got.ReviewBy.IsZero() {
		t.Errorf("got %+v, %v, want the grant with its review", got, err)
	}
	h.wantsTold("after it", "emergency lea", "emergency lou")
}

// failing is a database that cannot store the answers to requests.
type failing struct {
	Rows
	id string
}

func (f *failing) ChangeRequest(_ context.Context, request string, _ func(*store.Request) error, _ ...func(store.Request) []store.Notification) (store.Request, error) {
	f.id = request
	return store.Request{}, errors.New("disk I/O error")
}

func TestAReviewThatNobodyCanMakeIsNotForgotten(t *testing.T) {
	h := newTellingHouse(t)
	if _, err := h.emergency(); err != nil {
		t.Fatal(err)
	}
	h.told()
	h.pass(recently) // nobody was seen since
	h.runs()
	h.wantsTold("with nobody there")
	p := store.Principal{ID: principal("olaf"), Name: "olaf", Email: "olaf@acme.example", Groups: []string{"officers"}, SeenAt: h.clock()}
	if err := h.db.PutPrincipal(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	h.runs()
	h.wantsTold("with an officer", "review.overdue olaf")
}
