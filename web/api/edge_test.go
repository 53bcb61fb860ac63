package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

func TestAProblemSaysWhatWhyAndWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.broker.refuse = errkind.New(errkind.Denied, "You may not open a shell as root on press-1.").WithHint("R1 lets you ask.")
	got := w.call("technician", "POST", "/api/v1/sessions", `{"device":"press-1","login":"root"}`)
	var p apitype.Problem
	decodeInto(t, got.Body.Bytes(), &p)
	if ct := got.Header().Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("got the type %s, want application/problem+json", ct)
	}
	if p.Status != 403 || got.Code != 403 || p.Reason != "denied" || p.Detail != "You may not open a shell as root on press-1." || p.Hint != "R1 lets you ask." || p.Title != "Forbidden" {
		t.Errorf("got %d %+v, want the broker's refusal with its hint", got.Code, p)
	}
}

func TestAFaultOfOursIsAReferenceOnly(t *testing.T) {
	w := newWorld(t)
	w.rows.broken = errUnknown
	got := w.call("admin", "GET", "/api/v1/devices", "")
	var p apitype.Problem
	decodeInto(t, got.Body.Bytes(), &p)
	if got.Code != 500 || p.Reason != "internal" || len(p.Reference) != 6 || strings.Contains(got.Body.String(), "sector") {
		t.Errorf("got %d %s, want 500 with a reference and nothing of the cause", got.Code, got.Body)
	}
}

func TestABodyIsReadStrictly(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"what is not UTF-8":            {"{\"device\":\"press-\xff\"}", 400},
		"a name twice":                 {`{"device":"press-1","device":"press-2"}`, 400},
		"a name twice in another case": {`{"device":"press-1","Device":"press-2"}`, 400},
		"an unknown name":              {`{"device":"press-1","root":true}`, 400},
		"another type":                 {`{"device":1}`, 400},
		"something missing":            {`{}`, 400},
		"something after it":           {`{"device":"press-1"} {}`, 400},
		"no object":                    {`["press-1"]`, 400},
		"no JSON":                      {`device=press-1`, 400},
		"columns beyond reason":        {`{"device":"press-1","pty":true,"cols":100000}`, 400},
		"too long a reason":            {`{"device":"press-1","purpose":"` + strings.Repeat("x", 501) + `"}`, 400},
		"too large a body":             {`{"device":"press-1","argv":["` + strings.Repeat("x", 70<<10) + `"]}`, 413},
	} {
		w := newWorld(t)
		got := w.call("technician", "POST", "/api/v1/sessions", c.body)
		var p apitype.Problem
		decodeInto(t, got.Body.Bytes(), &p)
		if got.Code != c.want || p.Reason != "usage" || p.Detail == "" || p.Hint == "" || len(w.broker.asked) != 0 {
			t.Errorf("%s: got %d %.200s and %d questions to the broker, want %d, usage and none", name, got.Code, got.Body, len(w.broker.asked), c.want)
		}
	}
}

func TestWhatIsWrongWithARequestIsSaidInWords(t *testing.T) {
	long := strings.Repeat("x", 501)
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/api/v1/sessions", `{"device":"press-1","purpose":"` + long + `"}`, `the request has mistakes: "purpose" is longer than 500 characters`},
		{"POST", "/api/v1/sessions", `{"device":"press-1","root":true}`, `the request has mistakes: "root" is not known here`},
		{"POST", "/api/v1/sessions", `{"device":1,"pty":2,"cols":1.5}`, `the request has mistakes: "cols" is no whole number; "device" is no text; "pty" is neither true nor false`},
		{"POST", "/api/v1/sessions", `{"device":"press-1","argv":[1]}`, `the request has mistakes: "argv[0]" is no text`},
		{"POST", "/api/v1/sessions", `{"device":"press-1","front":"x"}`, `the request has mistakes: "front" is none of browser, cli`},
		{"POST", "/api/v1/sessions", `{"device":"press-1","cols":900}`, `the request has mistakes: "cols" is more than 500`},
		{"POST", "/api/v1/sessions", `{}`, `the request has mistakes: the body lacks "device"`},
		{"POST", "/api/v1/sessions", `["x"]`, `the request has mistakes: the body is no JSON object`},
		{"POST", "/api/v1/sessions", `{"device":`, `the request has mistakes: the body is no JSON: it ends too early`},
		{"POST", "/api/v1/sessions", `{"device":"x"} {}`, `the request has mistakes: the body is no JSON: what stands at byte 16 does not belong there`},
		{"POST", "/api/v1/sessions", "{\"device\":\"press-1\",\"purpose\":\"\xff\"}", "the request has mistakes: the body cannot be read: it is not UTF-8"},
		{"POST", "/api/v1/sessions", `{"device":"x","device":"y"}`, `the request has mistakes: the body cannot be read: the name "device" occurs twice`},
		{"POST", "/api/v1/sessions", ``, `the body is missing: this call takes a JSON object`},
		{"POST", "/api/v1/sessions", `{"device":"` + strings.Repeat("x", 70<<10) + `"}`, `the body is too large: it can have 65536 bytes`},
		{"GET", "/api/v1/sessions?size=501", "", `the request has mistakes: "size" is more than 500`},
		{"GET", "/api/v1/sessions?size=x", "", `the request has mistakes: "size" is no whole number`},
		{"GET", "/api/v1/sessions?from=yesterday", "", `the request has mistakes: "from" is no time such as 2026-01-31T12:00:00Z`},
		{"GET", "/api/v1/sessions?mine=maybe", "", `the request has mistakes: "mine" is neither true nor false`},
		{"GET", "/api/v1/sessions?colour=red", "", `the request has mistakes: "colour" is not known here`},
		{"GET", "/api/v1/policy/explain?device=x", "", `the request has mistakes: "action" is missing`},
		{"GET", "/api/v1/sessions/" + strings.Repeat("x", 27), "", `the request has mistakes: "id" is longer than 26 characters`},
	} {
		got := newWorld(t).call("officer", c.method, c.path, c.body)
		var p apitype.Problem
		decodeInto(t, got.Body.Bytes(), &p)
		if got.Code/100 != 4 || p.Detail != c.want || p.Hint == "" || p.Reason != "usage" {
			t.Errorf("%s %.60s %.60s: got %d %q, hint %q, want %q and a hint", c.method, c.path, c.body, got.Code, p.Detail, p.Hint, c.want)
		}
	}
}

func TestAForeignContentTypeIsRefused(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest("POST", "/api/v1/sessions", strings.NewReader(`{"device":"press-1"}`))
	r.Header.Set("Authorization", "Bearer technician")
	r.Header.Set("Content-Type", "text/plain") // what a form of another site can send without a preflight
	out := httptest.NewRecorder()
	w.API.ServeHTTP(out, r)
	if out.Code != http.StatusUnsupportedMediaType || len(w.broker.asked) != 0 {
		t.Errorf("got %d %s, want 415 and no session", out.Code, out.Body)
	}
}

func TestListingsAreBounded(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string]int{"size=501": 400, "size=0": 400, "page=0": 400, "size=500": 200, "from=yesterday": 400, "state=dancing": 400, "state=live,closed": 200,
		"state=running": 200, "colour=red": 400, "from=2026-03-01T00:00:00Z": 200} {
		if got := w.call("officer", "GET", "/api/v1/sessions?"+query, ""); got.Code != want {
			t.Errorf("%s: got %d %s, want %d", query, got.Code, got.Body, want)
		}
	}
}

func TestAListOfOneSiteHasNoOther(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string]int{"": 3, "?site=hall-south": 2, "?site=hall-north": 1, "?site=hall": 0} {
		var got apitype.SessionPage
		if err := json.Unmarshal(w.call("officer", "GET", "/api/v1/sessions"+query, "").Body.Bytes(), &got); err != nil || got.Total != want {
			t.Errorf("%q: got %d sessions (%v), want %d", query, got.Total, err, want)
		}
	}
}

func TestAnAnswerThatBreaksOffDoesNotPassForAWholeOne(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(w.API)
	defer srv.Close()
	w.api.cfg.Records = brokenRecords{w.reads}
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/v1/sessions/"+sid(1).String()+"/transcript", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer officer")
	resp, err := srv.Client().Do(req)
	if err != nil {
		return // cut before the headers were out: as good
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a transcript that failed half-way ended like a whole one")
	}
}

func TestAnAnswerThatFailsBeforeItBeginsIsAProblem(t *testing.T) {
	w := newWorld(t)
	w.reads.err = errkind.New(errkind.NotFound, "the recording is not in the archive")
	got := w.call("officer", "GET", "/api/v1/sessions/"+sid(1).String()+"/transcript", "")
	if got.Code != 404 || got.Header().Get("Content-Type") != "application/problem+json" || got.Header().Get("Content-Disposition") != "" {
		t.Errorf("got %d %v, want a problem document", got.Code, got.Header())
	}
}

func TestOneMoreChannelIsAskedForByWhoOpenedTheSession(t *testing.T) {
	w := newWorld(t)
	channels := "/api/v1/sessions/" + sid(1).String() + "/channels"
	var got apitype.ChannelTicket
	decodeInto(t, w.call("technician", "POST", channels, `{"argv":["id"],"pty":true,"lang":"C"}`).Body.Bytes(), &got)
	if got.Channel != 2 || got.Ticket != "ticket of "+people["technician"].Key || got.Socket != apitype.TerminalPath {
		t.Errorf("got %+v, want a ticket for channel 2", got)
	}
	if len(w.broker.channels) != 1 {
		t.Fatalf("the broker was asked %+v", w.broker.channels)
	}
	ask := w.broker.channels[0]
	if ask.Session != sid(1) || ask.Key != people["technician"].Key || ask.Start.PTY == nil || ask.Start.PTY.Cols != 80 ||
		!slices.Equal(ask.Start.Argv, []string{"id"}) || len(ask.Start.Env) != 1 {
		t.Errorf("the broker was asked %+v", ask)
	}
	if got := w.call("other", "POST", channels, `{}`); got.Code != http.StatusNotFound {
		t.Errorf("somebody who does not see the session: got %d %s", got.Code, got.Body)
	}
}

func TestOnePersonCannotGrowTheLogWithoutEnd(t *testing.T) {
	w := newWorld(t)
	ask := func(bearer string) *httptest.ResponseRecorder {
		return w.call(bearer, "POST", "/api/v1/sessions", `{"device":"press-1","login":"svc"}`)
	}
	w.broker.refuse = errkind.New(errkind.Denied, "no") // what is refused is an entry as well
	for i := range 120 {
		if got := ask([]string{"technician", "tech-token"}[i%2]); got.Code != http.StatusForbidden {
			t.Fatalf("asking %d: got %d %s, want the refusal", i, got.Code, got.Body)
		}
	}
	before := len(w.broker.asked)
	for _, bearer := range []string{"technician", "tech-token"} {
		got := ask(bearer)
		if got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") != "1" || !strings.Contains(got.Body.String(), "more often than this gateway writes them down") {
			t.Errorf("%s: got %d %v %s, want to be told to wait", bearer, got.Code, got.Header(), got.Body)
		}
	}
	if got := w.call("technician", "POST", "/api/v1/tokens", `{"name":"job","scopes":["session"],"ttl_seconds":3600}`); got.Code != http.StatusTooManyRequests {
		t.Errorf("a token: got %d %s", got.Code, got.Body)
	}
	channels := "/api/v1/sessions/" + sid(1).String() + "/channels"
	if got := w.call("technician", "POST", channels, `{"argv":["id"]}`); got.Code != http.StatusTooManyRequests {
		t.Errorf("a channel: got %d %s", got.Code, got.Body)
	}
	if len(w.broker.asked) != before {
		t.Error("the broker was asked all the same")
	}
	if got := ask("other"); got.Code != http.StatusForbidden {
		t.Errorf("somebody else: got %d %s", got.Code, got.Body)
	}
	if got := w.call("technician", "GET", "/api/v1/sessions", ""); got.Code != http.StatusOK {
		t.Errorf("what writes nothing: got %d %s", got.Code, got.Body)
	}
	w.passed = 500 * time.Millisecond
	if got := ask("technician"); got.Code != http.StatusForbidden {
		t.Errorf("after the wait: got %d %s", got.Code, got.Body)
	}
}

func TestOnePersonsLooksDoNotGrowTheLogWithoutEnd(t *testing.T) {
	w := newWorld(t)
	look := func(bearer string, n int) error { // by sign-ins of which one person can have many
		who := people[bearer]
		who.Key = fmt.Sprint("sign-in ", n)
		return w.api.viewed(t.Context(), &who, sid(1), "replay")
	}
	var err error
	for n := 0; n < 1000 && err == nil; n++ {
		err = look("technician", n)
	}
	if got := w.events.count("viewed"); errkind.KindOf(err) != errkind.TooMany || got != 300 {
		t.Errorf("%d entries, and then %v", got, err)
	}
	if err := look("technician", 0); err != nil {
		t.Errorf("what was written down already: %v", err)
	}
	if err := look("officer", 0); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	w.passed = 100 * time.Millisecond
	if err := look("technician", 2000); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestOneSignInCannotAskForEver(t *testing.T) {
	w := newWorld(t)
	var slow *httptest.ResponseRecorder
	for range 200 {
		if got := w.call("technician", "GET", "/api/v1/me", ""); got.Code == http.StatusTooManyRequests {
			slow = got
			break
		}
	}
	if slow == nil || slow.Header().Get("Retry-After") == "" {
		t.Fatal("200 requests at once went through, want 429 with Retry-After")
	}
	if got := w.call("other", "GET", "/api/v1/me", "").Code; got != 200 {
		t.Errorf("somebody else meanwhile: got %d, want 200", got)
	}
}

func TestATicketIsForTheCallersOwnKey(t *testing.T) {
	w := newWorld(t)
	var got apitype.SessionTicket
	decodeInto(t, w.call("tech-token", "POST", "/api/v1/sessions", `{"device":"press-1","login":"svc","argv":["id"],"front":"cli"}`).Body.Bytes(), &got)
	ask := w.broker.asked[0]
	if got.Ticket != "ticket of "+people["tech-token"].Key || got.Socket != apitype.TerminalPath || len(got.Notice) == 0 {
		t.Errorf("got %+v, want a ticket for the token's key and the notice", got)
	}
	if ask.ViaToken != "t1" || ask.Evidence != people["tech-token"].Evidence || ask.Front != "cli" || ask.ClientAddr.String() != "192.0.2.7" || ask.Start.PTY != nil {
		t.Errorf("the broker was asked %+v", ask)
	}
}

func TestMyWorkPutsFirstWhatCanBeOpenedNow(t *testing.T) {
	w := newWorld(t)
	var got apitype.MyWork
	decodeInto(t, w.call("technician", "GET", "/api/v1/work", "").Body.Bytes(), &got)
	if len(got.Devices) != 1 || got.Devices[0].Device.Name != "press-1" || len(got.Devices[0].CanOpen) != 1 || got.Devices[0].CanOpen[0].Action != "shell:svc" {
		t.Fatalf("got %+v, want press-1 with shell:svc", got.Devices)
	}
	if r := got.Devices[0].CanOpen[0]; r.Until != nil || r.MaxSeconds != 12*3600 {
		t.Errorf("got a right until %v and sessions of %d s, want one without an end and sessions of 12 h", r.Until, r.MaxSeconds)
	}
	if len(got.Devices[0].Sessions) != 1 || len(got.Recent) != 2 {
		t.Errorf("got %d live and %d recent sessions, want 1 and 2", len(got.Devices[0].Sessions), len(got.Recent))
	}
	w.rows.devices[0].ConnectedAt = time.Time{}
	decodeInto(t, w.call("technician", "GET", "/api/v1/work", "").Body.Bytes(), &got)
	if !strings.Contains(got.Devices[0].Refused, "online") {
		t.Errorf("an offline device: got %q, want why", got.Devices[0].Refused)
	}
}

// brokenRecords lose the disk in the middle of a transcript.
type brokenRecords struct{ *fakeRecords }

func (brokenRecords) Transcript(_ context.Context, _ store.Session, _ []store.Part, _ uint32, w io.Writer) error {
	io.WriteString(w, strings.Repeat("half ", 10_000))
	return errUnknown
}
