package notifications

import (
	"bytes"
	"context"
	"database/sql"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

func TestAMailServerThatIsAwayForAnHourLosesAndBlocksNothing(t *testing.T) {
	h := newHouse(t)
	h.mail.Away()
	all := h.tells(Asked, principal("lea"), principal("lou"), principal("ada"))
	h.round()
	h.round() // the channel rests
	tried := 0
	for _, n := range all {
		if n.Channel == store.ChannelMail {
			tried += h.find(n.ID).Attempts
		}
	}
	if tried != 1 {
		t.Errorf("got %d attempts at once at a server that is away, want 1", tried)
	}
	for range 240 { // an hour
		h.round()
		h.pass(restAfter)
	}
	if ids, _ := h.hook.got(); len(ids) != 1 {
		t.Errorf("got %d webhooks while mail was away, want 1", len(ids))
	}
	if h.count(store.NotificationPending) != 3 || h.count(store.NotificationDead) != 0 {
		t.Fatalf("got %d pending and %d dead, want 3 and 0", h.count(store.NotificationPending), h.count(store.NotificationDead))
	}
	for _, n := range all {
		if n.Channel != store.ChannelMail {
			continue
		}
		if got := h.find(n.ID); got.Attempts < 3 || got.Attempts > 10 || !strings.Contains(got.Error, "connect") {
			t.Errorf("after an hour: got %d attempts and %q", got.Attempts, got.Error)
		}
	}
	h.mail.Back(t)
	for range 61 { // longPause
		h.round()
		h.pass(restAfter)
	}
	if got := h.mail.Mails(); len(got) != 3 || h.count(store.NotificationPending) != 0 {
		t.Errorf("got %d mails and %d pending, want each once", len(got), h.count(store.NotificationPending))
	}
	if text := h.log.String(); strings.Count(text, "notifications are not delivered") != 1 || strings.Count(text, "delivered again") != 1 {
		t.Errorf("the log does not say once that mail was away and came back:\n%s", text)
	}
}

func TestPausesDoubleUpToABound(t *testing.T) {
	want := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute}
	for i, w := range want {
		if got := pause(i + 1); got != w {
			t.Errorf("after attempt %d: got %s, want %s", i+1, got, w)
		}
	}
	if got := pause(1000); got != longPause {
		t.Errorf("after many: got %s", got)
	}
	h := newHouse(t)
	h.hook.answer(http.StatusServiceUnavailable)
	h.tells(Asked)
	for i, w := range want {
		h.round()
		h.pass(w - time.Second)
		h.round()
		if ids, _ := h.hook.got(); len(ids) != i+1 {
			t.Fatalf("a second before the pause of %s ends: got %d attempts, want %d", w, len(ids), i+1)
		}
		h.pass(time.Second)
	}
}

func TestANotificationThatFailsForADayIsADeadLetterUntilItIsRetried(t *testing.T) {
	h := newHouse(t)
	h.hook.answer(http.StatusInternalServerError)
	n := h.tells(Asked)[0]
	for h.clock().Before(n.GiveUp) {
		h.round()
		h.pass(5 * time.Minute)
	}
	if got := h.find(n.ID); got.State != store.NotificationPending {
		t.Fatalf("before a day: got %+v", got)
	}
	h.pass(longPause)
	h.round()
	dead := h.find(n.ID)
	if dead.State != store.NotificationDead || !strings.Contains(dead.Error, "answered 500") || dead.Done.IsZero() || h.Failed() != uint64(dead.Attempts) {
		t.Fatalf("after a day: got %+v and %d failed attempts", dead, h.Failed())
	}
	if !strings.Contains(h.log.String(), "will not be tried again") {
		t.Errorf("the log does not name it:\n%s", h.log.String())
	}
	ids, _ := h.hook.got()
	h.pass(time.Hour)
	h.round()
	if now, _ := h.hook.got(); len(now) != len(ids) {
		t.Error("a dead letter was tried again")
	}
	h.hook.answer(http.StatusOK)
	if got, err := h.Retry(t.Context(), n.ID[:6]); err != nil || got.State != store.NotificationPending || got.Attempts != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	h.round()
	if got := h.find(n.ID); got.State != store.NotificationSent || got.Error != "" {
		t.Errorf("after the retry: got %+v", got)
	}
	if now, _ := h.hook.got(); now[len(now)-1] != ids[0] {
		t.Errorf("the retry has the id %s, want %s as before", now[len(now)-1], ids[0])
	}
	if _, err := h.Retry(t.Context(), n.ID); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("a notification that was sent: got %v", err)
	}
	if _, err := h.Retry(t.Context(), "none"); errkind.KindOf(err) != errkind.NotFound {
		t.Errorf("none: got %v", err)
	}
}

func TestWhatCannotSucceedIsDeadAtOnceAndHoldsUpNothing(t *testing.T) {
	h := newHouse(t)
	h.mail.Answer("RCPT", "550 no such person")
	first := h.tells(Asked, principal("lea"))[0]
	h.round()
	h.mail.Answer("RCPT", "")
	odd := principal("odd")
	odd.Email = "odd@acme.example\r\nBcc: eve@evil.example"
	second := h.tells(Denied, odd, principal("lou"))[0]
	gone := h.notification(h.event(Asked, request()), store.ChannelWebhook+"gone", "")
	if err := h.db.AddNotifications(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	h.round()
	for _, n := range []store.Notification{first, second, gone} {
		if got := h.find(n.ID); got.State != store.NotificationDead || got.Attempts != 1 || got.Error == "" {
			t.Errorf("got %+v, want a dead letter", got)
		}
	}
	if got := h.mail.Mails(); len(got) != 1 || got[0].To != "lou@acme.example" {
		t.Errorf("got %+v, want the mail after them", got)
	}
}

// TestAFailureOfOneMailHoldsUpNoOther: a full mailbox is no outage of the server.
func TestAFailureOfOneMailHoldsUpNoOther(t *testing.T) {
	h := newHouse(t)
	h.mail.Answer("RCPT", "452 mailbox full")
	full := h.tells(Asked, principal("lea"), principal("lou"))
	h.round()
	for _, n := range full {
		if got := h.find(n.ID); n.Channel == store.ChannelMail && (got.State != store.NotificationPending || got.Attempts != 1) {
			t.Errorf("got %+v, want one attempt of each in the round", got)
		}
	}
	h.mail.Answer("RCPT", "")
	next := h.tells(Denied, principal("tess"))[0]
	h.round()
	if got := h.find(next.ID); got.State != store.NotificationSent {
		t.Errorf("the next mail: got %+v, want that it was sent at once", got)
	}
}

func TestAChannelThatHangsDoesNotHoldUpTheOthers(t *testing.T) {
	h := newHouse(t)
	last := newReceiver(t) // its channel comes after the one that hangs
	w, err := notify.NewWebhook(notify.WebhookConfig{Name: "zzz", URL: last.URL})
	if err != nil {
		t.Fatal(err)
	}
	h.cfg.Webhooks = append(h.cfg.Webhooks, Webhook{Name: "zzz", Format: "json", To: w})
	release, came := make(chan struct{}), make(chan struct{})
	h.hook.do(func() { <-release })
	last.do(func() { close(came) })
	h.tells(Asked, principal("lea"))
	done := make(chan error)
	go func() { done <- h.Round(t.Context()) }()
	select {
	case <-came:
	case <-time.After(8 * time.Second): // before the timeout of the one that hangs
		t.Error("a webhook waits for one that hangs")
	}
	close(release)
	if err := <-done; err != nil || h.count(store.NotificationSent) != 3 {
		t.Errorf("got %v and %d sent", err, h.count(store.NotificationSent))
	}
}

func TestAnOutcomeThatCannotBeStoredIsNoFloodOfRepeats(t *testing.T) {
	h := newHouse(t)
	n := h.tells(Asked)[0]
	other, err := sql.Open("sqlite3", "file:"+h.path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var tx *sql.Tx
	h.hook.do(func() {
		if tx, err = other.Begin(); err != nil {
			t.Error(err)
		}
	})
	if err := h.Round(t.Context()); err == nil {
		t.Fatal("the outcome could be stored in a locked database")
	}
	h.hook.do(nil)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	h.round()
	if ids, _ := h.hook.got(); len(ids) != 1 {
		t.Errorf("got %d attempts at once, want 1", len(ids))
	}
	h.pass(firstPause)
	h.round()
	if ids, _ := h.hook.got(); len(ids) != 2 || ids[0] != ids[1] || h.find(n.ID).State != store.NotificationSent {
		t.Errorf("after the pause: got %q and %+v, want the same id again, and sent", ids, h.find(n.ID))
	}
}

const (
	toSend = "SALLYPORT_TEST_NOTICES"
	toHook = "SALLYPORT_TEST_WEBHOOK"
)

// TestSendInAProcessOfItsOwn is the process that the next test kills.
func TestSendInAProcessOfItsOwn(t *testing.T) {
	path := os.Getenv(toSend)
	if path == "" {
		return
	}
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := notify.NewWebhook(notify.WebhookConfig{Name: "ops", URL: os.Getenv(toHook)})
	if err != nil {
		t.Fatal(err)
	}
	o := New(Config{Rows: db, Now: func() time.Time { return began }, Webhooks: []Webhook{{Name: "ops", Format: "json", To: w}}})
	t.Fatal("not killed: ", o.Round(t.Context()))
}

func TestAKillBetweenSendingAndStoringRepeatsTheNotificationWithItsID(t *testing.T) {
	h := newHouse(t)
	n := h.tells(Asked)[0]
	child := exec.Command(os.Args[0], "-test.run=^TestSendInAProcessOfItsOwn$")
	child.Env = append(os.Environ(), toSend+"="+h.path, toHook+"="+h.hook.URL)
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	started := make(chan struct{})
	h.hook.do(func() {
		<-started
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := child.Wait()
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the process was not killed: %v\n%s", err, &out)
	}
	h.hook.do(nil)
	if got := h.find(n.ID); got.State != store.NotificationPending || got.Attempts != 1 {
		t.Fatalf("after the kill: got %+v", got)
	}
	h.pass(firstPause)
	h.round()
	ids, bodies := h.hook.got()
	if len(ids) != 2 || ids[0] != n.ID || ids[1] != n.ID || bodies[0] != bodies[1] {
		t.Errorf("got %q, want the same notification twice", ids)
	}
	if got := h.find(n.ID); got.State != store.NotificationSent {
		t.Errorf("got %+v", got)
	}
}

func TestRunSendsWhatIsWokenForAndEndsWithItsContext(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	came := make(chan struct{})
	h.hook.do(func() { close(came) })
	h.tells(Asked)
	h.Wake()
	<-came
	cancel()
	if err := <-done; err == nil {
		t.Error("got no reason")
	}
}

func TestOldNotificationsAreDeleted(t *testing.T) {
	h := newHouse(t)
	h.tells(Asked, principal("lea"))
	h.round()
	h.pass(keepSent - time.Hour)
	h.round()
	if h.count(store.NotificationSent) != 2 {
		t.Error("deleted too early")
	}
	h.pass(3 * time.Hour)
	h.round()
	if h.count(store.NotificationSent) != 0 {
		t.Error("not deleted")
	}
}
