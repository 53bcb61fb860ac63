package api

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// fakeNotices has one dead letter, n1.
type fakeNotices struct{ did []string }

func deadLetter() store.Notice {
	return store.Notice{ID: "n1", Kind: "request.asked", Channel: store.ChannelMail, To: "lea@acme.example", Event: []byte("secret of the event"),
		State: store.NoticeDead, Created: testTime, Done: testTime, Error: "no such person"}
}

func (f *fakeNotices) List(_ context.Context, x store.NoticeFilter) ([]store.Notice, int, error) {
	f.did = append(f.did, strings.Join(x.States, " "))
	return []store.Notice{deadLetter()}, 7, nil
}

func (f *fakeNotices) Find(_ context.Context, notice string) (store.Notice, error) {
	if notice != "n1" {
		return store.Notice{}, errkind.New(errkind.NotFound, "there is no notice of this id")
	}
	return deadLetter(), nil
}

func (f *fakeNotices) Retry(ctx context.Context, notice string) (store.Notice, error) {
	f.did = append(f.did, "retry "+notice)
	return f.Find(ctx, notice)
}

func (f *fakeNotices) Test(_ context.Context, who id.Principal, webhook string) (store.Notice, error) {
	f.did = append(f.did, "test "+who.Subject+webhook)
	return deadLetter(), nil
}

func TestNoticesAreForAdministrators(t *testing.T) {
	for _, c := range [][3]string{{"GET", "/api/v1/notices", ""}, {"GET", "/api/v1/notices/n1", ""}, {"POST", "/api/v1/notices/n1/retry", ""},
		{"POST", "/api/v1/notices/test", "{}"}} {
		for as, want := range map[string]int{"admin": 200, "technician": 403, "officer": 403, "approver": 403, "owner": 403, "machine": 403, "": 401} {
			w := newWorld(t)
			got := w.call(as, c[0], c[1], c[2])
			if got.Code != want || want != 200 && len(w.notices.did) > 0 {
				t.Errorf("%s %s as %q: got %d %s and %q done, want %d", c[0], c[1], as, got.Code, got.Body, w.notices.did, want)
			}
		}
	}
}

func TestNoticesAreListedByStateWithoutTheirEvent(t *testing.T) {
	w := newWorld(t)
	got := w.call("admin", "GET", "/api/v1/notices?state=dead,pending&page=2&size=5", "")
	var p apitype.NoticePage
	decodeInto(t, got.Body.Bytes(), &p)
	if p.Total != 7 || p.Page != 2 || p.Size != 5 || len(p.Notices) != 1 || p.Notices[0].Error != "no such person" || p.Notices[0].NextTry != nil || p.Notices[0].Done == nil {
		t.Errorf("got %+v", p)
	}
	if strings.Contains(got.Body.String(), "secret of the event") || w.notices.did[0] != "dead pending" {
		t.Errorf("got %s for %q", got.Body, w.notices.did)
	}
	if got := w.call("admin", "GET", "/api/v1/notices?state=gone", ""); got.Code != 400 || !strings.Contains(got.Body.String(), "pending, sent, dead") {
		t.Errorf("an unknown state: got %d %s", got.Code, got.Body)
	}
	if got := w.call("admin", "POST", "/api/v1/notices/n2/retry", ""); got.Code != 404 {
		t.Errorf("an unknown notice: got %d %s", got.Code, got.Body)
	}
	w.call("admin", "POST", "/api/v1/notices/test", `{"webhook":"ops"}`)
	if last := w.notices.did[len(w.notices.did)-1]; last != "test adminops" {
		t.Errorf("got %q", last)
	}
}
