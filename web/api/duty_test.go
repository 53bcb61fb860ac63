package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestWhoMayWhat is the table of the whole API: who gets in, and who reads what kind of refusal.
func TestWhoMayWhat(t *testing.T) {
	own, others, closed := sid(2).String(), sid(3).String(), sid(1).String()
	const yes, made, none, no, gone, anon = 200, 200, 204, 403, 404, 401
	cases := []struct {
		name, method, path, body string
		want                     map[string]int
	}{
		{"everybody reads who they are", "GET", "/api/v1/me", "", map[string]int{"technician": yes, "nobody": yes, "machine": yes, "": anon, "forged": anon}},
		{"nobody needs to be known for the sign-in page", "GET", "/api/v1/signin", "", map[string]int{"": yes}},
		{"a session is opened by people, and by tokens made for it", "POST", "/api/v1/sessions", `{"device":"press-1"}`,
			map[string]int{"technician": yes, "tech-token": yes, "weak-token": no, "audit-token": no, "": anon}},
		{"one's own session is shown; somebody else's reads as absent", "GET", "/api/v1/sessions/" + others, "",
			map[string]int{"other": yes, "technician": gone, "nobody": gone, "officer": yes, "approver": yes, "admin": yes, "owner": yes, "machine": gone, "": anon}},
		{"an owner sees sessions at their own site only", "GET", "/api/v1/sessions/" + own, "", map[string]int{"owner": gone, "technician": yes}},
		{"a session is ended by its technician, by approvers and administrators", "POST", "/api/v1/sessions/" + own + "/end", `{}`,
			map[string]int{"technician": none, "tech-token": none, "weak-token": no, "approver": none, "admin": none, "officer": no, "other": gone, "owner": gone, "": anon}},
		{"a record is looked into by its technician, a reviewer, and the owner of the device", "GET", "/api/v1/sessions/" + closed + "/transcript", "",
			map[string]int{"technician": yes, "officer": yes, "owner": yes, "admin": no, "approver": no, "other": gone, "audit-token": yes, "no-scope": gone, "machine": gone, "": anon}},
		{"so is its timeline", "GET", "/api/v1/sessions/" + closed + "/timeline", "", map[string]int{"technician": yes, "officer": yes, "owner": yes, "admin": no, "other": gone, "": anon}},
		{"and what was typed", "GET", "/api/v1/sessions/" + closed + "/input", "", map[string]int{"technician": yes, "officer": yes, "admin": no, "approver": no, "": anon}},
		{"and its check", "POST", "/api/v1/sessions/" + closed + "/verify", "", map[string]int{"technician": yes, "officer": yes, "admin": no, "": anon}},
		{"and the player's files", "GET", "/api/v1/sessions/" + closed + "/replay/0.json", "", map[string]int{"technician": yes, "officer": yes, "admin": no, "": anon}},
		{"a running session is watched by its technician, reviewers, approvers and the owner of the device", "GET",
			"/api/v1/sessions/" + others + "/watch", "", map[string]int{"other": yes, "officer": yes, "approver": yes,
				"owner": yes, "admin": no, "technician": gone, "nobody": gone, "audit-token": yes, "no-scope": gone,
				"machine": gone, "": anon}},
		{"an owner watches at their own site only", "GET", "/api/v1/sessions/" + own + "/watch", "",
			map[string]int{"owner": gone, "technician": yes, "tech-token": yes, "other": gone}},
		{"evidence is exported by reviewers; by token only where the policy says so", "GET", "/api/v1/sessions/" + closed + "/export", "",
			map[string]int{"officer": yes, "audit-token": no, "technician": no, "owner": no, "admin": no, "other": gone, "": anon}},
		{"what was typed at hidden prompts is for unsealing officers, in person", "POST", "/api/v1/sessions/" + closed + "/unseal", `{}`,
			map[string]int{"unsealer": yes, "unseal-token": no, "officer": no, "technician": no, "owner": no, "admin": no, "other": gone, "": anon}},
		{"a device is shown to whom a rule is about, its owner and administrators", "GET", "/api/v1/devices/press-1", "",
			map[string]int{"technician": yes, "admin": yes, "nobody": gone, "owner": gone, "machine": gone, "": anon}},
		{"a device in another hall is not there for technicians", "GET", "/api/v1/devices/press-2", "", map[string]int{"technician": gone, "owner": yes, "admin": yes, "officer": gone}},
		{"a waiting device is the administrators' matter", "GET", "/api/v1/devices/press-9", "", map[string]int{"technician": gone, "admin": yes}},
		{"a device is admitted by administrators", "POST", "/api/v1/devices/press-9/admit", `{}`, map[string]int{"admin": yes, "technician": no, "owner": no, "officer": no, "machine": no, "": anon}},
		{"a device is revoked by administrators", "POST", "/api/v1/devices/press-1/revoke", `{"reason":"stolen"}`, map[string]int{"admin": yes, "technician": no, "approver": no, "": anon}},
		{"a person is signed out by administrators", "POST", "/api/v1/people/sign-out",
			`{"user":"technician","reason":"lost laptop"}`,
			map[string]int{"admin": yes, "technician": no, "officer": no, "approver": no, "machine": no, "": anon}},
		{"labels are set by administrators", "POST", "/api/v1/devices/press-1/labels", `{"labels":{"hall":"2"}}`, map[string]int{"admin": yes, "owner": no, "technician": no, "": anon}},
		{"join codes are made by administrators", "POST", "/api/v1/enroll-tokens", `{"uses":1}`, map[string]int{"admin": made, "technician": no, "machine": no, "": anon}},
		{"join codes are listed by administrators", "GET", "/api/v1/enroll-tokens", "", map[string]int{"admin": yes, "officer": no, "": anon}},
		{"join codes are ended by administrators", "DELETE", "/api/v1/enroll-tokens/" + strings.Repeat("0", 32), "", map[string]int{"admin": none, "technician": no, "": anon}},
		{"the policy is applied by administrators", "POST", "/api/v1/policy/apply", applyBody(), map[string]int{"admin": yes, "approver": no, "technician": no, "machine": no, "": anon}},
		{"the policy's history is read by administrators and reviewers", "GET", "/api/v1/policy/versions", "", map[string]int{"admin": yes, "officer": yes, "technician": no, "owner": no, "machine": no, "": anon}},
		{"so is one version", "GET", "/api/v1/policy/versions/1", "", map[string]int{"admin": yes, "officer": yes, "audit-token": yes, "technician": no, "": anon}},
		{"and its matrix", "GET", "/api/v1/policy/matrix", "", map[string]int{"admin": yes, "officer": yes, "technician": no, "": anon}},
		{"a question about oneself is everybody's", "GET", "/api/v1/policy/explain?device=press-1&action=shell:svc", "", map[string]int{"technician": yes, "nobody": yes, "": anon}},
		{"a question about others is not", "GET", "/api/v1/policy/explain?user=technician&device=press-1&action=shell:svc", "", map[string]int{"admin": yes, "officer": yes, "other": no, "approver": no}},
		{"who can do what is for administrators, reviewers and the owner", "GET", "/api/v1/policy/who-can?device=press-2", "", map[string]int{"admin": yes, "owner": yes, "technician": gone}},
		{"the owners of a site are changed by administrators", "POST", "/api/v1/sites/owners", `{"site":"hall-south","add":["tess"]}`,
			map[string]int{"admin": yes, "owner": no, "officer": no, "approver": no, "technician": no, "machine": no, "": anon}},
		{"sites are listed for everybody as far as they see them", "GET", "/api/v1/sites", "", map[string]int{"admin": yes, "nobody": yes, "": anon}},
		{"events are read by reviewers and administrators", "GET", "/api/v1/audit", "", map[string]int{"officer": yes, "admin": yes, "audit-token": yes, "no-scope": no, "technician": no, "owner": no, "": anon}},
		{"the retention report is for reviewers and administrators", "GET", "/api/v1/retention/report", "",
			map[string]int{"officer": yes, "admin": yes, "audit-token": yes, "no-scope": no, "technician": no,
				"owner": no, "": anon}},
		{"the log's head is for everybody who is known", "GET", "/api/v1/log/checkpoint", "", map[string]int{"technician": yes, "nobody": yes, "": anon}},
		{"a token is made by people, for what they may do", "POST", "/api/v1/tokens", `{"scopes":["session"],"ttl_seconds":3600}`, map[string]int{"technician": yes, "tech-token": no, "machine": no, "": anon}},
		{"a token cannot be given a duty its maker has not", "POST", "/api/v1/tokens", `{"scopes":["administer"],"ttl_seconds":3600}`, map[string]int{"technician": no, "admin": yes}},
		{"a machine's name is given by administrators", "POST", "/api/v1/tokens", `{"scopes":["session"],"machine":"job","ttl_seconds":3600}`, map[string]int{"technician": no, "admin": yes}},
		{"a token is revoked by its person or an administrator", "DELETE", "/api/v1/tokens/t1", "", map[string]int{"technician": none, "admin": none, "other": gone, "": anon}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for as, want := range c.want {
				if got := newWorld(t).call(as, c.method, c.path, c.body); got.Code != want {
					t.Errorf("%s %s as %q: got %d %s, want %d", c.method, c.path, as, got.Code, got.Body, want)
				}
			}
		})
	}
}

func applyBody() string {
	raw, err := json.Marshal(apitype.PolicyApply{Files: []apitype.PolicyFile{{Name: "policy.toml", Text: testPolicy}}})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func TestAbsentAndInvisibleReadTheSame(t *testing.T) {
	w := newWorld(t)
	for _, pair := range [][2]string{
		{"/api/v1/devices/press-2", "/api/v1/devices/press-7"},
		{"/api/v1/sessions/" + sid(3).String(), "/api/v1/sessions/" + sid(9).String()},
		{"/api/v1/policy/explain?device=press-2&action=shell:svc", "/api/v1/policy/explain?device=press-7&action=shell:svc"},
	} {
		hidden, absent := w.call("technician", "GET", pair[0], ""), w.call("technician", "GET", pair[1], "")
		last := func(s string) string { return s[strings.LastIndexAny(s, "/=")+1:] }
		a, b := last(strings.TrimSuffix(pair[0], "&action=shell:svc")), last(strings.TrimSuffix(pair[1], "&action=shell:svc"))
		if got, want := strings.ReplaceAll(hidden.Body.String(), a, "X"), strings.ReplaceAll(absent.Body.String(), b, "X"); got != want || hidden.Code != absent.Code {
			t.Errorf("%s: got %d %s, want what an absent one gives: %d %s", pair[0], hidden.Code, got, absent.Code, want)
		}
	}
}

func TestListsHoldWhatTheCallerMaySee(t *testing.T) {
	w := newWorld(t)
	for as, want := range map[string]string{"technician": "press-1", "owner": "press-2", "admin": "press-1 press-2 press-9", "nobody": "", "officer": ""} {
		var rows []apitype.Device
		decodeInto(t, w.call(as, "GET", "/api/v1/devices", "").Body.Bytes(), &rows)
		var names []string
		for _, d := range rows {
			names = append(names, string(d.Name))
			if (d.Serial != "" || d.Address != "") && as == "technician" {
				t.Errorf("%s reads the serial and address of %s", as, d.Name)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("devices of %s: got %q, want %q", as, got, want)
		}
	}
	for as, want := range map[string]int{"technician": 2, "other": 1, "owner": 2, "officer": 3, "admin": 3, "approver": 3, "nobody": 0, "no-scope": 0} {
		var p apitype.SessionPage
		decodeInto(t, w.call(as, "GET", "/api/v1/sessions", "").Body.Bytes(), &p)
		if len(p.Sessions) != want || p.Total != want {
			t.Errorf("sessions of %s: got %d of %d, want %d", as, len(p.Sessions), p.Total, want)
		}
	}
}

func TestRevokedDevicesAreListedWhenTheyAreAskedFor(t *testing.T) {
	w := newWorld(t)
	w.rows.devices = append(w.rows.devices, store.Device{Name: "press-1", Site: "hall-south", State: store.Revoked})
	for _, c := range []struct {
		as, query string
		want      int
	}{
		{"admin", "?state=revoked", 1}, {"owner", "?state=revoked", 1}, {"technician", "?state=revoked", 0}, {"officer", "?state=revoked", 0},
		{"admin", "?state=revoked&site=hall-north", 0}, {"admin", "?state=waiting", 1}, {"admin", "", 3}, {"owner", "", 1},
	} {
		var rows []apitype.Device
		decodeInto(t, w.call(c.as, "GET", "/api/v1/devices"+c.query, "").Body.Bytes(), &rows)
		if len(rows) != c.want {
			t.Errorf("%s asks for %q: got %+v, want %d", c.as, c.query, rows, c.want)
		}
	}
}

func TestADeviceWithAnOutdatedAgentSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	for protocol, want := range map[int]bool{0: false, 1: true, wire.ControlVersion: false} {
		for i := range w.rows.devices {
			w.rows.devices[i].Protocol, w.rows.devices[i].ConnectedAt = protocol, time.Time{}
		}
		var rows []apitype.Device
		decodeInto(t, w.call("admin", "GET", "/api/v1/devices", "").Body.Bytes(), &rows)
		for _, d := range rows {
			if told := strings.Contains(strings.Join(d.Problems, " "), wire.UpdateAgent); told != want || d.Outdated != want {
				t.Errorf("version %d: %s is outdated %v, and says %q", protocol, d.Name, d.Outdated, d.Problems)
			}
		}
	}
}

func TestLabelsThatThePolicyDoesNotKnowAreRefused(t *testing.T) {
	for name, call := range map[string][2]string{
		"a join code":  {"/api/v1/enroll-tokens", `{"labels":{%s}}`},
		"an admission": {"/api/v1/devices/press-9/admit", `{"labels":{%s}}`},
		"a relabel":    {"/api/v1/devices/press-1/labels", `{"labels":{%s}}`},
	} {
		for labels, want := range map[string]string{
			`"hall":"2"`: "", `"hall":""`: "", `"gone":""`: "", // an empty value takes one away, known or not
			`"hall":"9"`:            `the label \"hall\" has the value \"9\"; the policy knows \"1\", \"2\"`,
			`"nosuchlabel":"1"`:     `the label \"nosuchlabel\" is not declared; the policy declares \"hall\"`,
			`"hall":"1","kind":"x"`: `the label \"kind\" is not declared`,
		} {
			w := newWorld(t)
			got := w.call("admin", "POST", call[0], fmt.Sprintf(call[1], labels))
			if want == "" {
				if got.Code != 200 || len(w.office.did) != 1 {
					t.Errorf("%s with %s: got %d %s, want it done", name, labels, got.Code, got.Body)
				}
				continue
			}
			if got.Code != 400 || !strings.Contains(got.Body.String(), want) || !strings.Contains(got.Body.String(), `"hint":"Use what [labels]`) || len(w.office.did) > 0 {
				t.Errorf("%s with %s: got %d %s, did %q, want 400, %s and a hint", name, labels, got.Code, got.Body, w.office.did, want)
			}
		}
	}
}

func TestAJoinCodeThatNobodyCouldUseIsNotMade(t *testing.T) {
	for _, c := range []struct {
		body string
		want int
		text string
	}{
		{`{}`, 200, ""}, {`{"uses":1,"ttl_seconds":60}`, 200, ""}, {`{"uses":10000,"ttl_seconds":2592000}`, 200, ""},
		{`{"uses":0}`, 400, "1 to 10000 uses, not 0"}, {`{"uses":-1}`, 400, "not -1"}, {`{"uses":10001}`, 400, "not 10001"},
		{`{"ttl_seconds":0}`, 400, "a minute to 30 days"}, {`{"ttl_seconds":-5}`, 400, "a minute to 30 days"}, {`{"ttl_seconds":2592001}`, 400, "a minute to 30 days"},
		{`{"ttl_seconds":18446744074}`, 400, "a minute to 30 days"}, // as nanoseconds it turns over, to half a second
		{`{"ttl_seconds":18446747673}`, 400, "a minute to 30 days"}, // and this one to an hour
	} {
		w := newWorld(t)
		got := w.call("admin", "POST", "/api/v1/enroll-tokens", c.body)
		if got.Code != c.want || !strings.Contains(got.Body.String(), c.text) || c.want == 400 && (len(w.office.did) > 0 || !strings.Contains(got.Body.String(), `"hint"`)) {
			t.Errorf("%s: got %d %s, did %q, want %d and %q", c.body, got.Code, got.Body, w.office.did, c.want, c.text)
		}
	}
}

func TestATokenThatWouldUnsealIsToldToSignIn(t *testing.T) {
	got := newWorld(t).call("unseal-token", "POST", "/api/v1/sessions/"+sid(1).String()+"/unseal", `{}`)
	var p apitype.Problem
	decodeInto(t, got.Body.Bytes(), &p)
	if got.Code != 403 || strings.Contains(got.Body.String(), "by_token") || !strings.Contains(p.Detail, "no API token unseals") || !strings.Contains(p.Hint, "Sign in") {
		t.Errorf("got %d %+v, want a refusal that says to sign in and not what no setting gives", got.Code, p)
	}
}

func TestEvidenceIsNamedAsTheHandbookNamesIt(t *testing.T) {
	got := newWorld(t).call("officer", "GET", "/api/v1/sessions/"+sid(1).String()+"/export", "").Header().Get("Content-Disposition")
	if want := `attachment; filename="` + sid(1).String() + `.slyb"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARowHasItsTimesAlsoWhereTheyAreNotYet(t *testing.T) {
	var p struct{ Sessions []map[string]any }
	decodeInto(t, newWorld(t).call("admin", "GET", "/api/v1/sessions", "").Body.Bytes(), &p)
	if len(p.Sessions) != 3 {
		t.Fatalf("got %d rows, want 3", len(p.Sessions))
	}
	for _, row := range p.Sessions {
		for _, name := range []string{"id", "device", "user", "login", "state", "started", "ended", "reason"} {
			v, there := row[name]
			if isTime := name == "started" || name == "ended"; !there || isTime != (v == nil) {
				t.Errorf("%s of %v: got %v (there %v), want it there, and null where it is a time that has not come", name, row["id"], v, there)
			}
		}
	}
}

func TestSessionsAreFoundByWhatTheirPersonIsCalled(t *testing.T) {
	for query, want := range map[string]int{"TESS": 2, "techn": 2, "nobody": 0} {
		var p apitype.SessionPage
		decodeInto(t, newWorld(t).call("officer", "GET", "/api/v1/sessions?user="+query, "").Body.Bytes(), &p)
		if p.Total != want {
			t.Errorf("%s: got %d sessions, want %d", query, p.Total, want)
		}
	}
}

func TestLastIsTheNewestOfThoseTheCallerSees(t *testing.T) {
	w := newWorld(t)
	for as, want := range map[string]string{"technician": sid(2).String(), "officer": sid(3).String(), "owner": sid(3).String()} {
		var s apitype.SessionDetail
		decodeInto(t, w.call(as, "GET", "/api/v1/sessions/last", "").Body.Bytes(), &s)
		if s.ID.String() != want {
			t.Errorf("last of %s: got %s, want %s", as, s.ID, want)
		}
	}
	if got := w.call("nobody", "GET", "/api/v1/sessions/last", "").Code; got != http.StatusNotFound {
		t.Errorf("last of nobody: got %d, want 404", got)
	}
}

func TestABeginningOfAnIDIsEnoughWhereItIsUnique(t *testing.T) {
	w := newWorld(t)
	var s apitype.SessionDetail
	decodeInto(t, w.call("technician", "GET", "/api/v1/sessions/"+sid(2).String()[:5], "").Body.Bytes(), &s)
	if s.ID != sid(2) {
		t.Errorf("got %s, want %s", s.ID, sid(2))
	}
}

func TestAnAdministratorsChangeGoesWithTheirOwnEvidence(t *testing.T) {
	w := newWorld(t)
	w.call("admin", "POST", "/api/v1/devices/press-9/admit", `{}`)
	if want := []string{"admit press-9 with id token of admin"}; !slices.Equal(w.office.did, want) {
		t.Errorf("got %q, want %q", w.office.did, want)
	}
	if w.broker.revalidated == 0 {
		t.Error("live sessions were not decided again after an admission")
	}
}

func TestAMachineHasNothingOfItsMakers(t *testing.T) {
	mine := "/api/v1/sessions/" + sid(5).String()
	for _, c := range []struct {
		method, path, body string
		itself, another    int
	}{
		{"GET", mine, "", 200, 404},
		{"GET", mine + "/transcript", "", 200, 404},
		{"POST", mine + "/end", "{}", 204, 404},
		{"DELETE", "/api/v1/tokens/t2", "", 204, 404},
	} {
		for as, want := range map[string]int{"machine": c.itself, "machine-of-t1": c.another, "admin": c.itself} {
			w := newWorld(t)
			w.rows.sessions = append(w.rows.sessions, store.Session{ID: sid(5), Device: "press-1", Principal: people["admin"].Person.ID, ViaToken: "t2", State: store.Live})
			if got := w.call(as, c.method, c.path, c.body); got.Code != want {
				t.Errorf("%s %s as %s: got %d %s, want %d", c.method, c.path, as, got.Code, got.Body, want)
			}
		}
	}
}

func TestWhoEndsASessionStandsInTheLog(t *testing.T) {
	w := newWorld(t)
	if got := w.call("approver", "POST", "/api/v1/sessions/"+sid(2).String()+"/end", `{"reason":"enough"}`); got.Code != http.StatusNoContent {
		t.Fatalf("got %d %s", got.Code, got.Body)
	}
	e := w.events.events
	if len(e) != 1 || e[0].Type != "ended" || e[0].Phase != audit.Done || e[0].Actor != "https://idp approver" || e[0].Subject != sid(2).String() || e[0].Fields["why"] != "enough" {
		t.Errorf("got events %+v, want that the approver ended it, and why", e)
	}
}

func TestARevokedTokenEndsWhatItOpened(t *testing.T) {
	w := newWorld(t)
	w.call("technician", "DELETE", "/api/v1/tokens/t1", "")
	if !slices.Equal(w.broker.signedOut, []string{"token:t1"}) || !slices.Equal(w.signer.revoked, []string{"t1 by technician, https://idp technician"}) {
		t.Errorf("got sessions of %q ended and %q revoked at the signer, want token:t1 and t1", w.broker.signedOut, w.signer.revoked)
	}
}

func TestATokenIsShownOnceAndKeptAsItsHash(t *testing.T) {
	w := newWorld(t)
	var tok apitype.Token
	decodeInto(t, w.call("technician", "POST", "/api/v1/tokens", `{"scopes":["session"],"ttl_seconds":3600,"network":"192.0.2.0/24"}`).Body.Bytes(), &tok)
	if !strings.HasPrefix(tok.Text, "spt_") || len(tok.Text) < 40 {
		t.Fatalf("got the text %q, want spt_ and at least 200 bits", tok.Text)
	}
	if len(w.signer.tokens) != 1 || len(w.rows.tokens) != 1 || w.signer.tokens[0].Hash != w.rows.tokens[0].Hash {
		t.Fatal("signer and store do not hold the same hash")
	}
	if strings.Contains(fmt.Sprintf("%+v %+v", w.signer.tokens, w.rows.tokens), tok.Text) {
		t.Error("the token's text is kept")
	}
}

func TestAPolicyThatIsAppliedHoldsAtOnce(t *testing.T) {
	w := newWorld(t)
	body := strings.Replace(applyBody(), `who     = [\"technicians\"]`, `who     = [\"shift-leads\"]`, 1)
	if got := w.call("admin", "POST", "/api/v1/policy/apply", body); got.Code != 200 {
		t.Fatalf("apply: got %d %s", got.Code, got.Body)
	}
	if got := w.call("technician", "GET", "/api/v1/devices/press-1", "").Code; got != http.StatusNotFound {
		t.Errorf("the device after its rule went: got %d, want 404", got)
	}
	if w.broker.revalidated != 1 || len(w.rows.policies) != 2 {
		t.Errorf("got %d revalidations and %d versions, want 1, and 2 with the configured one", w.broker.revalidated, len(w.rows.policies))
	}
}

func decodeInto(t *testing.T, raw []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
}
