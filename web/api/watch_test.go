package api

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/web/apitype"
)

// stretches reads an answer of watch.
func stretches(t *testing.T, r io.Reader) (out []apitype.Written) {
	t.Helper()
	for {
		s, err := apitype.ReadWritten(r)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
}

// text gives what came on a stream.
func text(all []apitype.Written, stream uint8) string {
	var b strings.Builder
	for _, s := range all {
		if s.Stream == stream {
			b.Write(s.Data)
		}
	}
	return b.String()
}

func TestAWatchedChannelIsTheFirstUnlessOneIsNamed(t *testing.T) {
	w := newWorld(t)
	path := "/api/v1/sessions/" + sid(3).String() + "/watch"
	for query, want := range map[string]uint32{"": 1, "?channel=1": 1, "?channel=3": 3} {
		got := w.call("owner", "GET", path+query, "")
		if s := stretches(t, got.Body); got.Code != http.StatusOK || text(s, 1) != "shown" || text(s, 0) != "" {
			t.Errorf("%q: got %d and %+v", query, got.Code, s)
		}
		if of := w.reads.of[len(w.reads.of)-1]; of != want {
			t.Errorf("%q: got channel %d, want %d", query, of, want)
		}
	}
	w.broker.refuse = errkind.New(errkind.Conflict, "this session is not running, so there is nothing to watch")
	if got := w.call("owner", "GET", path, ""); got.Code != http.StatusConflict {
		t.Errorf("a session that has ended: got %d %s", got.Code, got.Body)
	}
}

// TestWatchingEndsWithTheRightToIt changes what the right comes from while an owner watches.
func TestWatchingEndsWithTheRightToIt(t *testing.T) {
	for name, withdraw := range map[string]func(*testing.T, *world){
		"the duty is withdrawn": func(t *testing.T, w *world) {
			text := strings.Replace(testPolicy, `own        = ["owners"]`, "", 1)
			w.signer.policy = signer.Policy{Version: 2, Files: []signer.PolicyFile{{Name: "policy.toml", Text: text}}}
			if err := w.rules.Load(t.Context(), w.signer); err != nil {
				t.Fatal(err)
			}
		},
		"the site has another owner": func(_ *testing.T, w *world) { w.rows.owned.Store(&[]string{}) },
		"the sign-in has ended":      func(_ *testing.T, w *world) { w.signedOut.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.reads.runs = true
				ended := make(chan *httptest.ResponseRecorder, 1)
				go func() { ended <- w.call("owner", "GET", "/api/v1/sessions/"+sid(3).String()+"/watch", "") }()
				time.Sleep(time.Hour + time.Millisecond)
				withdraw(t, w)
				began := time.Now()
				got := stretches(t, (<-ended).Body)
				if took := time.Since(began); took > watchCheck {
					t.Errorf("the watching ended %s after the right, want at most %s", took, watchCheck)
				}
				if text(got, 1) != "shown" || text(got, 0) != "you may no longer watch this session" {
					t.Errorf("got %+v", got)
				}
				signs := int(time.Hour / watchAlive)
				if n := len(got); n < signs || n > signs+4 {
					t.Errorf("got %d stretches in an hour, want one in each %s", n, watchAlive)
				}
			})
		})
	}
}
