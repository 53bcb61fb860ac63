package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// apply puts another policy into force, made out of the test's by replacing old.
func (w *world) apply(t *testing.T, old, new string) {
	t.Helper()
	raw, err := json.Marshal(apitype.PolicyApply{Files: []apitype.PolicyFile{{Name: "policy.toml", Text: strings.Replace(testPolicy, old, new, 1)}}, Reason: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.call("admin", "POST", "/api/v1/policy/apply", string(raw)); got.Code != 200 {
		t.Fatalf("apply: got %d %s", got.Code, got.Body)
	}
}

func TestTheHistoryBeginsWithWhatWasConfigured(t *testing.T) {
	w := newWorld(t)
	numbers := func() (out []int) {
		var rows []apitype.Policy
		decodeInto(t, w.call("officer", "GET", "/api/v1/policy/versions", "").Body.Bytes(), &rows)
		for _, r := range rows {
			out = append(out, r.Version)
			if r.Files != nil {
				t.Errorf("version %d is listed with its files", r.Version)
			}
		}
		return out
	}
	if got := numbers(); !slices.Equal(got, []int{1}) {
		t.Errorf("got the versions %v, want 1", got)
	}
	w.apply(t, "", "")
	w.apply(t, `hall = "1"`, `hall = "2"`)
	if got := numbers(); !slices.Equal(got, []int{3, 2, 1}) {
		t.Errorf("got the versions %v, want 3, 2, 1", got)
	}
	for version, hall := range map[int]string{1: "1", 3: "2"} {
		var p apitype.Policy
		decodeInto(t, w.call("officer", "GET", fmt.Sprintf("/api/v1/policy/versions/%d", version), "").Body.Bytes(), &p)
		want := "Members of technicians may use the role maintain on devices whose hall is " + hall + " without asking, at any time."
		if len(p.Files) != 1 || !slices.ContainsFunc(p.Words, func(s apitype.PolicyWord) bool { return s.ID == "A1" && s.Text == want }) {
			t.Errorf("version %d: got %+v, want its file and %q", version, p.Words, want)
		}
	}
	if got := w.call("officer", "GET", "/api/v1/policy/versions/4", "").Code; got != 404 {
		t.Errorf("a version that is not: got %d, want 404", got)
	}
}

func TestTheMatrixIsOfThePolicyInForce(t *testing.T) {
	w := newWorld(t)
	var rows []apitype.PolicyRow
	decodeInto(t, w.call("officer", "GET", "/api/v1/policy/matrix", "").Body.Bytes(), &rows)
	if want := (apitype.PolicyRow{Who: "technicians", Role: "maintain", Devices: "hall=1", Allow: "A1 always", Gives: "shell:svc"}); len(rows) != 11 || rows[0] != want {
		t.Errorf("got %+v, want six groups and five duties, and first %+v", rows, want)
	}
}

func TestWhoCanNamesPeopleAndTheGroupsNobodyIsKnownOf(t *testing.T) {
	w := newWorld(t)
	w.apply(t, `["technicians"]`, `["technicians", "owners"]`)
	var rows []apitype.WhoCan
	decodeInto(t, w.call("admin", "GET", "/api/v1/policy/who-can?device=press-1", "").Body.Bytes(), &rows)
	var got []string
	for _, r := range rows {
		got = append(got, strings.Join([]string{r.User, r.Group, r.Action, r.How, r.Rule}, " "))
	}
	if want := []string{" owners shell:svc now A1", "technician technicians shell:svc now A1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := w.call("admin", "GET", "/api/v1/policy/who-can?device=press-9", "").Body.String(); got != "[]\n" {
		t.Errorf("a device that nobody admitted: got %s, want nobody", got)
	}
}

func TestNothingIsAssumedOfWhomAQuestionIsAbout(t *testing.T) {
	w := newWorld(t)
	w.apply(t, "[[allow]]", "[[require]]\nid = \"G1\"\nwhy = \"A second factor.\"\nfor = \"people\"\nmfa_within = \"30m\"\n\n[[allow]]")
	ask := func(as, of string) (e apitype.Explanation) {
		decodeInto(t, w.call(as, "GET", "/api/v1/policy/explain?device=press-1&action=shell:svc"+of, "").Body.Bytes(), &e)
		return e
	}
	other := ask("admin", "&user=technician")
	if other.Allowed || len(other.Unknown) != 1 || !strings.HasPrefix(other.Text, "technician would be told now: You may not open a shell as svc on press-1 yet") ||
		!strings.Contains(other.Text, "Not known here, and so not taken as given: when technician last proved a second factor.") {
		t.Errorf("about somebody else: got %+v", other)
	}
	if own := ask("technician", ""); own.Allowed || own.Unknown != nil || !strings.HasPrefix(own.Text, "You may not") {
		t.Errorf("about oneself: got %+v", own)
	}
}

// TestAShellAloneIsTheOnlyLogin: a question may leave out what a session may leave out.
func TestAShellAloneIsTheOnlyLogin(t *testing.T) {
	w := newWorld(t)
	const about = "/api/v1/policy/explain?user=technician&device=press-1&action=shell"
	var one, named apitype.Explanation
	decodeInto(t, w.call("admin", "GET", about, "").Body.Bytes(), &one)
	decodeInto(t, w.call("admin", "GET", about+":svc", "").Body.Bytes(), &named)
	if !one.Allowed || one.Text != named.Text || one.Rule != named.Rule {
		t.Errorf("got %+v, want as for shell:svc: %+v", one, named)
	}
	w.apply(t, `as = ["svc"]`, `as = ["svc", "root"]`)
	if got := w.call("admin", "GET", about, ""); got.Code != 400 || !strings.Contains(got.Body.String(), "there is more than one login on press-1: root, svc") {
		t.Errorf("two logins: got %d %s", got.Code, got.Body)
	}
	w.apply(t, `shell = { as = ["svc"] }`, `run = { as = ["svc"], argv = [["/bin/true"]] }`)
	if got := w.call("admin", "GET", about, ""); got.Code != 403 || !strings.Contains(got.Body.String(), "a shell on press-1, as any login") {
		t.Errorf("no login: got %d %s", got.Code, got.Body)
	}
}

// TestAnExplanationOfACommandIsThatOfASession: a command that no role lists needs the shell of its login.
func TestAnExplanationOfACommandIsThatOfASession(t *testing.T) {
	w := newWorld(t)
	ask := func(login string) (e apitype.Explanation) {
		const about = "/api/v1/policy/explain?device=press-1&action="
		action := url.QueryEscape("run:" + login + " /bin/ls -l")
		decodeInto(t, w.call("technician", "GET", about+action, "").Body.Bytes(), &e)
		return e
	}
	if got := ask("svc"); !got.Allowed || got.Rule != "A1" || got.Text != "You may open a shell as svc on press-1 (rule A1)." {
		t.Errorf("a login with a shell: got %+v", got)
	}
	if got := ask("root"); got.Allowed || !strings.HasPrefix(got.Text, "You may not run /bin/ls -l as root on press-1") {
		t.Errorf("a login without one: got %+v", got)
	}
}

func TestPeopleAreFoundByWhatTheyAreCalled(t *testing.T) {
	all := []store.Principal{{ID: id.Principal{Subject: "s1"}, Name: "Tess Technician", Username: "technician", Email: "tess@example"}, {ID: id.Principal{Subject: "s2"}, Name: "Tess", Email: "t2@example"},
		{ID: id.Principal{Subject: "s3"}, Name: "Ada Admin", Email: "ada@example"}, {ID: id.Principal{Subject: "s4"}, Name: "Ada Archer", Username: "archer"}, {ID: id.Principal{Subject: "s5"}, Name: "Özlem  Öz", Username: "oeoez"}}
	for name, want := range map[string]string{"Tess": "s2", "tess": "s1 s2", "technician": "s1", "s3": "s3", "ada@example": "s3", "ada": "s3 s4", "ada archer": "s4", "t2": "s2", "archer": "s4", "özlem öz": "s5", "OEOEZ": "s5",
		"Tes": "", "": "", " ": ""} {
		var got []string
		for _, p := range named(all, name) {
			got = append(got, p.ID.Subject)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %v, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{"tess": "s1 s2", "TES": "s1 s2", "tess te": "s1", "technician": "s1", "tech": "s1", "Ada": "s3 s4", "ada@example": "s3", "S3": "s3", "arch": "s4",
		"öz": "s5", "ÖZLEM Ö": "s5", "essa": "", "da": "", "example": "", "": ""} {
		var got []string
		for _, p := range called(all, name) {
			got = append(got, p.Subject)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("a listing of %q: got %v, want %s", name, got, want)
		}
	}
}

// TestARefusalSaysThatASecondFactorHelps: the page and the command line then offer to sign in again. A token cannot.
func TestARefusalSaysThatASecondFactorHelps(t *testing.T) {
	w := newWorld(t)
	w.broker.refuse = errkind.New(errkind.Denied, "not yet")
	refusal := func(as, login string) (p apitype.Problem) {
		t.Helper()
		got := w.call(as, "POST", "/api/v1/sessions", `{"device":"press-1","login":"`+login+`","pty":true}`)
		if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil || got.Code != http.StatusForbidden {
			t.Fatalf("%s: got %d %s", as, got.Code, got.Body)
		}
		return p
	}
	if refusal("technician", "svc").StepUp {
		t.Error("a second factor is offered where no rule wants one")
	}
	w.apply(t, "[[allow]]", "[[require]]\nid = \"G1\"\nwhy = \"A second factor.\"\nfor = \"people\"\nmfa_within = \"30m\"\n\n[[allow]]")
	for _, login := range []string{"svc", ""} {
		if !refusal("technician", login).StepUp {
			t.Errorf("login %q: a second factor is not offered", login)
		}
	}
	if refusal("technician", "root").StepUp {
		t.Error("a second factor is offered where it does not help")
	}
}
