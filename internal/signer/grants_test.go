package signer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

const agreed = policy + `
[[request]]
id = "R1"
why = "hall 2"
who = ["technicians"]
role = "maintain"
devices = { hall = "2" }
at_most = "1h"
ask_for = ["reason"]
agree = [{ from = "leads", count = 1 }, { from = "security", count = 1 }]
answer_within = "30m"
`

// asked is a house with a policy under which a right to press-2 can be asked for, and people who can agree.
func asked(t *testing.T) (*house, ledger.Terms) {
	t.Helper()
	h := newHouse(t)
	p := h.cfg.Identities.(provider)
	p["lea"], p["lou"], p["sam"], p["all"] = person("lea", "leads"), person("lou", "leads"), person("sam", "security"), person("all", "leads", "security")
	p["tess-leads"] = person("tess", "technicians", "leads")
	text := strings.Replace(agreed, `groups = ["technicians", `, `groups = ["leads", "security", "guests", "technicians", `, 1)
	text = strings.Replace(text, "[duties]", "[duties]\napprove = [\"leads\", \"security\"]", 1)
	if _, err := h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: text}}, "requests"); err != nil {
		t.Fatal(err)
	}
	return h, ledger.Terms{V: ledger.TermsVersion, Request: strings.Repeat("a", 26), Issuer: "https://idp.test", Subject: "tess", Name: "Tess",
		Device: "press-2", DeviceFP: machine("press-2", "2").FP, Rule: "R1", Actions: []string{"shell:svc"}, Seconds: 900, Reason: "the pump stands"}
}

func (h *house) approve(by string, t ledger.Terms) (Approved, error) {
	raw, err := t.Marshal()
	if err != nil {
		h.t.Fatal(err)
	}
	return h.Approve(h.t.Context(), evidence(by), raw)
}

// granted has two people agree.
func granted(t *testing.T) (*house, ledger.Terms) {
	t.Helper()
	h, terms := asked(t)
	for i, who := range []string{"lea", "sam"} {
		got, err := h.approve(who, terms)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Missing) != 1-i || got.Consent.Granted() != (i == 1) {
			t.Errorf("after %s: got %+v", who, got)
		}
	}
	return h, terms
}

func TestAGrantOpensWhatWasAgreedAndNamesTheApprovers(t *testing.T) {
	h, _ := asked(t)
	_, err := h.Open(t.Context(), h.request(tess, "press-2"))
	wantKind(t, "before anybody agreed", err, errkind.Denied)
	h, _ = granted(t)
	out, err := h.Open(t.Context(), h.request(tess, "press-2"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := wire.ParsePass(out.Pass, h.ca())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Grant.Approvers, []string{"lea", "sam"}) || out.Rule != "R1" || !out.Until.Equal(t0.Add(15*time.Minute)) {
		t.Errorf("got approvers %q, rule %s, until %s", p.Grant.Approvers, out.Rule, out.Until)
	}
	h.pass(15 * time.Minute)
	_, err = h.Open(t.Context(), h.request(tess, "press-2"))
	wantKind(t, "after its end", err, errkind.Denied)
}

func TestAGrantIsForItsPersonDeviceAndActionAlone(t *testing.T) {
	h, _ := granted(t)
	for name, r := range map[string]OpenRequest{"another person": h.request(evidence("nobody"), "press-2"),
		"an approver": h.request(evidence("lea"), "press-2")} {
		_, err := h.Open(t.Context(), r)
		wantKind(t, name, err, errkind.Denied)
	}
	h.admit("press-3", "2")
	_, err := h.Open(t.Context(), h.request(tess, "press-3"))
	wantKind(t, "another device", err, errkind.Denied)
	root := h.request(tess, "press-2")
	root.Login = "root"
	_, err = h.Open(t.Context(), root)
	wantKind(t, "another login", err, errkind.Denied)

	if _, err := h.Restrict(t.Context(), machine("press-2", "2").FP, wire.StateRevoked, "test"); err != nil {
		t.Fatal(err)
	}
	other := machine("the new press", "2")
	other.Name = "press-2"
	if _, err := h.PutDevice(t.Context(), ada, other); err != nil {
		t.Fatal(err)
	}
	_, err = h.Open(t.Context(), h.request(tess, "press-2"))
	wantKind(t, "another device of that name", err, errkind.Denied)
}

func TestApprovalsThatMustNotCount(t *testing.T) {
	h, terms := asked(t)
	refused := func(name, by string, t0 ledger.Terms, want errkind.Kind) {
		t.Helper()
		_, err := h.approve(by, t0)
		wantKind(t, name, err, want)
	}
	refused("one's own", "tess", terms, errkind.Denied)
	refused("one's own, in a group that agrees", "tess-leads", terms, errkind.Denied)
	refused("nobody's evidence", "forged", terms, errkind.Signin)
	refused("somebody in no group that agrees", "nobody", terms, errkind.Denied)
	refused("an administrator", "ada", terms, errkind.Denied)
	_, err := h.Approve(t.Context(), Evidence{APIToken: "spt_robot", ClientAddr: "10.1.2.3"}, must(terms.Marshal())(t))
	wantKind(t, "an API token", err, errkind.Denied)
	_, err = h.Approve(t.Context(), Evidence{}, must(terms.Marshal())(t))
	wantKind(t, "no evidence", err, errkind.Signin)

	for name, change := range map[string]func(*ledger.Terms){
		"more than the role gives":  func(x *ledger.Terms) { x.Actions = []string{"shell:root"} },
		"longer than the rule says": func(x *ledger.Terms) { x.Seconds = 3601 },
		"another device's key":      func(x *ledger.Terms) { x.DeviceFP = [32]byte{1} },
		"no such device":            func(x *ledger.Terms) { x.Device = "press-9" },
		"a device of another rule":  func(x *ledger.Terms) { x.Device, x.DeviceFP = "press-1", machine("press-1", "1").FP },
		"no reason":                 func(x *ledger.Terms) { x.Reason = "" },
		"no such rule":              func(x *ledger.Terms) { x.Rule = "A1" },
	} {
		bad := terms
		change(&bad)
		refused(name, "lea", bad, errkind.Conflict)
	}
	if _, err := h.approve("lea", terms); err != nil {
		t.Fatal(err)
	}
	refused("twice", "lea", terms, errkind.Conflict)
	if got, err := h.approve("lou", terms); err != nil || len(got.Missing) != 1 {
		t.Errorf("a second of the same group: got %+v, %v, want that security is missing still", got, err)
	}
}

func TestAnEditVoidsWhatWasApproved(t *testing.T) {
	h, terms := asked(t)
	if _, err := h.approve("lea", terms); err != nil {
		t.Fatal(err)
	}
	edited := terms
	edited.Seconds = 1800
	if got, err := h.approve("sam", edited); err != nil || got.Consent.Granted() {
		t.Errorf("got %+v, %v: the first approval was of other terms", got, err)
	}
	if got, err := h.approve("lea", edited); err != nil || !got.Consent.Granted() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestOnePersonInTwoGroupsCountsOnce(t *testing.T) {
	h, terms := asked(t)
	got, err := h.approve("all", terms)
	if err != nil || len(got.Missing) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnOldApprovalCountsNoMore(t *testing.T) {
	h, terms := asked(t)
	if _, err := h.approve("lea", terms); err != nil {
		t.Fatal(err)
	}
	h.pass(30*time.Minute + time.Second)
	if got, err := h.approve("sam", terms); err != nil || got.Consent.Granted() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAWithdrawnGrantStaysSo(t *testing.T) {
	h, terms := granted(t)
	if got, err := h.Grants(t.Context(), ""); err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	_, err := h.approve("lou", terms)
	wantKind(t, "a grant once more", err, errkind.Conflict)
	if _, err := h.WithdrawGrant(t.Context(), terms.Request, "enough"); err != nil {
		t.Fatal(err)
	}
	_, err = h.WithdrawGrant(t.Context(), terms.Request, "enough")
	wantKind(t, "twice", err, errkind.Conflict)
	_, err = h.WithdrawGrant(t.Context(), strings.Repeat("b", 26), "enough")
	wantKind(t, "no such request", err, errkind.NotFound)
	refused := func(when string) {
		t.Helper()
		_, err := h.Open(t.Context(), h.request(tess, "press-2"))
		wantKind(t, when, err, errkind.Denied)
		_, err = h.approve("lou", terms)
		wantKind(t, "an approval "+when, err, errkind.Conflict)
		if got, err := h.Grants(t.Context(), ""); err != nil || len(got) != 0 {
			t.Errorf("%s: got %v, %v", when, got, err)
		}
	}
	refused("after the withdrawal")
	h.Close()
	h.start()
	refused("after a restart")
	c := h.state.consents[terms.Request]
	c.Withdrawn = false // as a backup from before the withdrawal has it
	if err := h.state.write("requests/"+terms.Request, c); err != nil {
		t.Fatal(err)
	}
	h.Close()
	h.start()
	refused("after a restore")
}

func TestAGrantOutlivesARestartAndIsForgottenLater(t *testing.T) {
	h, terms := granted(t)
	h.Close()
	h.start()
	if _, err := h.Open(t.Context(), h.request(tess, "press-2")); err != nil {
		t.Error(err)
	}
	h.pass(keptAfter + time.Hour)
	p := h.cfg.Identities.(provider)
	late := p["lea"]
	late.SignedInAt = h.clock()
	p["lea-later"] = late
	terms.Request = strings.Repeat("b", 26)
	if _, err := h.approve("lea-later", terms); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(h.dir, "state", "requests", "*")); len(files) != 1 || len(h.state.consents) != 1 {
		t.Errorf("got %q and %d requests, want the new one alone", files, len(h.state.consents))
	}
}

func TestALogShowsWhatWasAgreedAndByWhom(t *testing.T) {
	h, terms := granted(t)
	_, err := h.Append(t.Context(), AppendRequest{Type: "granted", Body: must(ledger.EventBody{Fields: map[string]string{}}.Marshal())(t)})
	wantKind(t, "a grant leaf of the data plane", err, errkind.Denied)
	got := map[string]int{}
	for i := range h.log.Head().Size {
		e, err := h.Entry(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		l := must(ledger.ParseLeaf(e.Leaf))(t)
		if l.Type != "approved" && l.Type != "granted" {
			continue
		}
		got[l.Type]++
		b := must(ledger.ParseEventBody(e.Body))(t)
		if b.Fields["request"] != terms.Request || l.Type == "granted" && !strings.Contains(b.Fields["approvers"], "lea") {
			t.Errorf("got %+v", b)
		}
	}
	if got["approved"] != 2 || got["granted"] != 1 {
		t.Errorf("got %v", got)
	}
}

func TestEvidenceOfASignInThatHasEndedApprovesNothing(t *testing.T) {
	h, terms := asked(t)
	if _, err := h.approve("lea", terms); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"sam", "lou"} { // one whose token the signer has not seen, and one whose it has
		if who == "lou" {
			other := terms
			other.Request = strings.Repeat("b", 26)
			if _, err := h.approve(who, other); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.SignOut(t.Context(), TokenHash(who)); err != nil {
			t.Fatal(err)
		}
		_, err := h.approve(who, terms)
		wantKind(t, who, err, errkind.Signin)
	}
}

func TestOnePersonsGrantsAreBoundedAndReadPieceByPiece(t *testing.T) {
	h, terms := asked(t)
	c := NewClient(serve(t, h.Service, 0o600))
	for i := range mostOfPerson {
		terms.Request = strings.Repeat("a", 24) + string(rune('a'+i/26)) + string(rune('a'+i%26))
		for _, who := range []string{"lea", "sam"} {
			if _, err := h.approve(who, terms); err != nil {
				t.Fatal(err)
			}
		}
	}
	terms.Request = strings.Repeat("b", 26)
	_, err := h.approve("lea", terms)
	wantKind(t, "one more", err, errkind.TooMany)
	all, err := AllGrants(t.Context(), c)
	if err != nil || len(all) != mostOfPerson {
		t.Errorf("got %d of %d grants, %v", len(all), mostOfPerson, err)
	}
	if rest, err := c.Grants(t.Context(), strings.Repeat("a", 26)); err != nil || len(rest) != mostOfPerson-1 {
		t.Errorf("after the first: got %d, %v", len(rest), err)
	}
	h.pass(time.Hour)
	p := h.cfg.Identities.(provider)
	late := p["lea"]
	late.SignedInAt = h.clock()
	p["lea-later"] = late
	if _, err := h.approve("lea-later", terms); err != nil {
		t.Errorf("after they have ended: %v", err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// A gateway that was taken over has the socket, and not the evidence of whoever must agree.
func TestOverTheSocketNoApprovalCountsWithoutItsEvidence(t *testing.T) {
	h, terms := asked(t)
	c := NewClient(serve(t, h.Service, 0o600))
	raw := must(terms.Marshal())(t)
	stolen := evidence("lea")
	stolen.Session = wire.Sum([]byte("another web session"))
	if _, err := c.Approve(t.Context(), evidence("lea"), raw); err != nil { // binds her id token to her web session
		t.Fatal(err)
	}
	for name, e := range map[string]Evidence{"none": {}, "an id token that it made up": evidence("forged"), "the asker's": tess,
		"an id token without its web session": {IDToken: "sam"}, "one from another web session": stolen, "an API token": robot} {
		if _, err := c.Approve(t.Context(), e, raw); err == nil {
			t.Errorf("%s: the approval counts", name)
		}
	}
	if grants, err := c.Grants(t.Context(), ""); err != nil || len(grants) != 0 {
		t.Fatalf("got %+v, %v", grants, err)
	}
	_, err := c.Append(t.Context(), AppendRequest{Type: "approved", Body: must(ledger.EventBody{Fields: map[string]string{}}.Marshal())(t)})
	wantKind(t, "a leaf of its own", err, errkind.Denied)
	got, err := c.Approve(t.Context(), evidence("sam"), raw)
	if err != nil || !got.Consent.Granted() || len(got.Consent.Voices) != 2 {
		t.Errorf("with the evidence: got %+v, %v", got, err)
	}
	if _, err := c.WithdrawGrant(t.Context(), terms.Request, "enough"); err != nil {
		t.Error(err)
	}
	if grants, err := c.Grants(t.Context(), ""); err != nil || len(grants) != 0 {
		t.Errorf("after the withdrawal: got %+v, %v", grants, err)
	}
}

// TestAccountsOfOnePersonCountOnce: neither for an approval of one's own request, nor for two approvals.
func TestAccountsOfOnePersonCountOnce(t *testing.T) {
	h, terms := asked(t)
	account := func(subject, issuer string, groups ...string) Identity {
		x := person(subject, groups...)
		x.Principal.Issuer = issuer
		return x
	}
	p := h.cfg.Identities.(provider)
	p["tess-too"], p["lea-too"] = account("t-17", "https://other.test", "leads"), account("l-4", "https://other.test", "security")
	if _, err := h.approve("tess-too", terms); err != nil {
		t.Fatalf("before the policy knows: got %v", err)
	}
	same := "[[same_person]]\naccounts = [\"https://idp.test tess\", \"https://other.test t-17\"]\n" +
		"[[same_person]]\naccounts = [\"https://idp.test lea\", \"https://other.test l-4\"]\n"
	files := []PolicyFile{{Name: "p.toml", Text: h.state.policy.Files[0].Text + same}}
	if got, err := h.ApplyPolicy(t.Context(), ada, files, "two accounts"); err != nil || got.Unconfirmed {
		t.Fatalf("got %+v, %v", got, err)
	}
	_, err := h.approve("tess-too", terms)
	wantKind(t, "one's own with another account", err, errkind.Denied)
	terms.Request = strings.Repeat("b", 26)
	if got, err := h.approve("lea", terms); err != nil || len(got.Missing) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	_, err = h.approve("lea-too", terms)
	wantKind(t, "twice with two accounts", err, errkind.Conflict)
	if got, err := h.approve("sam", terms); err != nil || !got.Consent.Granted() {
		t.Errorf("another person: got %+v, %v", got, err)
	}
}
