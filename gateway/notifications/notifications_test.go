package notifications

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/notify/notifytest"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

var began = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// house is an outbox on a real database, with a real mail server and a real receiver of webhooks. The clock is the test's.
type house struct {
	*Outbox
	t    *testing.T
	db   *sqlite.DB
	path string // of the database
	mail *notifytest.Server
	hook *receiver
	log  strings.Builder

	mu  sync.Mutex // guards now
	now time.Time
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// receiver keeps the webhooks that it gets.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex // guards what follows
	status int
	ids    []string
	bodies []string
	before func() // is called before an answer
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: 200}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.ids, r.bodies = append(r.ids, q.Header.Get(notify.HeaderID)), append(r.bodies, string(body))
		before, status := r.before, r.status
		r.mu.Unlock()
		if before != nil {
			before()
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) do(before func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

func (r *receiver) got() (ids, bodies []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ids...), append([]string(nil), r.bodies...)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, path: filepath.Join(t.TempDir(), "db"), mail: notifytest.New(t, false), hook: newReceiver(t), now: began}
	var err error
	if h.db, err = sqlite.Open(t.Context(), h.path, sqlite.Options{BusyTimeout: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.db.Close() })
	m, err := notify.NewMailer(notify.MailConfig{Server: h.mail.Addr, From: "access@acme.example", Security: notify.StartTLS, CAFile: h.mail.CA})
	if err != nil {
		t.Fatal(err)
	}
	w, err := notify.NewWebhook(notify.WebhookConfig{Name: "ops", URL: h.hook.URL})
	if err != nil {
		t.Fatal(err)
	}
	h.Outbox = New(Config{Rows: h.db, Site: "https://access.example", Name: "ACME", Mail: m, Now: h.clock,
		Log: slog.New(slog.NewTextHandler(&h.log, nil)), Webhooks: []Webhook{{Name: "ops", Format: "json", To: w}}})
	return h
}

func principal(who string) store.Principal {
	return store.Principal{ID: id.Principal{Issuer: "https://idp.test", Subject: who}, Name: who, Email: who + "@acme.example"}
}

func request() store.Request {
	return store.Request{ID: "req1", Who: principal("tess").ID, Name: "Tess", Device: "press-1", Site: "ulm", Rule: "R1", Actions: []string{"shell:svc"},
		For: 30 * time.Minute, Reason: "pump", State: store.RequestPending, Asked: began, Expires: began.Add(time.Hour)}
}

// tells stores the notifications of an event for these people.
func (h *house) tells(kind string, to ...store.Principal) []store.Notification {
	h.t.Helper()
	all := h.About(kind, request(), to)
	if err := h.db.AddNotifications(h.t.Context(), all...); err != nil {
		h.t.Fatal(err)
	}
	return all
}

func (h *house) round() {
	h.t.Helper()
	if err := h.Round(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// count gives how many notifications are in a state.
func (h *house) count(state string) int {
	h.t.Helper()
	n, err := h.db.CountNotifications(h.t.Context(), state)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) find(notification string) store.Notification {
	h.t.Helper()
	n, err := h.Find(h.t.Context(), notification)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestEachReceiverGetsItsOwnNotification(t *testing.T) {
	h := newHouse(t)
	nobody := principal("nobody")
	nobody.Email = ""
	all := h.tells(Asked, principal("lea"), nobody, principal("lou"))
	h.tells(Denied, nobody)
	if len(all) != 3 {
		t.Fatalf("got %d notifications, want two mails and a webhook: %+v", len(all), all)
	}
	h.round()
	var to []string
	for _, m := range h.mail.Mails() {
		to = append(to, m.To)
	}
	if got := strings.Join(to, " "); got != "lea@acme.example lou@acme.example" && got != "lou@acme.example lea@acme.example" {
		t.Errorf("got mails to %s", got)
	}
	if ids, bodies := h.hook.got(); len(ids) != 2 || !strings.Contains(bodies[0]+bodies[1], `"type":"request.asked"`) {
		t.Errorf("got webhooks %q", bodies)
	}
	if h.count(store.NotificationSent) != 4 || h.count(store.NotificationPending) != 0 {
		t.Errorf("got %d sent and %d pending, want 4 and 0", h.count(store.NotificationSent), h.count(store.NotificationPending))
	}
	h.round()
	if len(h.mail.Mails()) != 2 {
		t.Error("a notification was sent twice")
	}
	if n := strings.Count(h.log.String(), "gets no mail:"); n != 1 {
		t.Errorf("the log says %d times that a person has no address, want once", n)
	}
}

func TestAWebhookGetsTheKindsThatItWants(t *testing.T) {
	h := newHouse(t)
	h.cfg.Mail, h.cfg.Webhooks[0].Kinds = nil, []string{Denied, Withdrawn}
	for _, kind := range Kinds {
		h.tells(kind, principal("lea"))
	}
	h.round()
	if ids, _ := h.hook.got(); len(ids) != 2 || h.count(store.NotificationSent) != 2 {
		t.Errorf("got %d webhooks and %d notifications, want 2", len(ids), h.count(store.NotificationSent))
	}
}

func TestOnePersonCannotFillTheMailboxesOfApprovers(t *testing.T) {
	h := newHouse(t)
	mails := func(n int) (out int) {
		for range n {
			for _, one := range h.About(Asked, request(), []store.Principal{principal("lea")}) {
				if one.Channel == store.ChannelMail {
					out++
				}
			}
		}
		return out
	}
	if got := mails(50); got != mostAsks {
		t.Errorf("got mails about %d requests, want %d", got, mostAsks)
	}
	h.pass(2 * asksEvery)
	if got := mails(50); got != 2 {
		t.Errorf("after %s: got %d, want 2", 2*asksEvery, got)
	}
	if got := h.About(Granted, request(), []store.Principal{principal("tess")}); len(got) != 2 {
		t.Errorf("got %d notifications about a grant, want the mail and the webhook", len(got))
	}
}

func TestTheConfigurationKnowsEveryKindAndFormat(t *testing.T) {
	example, err := os.ReadFile(filepath.Join("..", "..", "examples", "gateway.toml"))
	if err != nil {
		t.Fatal(err)
	}
	parse := func(format, kind string) error {
		_, err := config.Parse("f", fmt.Appendf(nil, "%s\n[[webhook]]\nname=\"x\"\nurl=\"https://x.example\"\nsecret_file=\"/x\"\nformat=%q\nsend=[%q]\n", example, format, kind))
		return err
	}
	for _, f := range Formats {
		for _, k := range Kinds {
			if err := parse(f, k); err != nil {
				t.Error(err)
			}
		}
	}
	if parse("json", Test) == nil || parse("irc", Asked) == nil {
		t.Error("an unknown kind or format was taken")
	}
}
