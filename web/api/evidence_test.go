package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/audit"
)

func TestARecordIsReadByChannel(t *testing.T) {
	w := newWorld(t)
	path := "/api/v1/sessions/" + sid(1).String()
	for _, form := range []string{"/transcript", "/input", "/cast?version=2", "/replay/index.json?idle=2", "/replay/0.json?until=5"} {
		mark := "?"
		if strings.Contains(form, "?") {
			mark = "&"
		}
		w.reads.of = nil
		first, third := w.call("officer", "GET", path+form, ""), w.call("officer", "GET", path+form+mark+"channel=3", "")
		if first.Code != 200 || third.Code != 200 || !slices.Equal(w.reads.of, []uint32{0, 3}) {
			t.Errorf("%s: got %d and %d of the channels %v, want the first and 3", form, first.Code, third.Code, w.reads.of)
		}
		for _, bad := range []string{"0", "-1", "two", "4294967296", "18446744073709551617"} {
			if got := w.call("officer", "GET", path+form+mark+"channel="+bad, ""); got.Code != 400 {
				t.Errorf("%s of channel %s: got %d %s", form, bad, got.Code, got.Body)
			}
		}
	}
	for query, want := range map[string]string{"": sid(1).String() + ".cast", "?channel=1": sid(1).String() + ".cast",
		"?channel=2": sid(1).String() + "-channel-2.cast"} {
		got := w.call("officer", "GET", path+"/cast"+query, "").Header().Get("Content-Disposition")
		if !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("cast%s: got %q, want the name %s", query, got, want)
		}
	}
}

func TestLookingIsWrittenDownBeforeAnythingIsShown(t *testing.T) {
	closed := "/api/v1/sessions/" + sid(1).String()
	for path, want := range map[string]string{"/timeline": "viewed", "/transcript": "viewed", "/input": "viewed", "/cast": "viewed", "/replay/index.json": "viewed",
		"/replay/0.json": "viewed", "/watch": "viewed", "/export": "exported"} {
		w := newWorld(t)
		if got := w.call("officer", "GET", closed+path, ""); got.Code != 200 {
			t.Fatalf("%s: got %d %s", path, got.Code, got.Body)
		}
		if len(w.reads.before) != 1 || w.reads.before[0] != 1 {
			t.Errorf("%s: got %v events before the record was read, want [1]", path, w.reads.before)
		}
		if e := w.events.events[0]; e.Type != want || e.Phase != audit.Begun || e.Subject != sid(1).String() || e.Actor != "https://idp officer" || e.Addr != "192.0.2.7" {
			t.Errorf("%s: got %+v, want %s of the session by the officer", path, e, want)
		}
	}
}

func TestWhatCannotBeWrittenDownIsNotShown(t *testing.T) {
	for _, path := range []string{"/timeline", "/transcript", "/input", "/cast", "/export", "/replay/index.json", "/watch"} {
		w := newWorld(t)
		w.events.broken = true
		got := w.call("officer", "GET", "/api/v1/sessions/"+sid(1).String()+path, "")
		if got.Code != http.StatusServiceUnavailable || len(w.reads.before) != 0 {
			t.Errorf("%s without a log: got %d and %d reads, want 503 and none", path, got.Code, len(w.reads.before))
		}
	}
}

func TestUnsealingIsWrittenDownBeforeAnythingIsSent(t *testing.T) {
	w := newWorld(t)
	path := "/api/v1/sessions/" + sid(1).String() + "/unseal"
	if got := w.call("unsealer", "POST", path, `{"reason":"case 12"}`); got.Code != 200 {
		t.Fatalf("got %d %s", got.Code, got.Body)
	}
	if e := w.events.events[0]; e.Type != "unsealed" || e.Subject != sid(1).String() || e.Fields["reason"] != "case 12" || len(w.reads.before) != 1 || w.reads.before[0] != 1 {
		t.Errorf("got %+v and %v events before the record was read, want unsealed, and [1]", e, w.reads.before)
	}
	w = newWorld(t)
	w.events.broken = true
	if got := w.call("unsealer", "POST", path, `{}`); got.Code != http.StatusServiceUnavailable || len(w.reads.before) != 0 {
		t.Errorf("without a log: got %d and %d reads, want 503 and none", got.Code, len(w.reads.before))
	}
}

func TestOneLookIsOneEventHoweverManyRequestsItTakes(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.call("officer", "GET", "/api/v1/sessions/"+sid(1).String()+"/replay/0.json", "")
	}
	w.call("technician", "GET", "/api/v1/sessions/"+sid(1).String()+"/replay/0.json", "")
	if got := w.events.count("viewed"); got != 2 {
		t.Errorf("got %d events for one look each of two people, want 2", got)
	}
}

func TestSearchingInAllRecordsIsAnEvent(t *testing.T) {
	w := newWorld(t)
	w.call("officer", "GET", "/api/v1/sessions?text=passwd", "")
	if w.events.count("searched") != 1 || w.events.events[0].Fields["text"] != "passwd" {
		t.Errorf("got %+v, want one event searched with the text", w.events.events)
	}
	w.call("technician", "GET", "/api/v1/sessions?text=passwd", "")
	if w.events.count("searched") != 1 {
		t.Error("a search in one's own sessions is an event")
	}
	w.events.broken = true
	if got := w.call("officer", "GET", "/api/v1/sessions?text=x", "").Code; got != http.StatusServiceUnavailable {
		t.Errorf("a search without a log: got %d, want 503", got)
	}
}

func TestEventsOfATokenSaySo(t *testing.T) {
	w := newWorld(t)
	w.call("audit-token", "GET", "/api/v1/sessions/"+sid(1).String()+"/transcript", "")
	if got := w.events.events[0].Fields["via"]; !strings.HasPrefix(got, "token ") {
		t.Errorf("got via %q, want the token's id", got)
	}
}
