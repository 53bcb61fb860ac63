package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// slowRecords verify until they are told to end.
type slowRecords struct {
	*fakeRecords
	begun, end chan struct{}
}

func (s slowRecords) Verify(ctx context.Context, row store.Session, parts []store.Part) (apitype.Verdict, error) {
	s.begun <- struct{}{}
	<-s.end
	return s.fakeRecords.Verify(ctx, row, parts)
}

func TestOnePersonHasOneRecordVerifiedAtATime(t *testing.T) {
	w := newWorld(t)
	slow := slowRecords{w.reads, make(chan struct{}), make(chan struct{})}
	w.api.cfg.Records = slow
	path := "/api/v1/sessions/" + sid(1).String() + "/verify"
	first := make(chan int)
	go func() { first <- w.call("technician", "POST", path, "").Code }()
	<-slow.begun
	got := w.call("technician", "POST", path, "")
	if got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "verified for you already") {
		t.Errorf("a second at once: got %d %v %s", got.Code, got.Header(), got.Body)
	}
	close(slow.end)
	if code := <-first; code != 200 {
		t.Errorf("the first: got %d", code)
	}
	go func() { <-slow.begun }()
	if got := w.call("technician", "POST", path, ""); got.Code != 200 {
		t.Errorf("after it: got %d %s", got.Code, got.Body)
	}
}

func TestNoMoreRecordsAreVerifiedAtOnceThanTheGatewayCanTake(t *testing.T) {
	w := newWorld(t)
	var done []func()
	for i := range mostVerifying {
		end, err := w.api.verifying.begin(id.Principal{Issuer: "https://idp", Subject: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, end)
	}
	path := "/api/v1/sessions/" + sid(1).String() + "/verify"
	got := w.call("technician", "POST", path, "")
	if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "Try again in a few seconds") {
		t.Errorf("when full: got %d %v %s", got.Code, got.Header(), got.Body)
	}
	if len(w.reads.before) != 0 || len(w.events.events) != 0 {
		t.Errorf("when full: %d reads and %d events, want none", len(w.reads.before), len(w.events.events))
	}
	done[0]()
	if got := w.call("technician", "POST", path, ""); got.Code != 200 {
		t.Errorf("with a place free: got %d %s", got.Code, got.Body)
	}
}
