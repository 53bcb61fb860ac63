package signer

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func TestADataPlaneCannotInventAPolicyOrADevice(t *testing.T) {
	h := newHouse(t)
	wide := []PolicyFile{{Name: "p.toml", Text: policy + "\n"}}
	size := h.log.Head().Size
	for what, e := range map[string]Evidence{"nobody": {}, "a forged id token": {IDToken: "x"}, "a technician": tess, "a technician's token": robot, "that token from elsewhere": {APIToken: robot.APIToken}} {
		kind := errkind.Denied
		if what == "nobody" || what == "a forged id token" || what == "that token from elsewhere" {
			kind = errkind.Signin
		}
		_, err := h.ApplyPolicy(t.Context(), e, wide, "")
		wantKind(t, "policy by "+what, err, kind)
		_, err = h.PutDevice(t.Context(), e, machine("press-3", "1"))
		wantKind(t, "device by "+what, err, kind)
	}
	if p, _ := h.CurrentPolicy(t.Context()); p.Version != 1 || h.log.Head().Size != size {
		t.Error("something came of it")
	}
}

func TestAPolicyIsAppliedByAnAdministratorAndSurvivesARestart(t *testing.T) {
	h := newHouse(t)
	_, err := h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: policy + "typo = 1\n"}}, "slip")
	wantKind(t, "a policy with a slip", err, errkind.Usage)
	narrow := strings.Replace(policy, `devices = { hall = "1" }`, `devices = { hall = "2" }`, 1)
	p, err := h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: narrow}}, "only hall 2")
	if err != nil || p.Version != 2 || p.By != person("ada").Principal.String() {
		t.Fatalf("got %+v, %v", p, err)
	}
	for range 2 {
		_, err = h.Open(t.Context(), h.request(tess, "press-1"))
		wantKind(t, "a shell under the new policy", err, errkind.Denied)
		h.Close()
		h.start()
	}
	if now, _ := h.CurrentPolicy(t.Context()); now.Version != 2 || now.SHA256 != p.SHA256 || now.Files[0].Text != narrow {
		t.Errorf("after a restart: got %+v", now)
	}
}

func TestATokenIsMadeByASignedInPersonForThemselves(t *testing.T) {
	h := newHouse(t)
	fresh := func(change func(*Token)) Token {
		text := id.NewSession().String()
		tok := Token{ID: text[:12], Hash: wire.Sum([]byte(text)), Principal: person("tess").Principal, Scopes: []string{ScopeSession}, Expires: t0.Add(time.Hour)}
		if change != nil {
			change(&tok)
		}
		return tok
	}
	mine := fresh(func(t *Token) { t.Groups = []string{"administrators"} })
	if _, err := h.PutToken(t.Context(), tess, mine); err != nil {
		t.Fatal(err)
	}
	if g := h.state.tokens[mine.Hash].Groups; len(g) != 1 || g[0] != "technicians" {
		t.Errorf("got groups %v, want those of the evidence", g)
	}
	for what, c := range map[string]struct {
		e    Evidence
		tok  Token
		kind errkind.Kind
	}{
		"by a token":                            {robot, fresh(nil), errkind.Denied},
		"by forged evidence":                    {evidence("x"), fresh(nil), errkind.Signin},
		"for somebody else":                     {tess, fresh(func(t *Token) { t.Principal.Subject = "ada" }), errkind.Denied},
		"by an administrator for somebody else": {ada, fresh(func(t *Token) { t.Groups = []string{"technicians"} }), errkind.Denied},
		"for a machine":                         {tess, fresh(func(t *Token) { t.Machine = "backup" }), errkind.Denied},
		"for more than 90 days":                 {tess, fresh(func(t *Token) { t.Expires = t0.Add(MaxTokenTime + time.Second) }), errkind.Usage},
		"that is over":                          {tess, fresh(func(t *Token) { t.Expires = t0 }), errkind.Usage},
		"with a hash that is taken":             {tess, fresh(func(t *Token) { t.Hash = mine.Hash }), errkind.Conflict},
		"with an id that is taken":              {tess, fresh(func(t *Token) { t.ID = mine.ID }), errkind.Conflict},
		"with a network that is no":             {tess, fresh(func(t *Token) { t.Network = "home" }), errkind.Usage},
	} {
		_, err := h.PutToken(t.Context(), c.e, c.tok)
		wantKind(t, what, err, c.kind)
	}
	leaf, err := h.RevokeToken(t.Context(), "robot", "by Ada")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := h.Entry(t.Context(), leaf.Index); err != nil || !bytes.Contains(e.Body, []byte("by Ada")) {
		t.Errorf("the leaf does not say by whom: %q, %v", e.Body, err)
	}
	h.Close()
	h.start()
	_, err = h.Open(t.Context(), h.request(robot, "press-1"))
	wantKind(t, "a revoked token after a restart", err, errkind.Signin)
	_, err = h.RevokeToken(t.Context(), "none", "")
	wantKind(t, "an unknown token", err, errkind.NotFound)
}

func TestATokenDoesOnlyWhatItsScopesSay(t *testing.T) {
	h := newHouse(t)
	put := func(e Evidence, name, machine string, scopes ...string) Evidence {
		t.Helper()
		who := person("ada").Principal
		if _, err := h.PutToken(t.Context(), e, Token{ID: name, Hash: wire.Sum([]byte(name)), Principal: who, Machine: machine, Scopes: scopes, Expires: t0.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		return Evidence{APIToken: name}
	}
	_, err := h.PutDevice(t.Context(), put(ada, "a", "", "session"), machine("press-3", "1"))
	wantKind(t, "without the scope", err, errkind.Denied)
	_, err = h.PutDevice(t.Context(), put(ada, "b", "backup", "administer"), machine("press-3", "1"))
	wantKind(t, "a service identity of an administrator", err, errkind.Denied)
	if who, err := h.person(t.Context(), Evidence{APIToken: "b"}); err != nil || who.Name != "machine:backup" {
		t.Errorf("a service identity: got %q, %v, want machine:backup", who.Name, err)
	}
	if _, err = h.PutDevice(t.Context(), put(ada, "c", "", "administer"), machine("press-3", "1")); err != nil {
		t.Error(err)
	}
	h.Service.state.tokens[wire.Sum([]byte("spt_robot"))] = Token{ID: "robot", Hash: wire.Sum([]byte("spt_robot")), Groups: []string{"technicians"}, Scopes: []string{"review"}, Expires: t0.Add(time.Hour)}
	_, err = h.Open(t.Context(), h.request(robot, "press-1"))
	wantKind(t, "a session without the scope", err, errkind.Denied)
}

// `policy words` says of a rule that closes something to a group: "and their machines".
func TestWhatIsClosedToAGroupIsClosedToItsMachines(t *testing.T) {
	h := newHouse(t)
	text := strings.Replace(policy, `who = ["technicians"]`, `who = ["technicians", "machine:job"]`, 1)
	text += "[[require]]\nid = \"G1\"\nwhy = \"they name a ticket\"\nwho = [\"administrators\"]\nticket = true\n"
	if _, err := h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: text}}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.PutToken(t.Context(), ada, Token{ID: "job", Hash: wire.Sum([]byte("job")), Principal: person("ada").Principal, Machine: "job", Scopes: []string{"session"}, Expires: t0.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	r := h.request(Evidence{APIToken: "job"}, "press-1")
	if _, err := h.Open(t.Context(), r); errkind.KindOf(err) != errkind.Denied || !strings.Contains(err.Error(), "ticket") {
		t.Errorf("without a ticket: got %v", err)
	}
	r.Ticket = "T1"
	if _, err := h.Open(t.Context(), r); err != nil {
		t.Errorf("with one: %v", err)
	}
}

func TestATokenThatIsBoundToANetworkAdministersFromThere(t *testing.T) {
	h := newHouse(t)
	tok := Token{ID: "a", Hash: wire.Sum([]byte("a")), Principal: person("ada").Principal, Scopes: []string{"administer"}, Network: "10.0.0.0/8", Expires: t0.Add(time.Hour)}
	if _, err := h.PutToken(t.Context(), ada, tok); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"", "192.0.2.1"} {
		_, err := h.PutDevice(t.Context(), Evidence{APIToken: "a", ClientAddr: from}, machine("press-3", "1"))
		wantKind(t, "from "+from, err, errkind.Signin)
	}
	for _, from := range []string{"10.1.2.3", "::ffff:10.1.2.3"} {
		if _, err := h.PutDevice(t.Context(), Evidence{APIToken: "a", ClientAddr: from}, machine("press-3", "1")); err != nil {
			t.Errorf("from %s: %v", from, err)
		}
	}
}

func TestADevicesStatesGoOneWay(t *testing.T) {
	h := newHouse(t)
	d := machine("press-1", "1")
	typeOf := func(a Appended) string {
		e, err := h.Entry(t.Context(), a.Index)
		if err != nil {
			t.Fatal(err)
		}
		l, _ := ledger.ParseLeaf(e.Leaf)
		return l.Type
	}
	put := func(d Device) (Appended, error) { return h.PutDevice(t.Context(), ada, d) }
	label := d
	label.State, label.Labels = wire.StateOK, map[string]string{"hall": "2"}
	if a, err := put(label); err != nil || typeOf(a) != "label" {
		t.Errorf("a label: got %v, %v", a, err)
	}
	_, err := h.Open(t.Context(), h.request(tess, "press-1"))
	wantKind(t, "a shell in hall 2", err, errkind.Denied)
	if _, err := h.Restrict(t.Context(), d.FP, wire.StateLocked, "look"); err != nil {
		t.Fatal(err)
	}
	_, err = put(label)
	wantKind(t, "a label on a locked device", err, errkind.Conflict)
	again := d
	again.State = wire.StateWaiting
	if a, err := put(again); err != nil || typeOf(a) != "admitted" {
		t.Errorf("admitting again: got %v, %v", a, err)
	}
	if _, err := h.Restrict(t.Context(), d.FP, wire.StateRevoked, "stolen"); err != nil {
		t.Fatal(err)
	}
	_, err = put(again)
	wantKind(t, "admitting a revoked key", err, errkind.Conflict)
	_, err = h.Restrict(t.Context(), d.FP, wire.StateLocked, "x")
	wantKind(t, "a lock on a revoked key", err, errkind.Conflict)
	_, err = h.Restrict(t.Context(), d.FP, wire.StateOK, "x")
	wantKind(t, "a restriction that widens", err, errkind.Usage)
	_, err = h.Restrict(t.Context(), wire.Sum(nil), wire.StateLocked, "x")
	wantKind(t, "an unknown device", err, errkind.NotFound)
	other := machine("new", "1")
	other.Name = "press-1" // the name is free again
	if _, err := put(other); err != nil {
		t.Error(err)
	}
	twice := machine("third", "1")
	twice.Name = "press-2"
	_, err = put(twice)
	wantKind(t, "a name that is taken", err, errkind.Conflict)
	twice.Name, twice.FP = "press-4", wire.Sum(nil)
	_, err = put(twice)
	wantKind(t, "a fingerprint of another key", err, errkind.Usage)
	h.Close()
	h.start()
	if s := h.state.devices[d.FP].State; s != wire.StateRevoked {
		t.Errorf("after a restart: got %s, want revoked", s)
	}
	if got, ok := h.state.byName("press-1"); !ok || got.FP != other.FP {
		t.Errorf("after a restart: press-1 is %+v", got)
	}
}

func TestTheBundlesSerialGrowsOnlyWhenItChanges(t *testing.T) {
	h := newHouse(t)
	serial := func() uint64 {
		t.Helper()
		s, _ := h.Bundle(t.Context())
		b, err := wire.ParseBundle(s)
		if err != nil {
			t.Fatal(err)
		}
		return b.Serial
	}
	restart := func() { t.Helper(); h.Close(); h.start() }
	first, _ := h.Bundle(t.Context())
	restart()
	if again, _ := h.Bundle(t.Context()); serial() != 1 || string(again.Sig) != string(first.Sig) {
		t.Error("a restart made another bundle")
	}
	h.cfg.Hosts = []string{"127.0.0.1:2"}
	restart()
	if serial() != 2 {
		t.Errorf("got serial %d, want 2", serial())
	}
	restart()
	if serial() != 2 {
		t.Errorf("got serial %d, want 2 still", serial())
	}
	h.Close()
	os.WriteFile(h.dir+"/bundle.json", []byte("{}"), 0o600)
	if s, err := New(h.cfg); err == nil {
		s.Close()
		t.Error("a signer started with a bundle it cannot read")
	}
	os.Remove(h.dir + "/bundle.json")
	h.start()
}
