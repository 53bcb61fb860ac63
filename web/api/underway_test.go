package api

import (
	"context"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/store"
)

// endlessRecords have a transcript that ends when nobody takes it any more.
type endlessRecords struct {
	*fakeRecords
	running atomic.Int32
}

func (e *endlessRecords) Transcript(_ context.Context, _ store.Session, _ []store.Part, _ uint32, w io.Writer) error {
	e.running.Add(1)
	defer e.running.Add(-1)
	for piece := make([]byte, 64<<10); ; {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
}

func TestOnePersonHasSoManyAnswersUnderWay(t *testing.T) {
	w := newWorld(t)
	reads := &endlessRecords{fakeRecords: w.reads}
	w.api.cfg.Records = reads
	srv := httptest.NewServer(w.API)
	defer srv.Close()
	ask := func() net.Conn {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET /api/v1/sessions/"+sid(1).String()+"/transcript HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer technician\r\n\r\n")
		return c
	}
	var asked []net.Conn // and never read
	hangUp := func() {
		for _, c := range asked {
			c.Close()
		}
	}
	defer hangUp()
	for range mostUnderWay + 8 {
		asked = append(asked, ask())
	}
	comes := func(want int32) {
		t.Helper()
		for end := time.Now().Add(time.Minute); reads.running.Load() != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d answers are under way, want %d", reads.running.Load(), want)
			}
		}
	}
	comes(mostUnderWay)
	time.Sleep(100 * time.Millisecond)
	comes(mostUnderWay)
	if got := w.call("officer", "GET", "/api/v1/sessions", ""); got.Code != 200 {
		t.Errorf("somebody else: got %d %s", got.Code, got.Body)
	}
	hangUp()
	comes(0)
	if got := w.call("technician", "GET", "/api/v1/sessions", ""); got.Code != 200 {
		t.Errorf("afterwards: got %d %s", got.Code, got.Body)
	}
	remembered := func() int {
		w.api.underWay.mu.Lock()
		defer w.api.underWay.mu.Unlock()
		return len(w.api.underWay.all)
	}
	for end := time.Now().Add(time.Minute); remembered() != 0; time.Sleep(5 * time.Millisecond) { // a place is given back after its answer
		if time.Now().After(end) {
			t.Fatalf("%d people are remembered", remembered())
		}
	}
}

func TestWhoeverWaitsForAPlaceIsToldWhenThereIsNone(t *testing.T) {
	u := &underWay{}
	for range mostUnderWay {
		if _, err := u.begin(t.Context(), "tess"); err != nil {
			t.Fatal(err)
		}
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := u.begin(left, "tess"); err == nil {
		t.Error("who has left got a place")
	}
	u.all["tess"].asked += mostWaiting
	if _, err := u.begin(t.Context(), "tess"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("got %v", err)
	}
	if _, err := u.begin(t.Context(), "ada"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}
