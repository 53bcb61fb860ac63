package api

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// fakeNotifications has one dead letter, n1.
type fakeNotifications struct{ did []string }

func deadLetter() store.Notification {
	return store.Notification{ID: "n1", Kind: "request.asked", Channel: store.ChannelMail, To: "lea@acme.example", Event: []byte("secret of the event"),
		State: store.NotificationDead, Created: testTime, Done: testTime, Error: "no such person"}
}

func (f *fakeNotifications) List(_ context.Context, x store.NotificationFilter) ([]store.Notification, int, error) {
	f.did = append(f.did, strings.Join(x.States, " "))
	return []store.Notification{deadLetter()}, 7, nil
}

func (f *fakeNotifications) Find(_ context.Context, notification string) (store.Notification, error) {
	if notification != "n1" {
		return store.Notification{}, errkind.New(errkind.NotFound, "no notification has this id")
	}
	return deadLetter(), nil
}

func (f *fakeNotifications) Retry(ctx context.Context, notification string) (store.Notification, error) {
	f.did = append(f.did, "retry "+notification)
	return f.Find(ctx, notification)
}

func (f *fakeNotifications) Mails() bool { return true }
func (f *fakeNotifications) Proposed(_ context.Context, c notifications.Change, to []store.Principal) {
	f.did = append(f.did, "proposed "+c.What)
}
func (f *fakeNotifications) Test(_ context.Context, who id.Principal, webhook string) (store.Notification, error) {
	f.did = append(f.did, "test "+who.Subject+webhook)
	return deadLetter(), nil
}

func TestNotificationsAreForAdministrators(t *testing.T) {
	for _, c := range [][3]string{{"GET", "/api/v1/notifications", ""}, {"GET", "/api/v1/notifications/n1", ""}, {"POST", "/api/v1/notifications/n1/retry", ""},
		{"POST", "/api/v1/notifications/test", "{}"}} {
		for as, want := range map[string]int{"admin": 200, "technician": 403, "officer": 403, "approver": 403, "owner": 403, "machine": 403, "": 401} {
			w := newWorld(t)
			got := w.call(as, c[0], c[1], c[2])
			if got.Code != want || want != 200 && len(w.notifications.did) > 0 {
				t.Errorf("%s %s as %q: got %d %s and %q done, want %d", c[0], c[1], as, got.Code, got.Body, w.notifications.did, want)
			}
		}
	}
}

func TestNotificationsAreListedByStateWithoutTheirEvent(t *testing.T) {
	w := newWorld(t)
	got := w.call("admin", "GET", "/api/v1/notifications?state=dead,pending&page=2&size=5", "")
	var p apitype.NotificationPage
	decodeInto(t, got.Body.Bytes(), &p)
	if p.Total != 7 || p.Page != 2 || p.Size != 5 || len(p.Notifications) != 1 || p.Notifications[0].Error != "no such person" || p.Notifications[0].NextTry != nil || p.Notifications[0].Done == nil {
		t.Errorf("got %+v", p)
	}
	if strings.Contains(got.Body.String(), "secret of the event") || w.notifications.did[0] != "dead pending" {
		t.Errorf("got %s for %q", got.Body, w.notifications.did)
	}
	if got := w.call("admin", "GET", "/api/v1/notifications?state=gone", ""); got.Code != 400 || !strings.Contains(got.Body.String(), "pending, sent, dead") {
		t.Errorf("an unknown state: got %d %s", got.Code, got.Body)
	}
	if got := w.call("admin", "POST", "/api/v1/notifications/n2/retry", ""); got.Code != 404 {
		t.Errorf("an unknown notification: got %d %s", got.Code, got.Body)
	}
	w.call("admin", "POST", "/api/v1/notifications/test", `{"webhook":"ops"}`)
	if last := w.notifications.did[len(w.notifications.did)-1]; last != "test adminops" {
		t.Errorf("got %q", last)
	}
}
