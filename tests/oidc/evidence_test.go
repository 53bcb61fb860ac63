package oidc

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/login"
)

// apart gives the configuration of a signer of its own, which serve starts first.
func (s *site) apart() string {
	s.socket = s.path("signer.sock")
	for _, dir := range []string{"signer", "data"} {
		if err := os.Mkdir(s.path(dir), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	return fmt.Sprintf("[signer]\nsocket = %q\ndir = %q\ngateway_user = \"%d\"\n", s.socket, s.path("signer"),
		os.Getuid())
}

// evidence gives the evidence of a command line's sign-in, as a compromised data plane would have it: from the
// database, and from the secret that the command line sends.
func (s *site) evidence(p *testenv.Person) (signer.Evidence, store.WebSession) {
	s.t.Helper()
	db, err := sqlite.Open(s.t.Context(), filepath.Join(s.path("data"), "gateway.db"), sqlite.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	row, err := db.WebSession(s.t.Context(), pending.Hash(p.Bearer()))
	if err != nil {
		s.t.Fatal(err)
	}
	e, err := login.EvidenceOf(row, p.Bearer(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	return e, row
}

// TestASignerOfItsOwnWantsEvidenceThatIsFresh uses two providers that follow the specification strictly: groups only at
// userinfo, and a refresh token only with consent, which is never requested from the second.
func TestASignerOfItsOwnWantsEvidenceThatIsFresh(t *testing.T) {
	s := newSite(t)
	f := foreign{Alg: "ES256", GroupsInUserInfo: true, AsksConsent: true,
		People: map[string]person{"tess": {"Tess", []string{"service"}}}}
	_, _, a := s.provider("acme", f, "", `"service" = "technicians"`)
	_, _, b := s.provider("beta", f, "prompt = \"never\"\nno_refresh_at_most = \"10s\"", `"service" = "technicians"`)
	s.serve(a + b + s.apart())
	own := signer.NewClient(s.socket)

	tess := testenv.NewPerson(t, s.url)
	if got := tess.Login(as("tess"), "allow", "--provider", "acme"); got.Status != 0 {
		t.Fatalf("login: %+v", got)
	}
	if m := whoami(t, tess); m.NoRefresh || strings.Join(m.Groups, " ") != "technicians" {
		t.Errorf("consent was not requested after a sign-in without a refresh token: got %+v", m)
	}
	short := testenv.NewPerson(t, s.url)
	if got := short.Login(as("tess"), "allow", "--provider", "beta"); got.Status != 0 {
		t.Fatalf("login: %+v", got)
	}
	if m := whoami(t, short); !m.NoRefresh {
		t.Errorf("prompt = never: got %+v", m)
	}
	if text := short.Must("whoami"); !strings.Contains(text, "beta gave no refresh token") {
		t.Errorf("whoami says %q", text)
	}
	if text := s.doctor(); !strings.Contains(text, "sign-ins now without a refresh token: 1") {
		t.Errorf("doctor says:\n%s", text)
	}

	if text := s.metrics(); !strings.Contains(text, `sallyport_sign_ins_without_refresh{provider="acme"} 0`) ||
		!strings.Contains(text, `sallyport_sign_ins_without_refresh{provider="beta"} 1`) {
		t.Errorf("metrics say:\n%s", text)
	}

	one, _ := s.evidence(tess)
	good, other := s.evidence(short)
	if err := own.Identify(t.Context(), good); err != nil {
		t.Errorf("evidence of now: %v", err)
	}
	for what, access := range map[string]string{
		"no access token, where groups are at userinfo": "",
		"an access token of another provider":           good.AccessToken,
		"an access token that nobody gave":              "made-up",
	} {
		e := one
		e.AccessToken = access
		if err := own.Identify(t.Context(), e); errkind.KindOf(err) != errkind.Signin {
			t.Errorf("%s: got %v", what, err)
		}
	}
	time.Sleep(time.Until(other.ConfirmedAt.Add(11 * time.Second)))
	if err := own.Identify(t.Context(), good); errkind.KindOf(err) != errkind.Signin ||
		!strings.Contains(err.Error(), "has not confirmed") {
		t.Errorf("an id token that is older than no_refresh_at_most: got %v", err)
	}
	if got := short.Run("whoami"); got.Status != 1 {
		t.Errorf("the sign-in without a refresh token goes on: %+v", got)
	}
	if m := whoami(t, tess); strings.Join(m.Groups, " ") != "technicians" {
		t.Errorf("the other one: got %+v", m)
	}
}

func (s *site) metrics() string {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+clientSecret)
	return testenv.NewBrowser(s.t).Took(http.DefaultClient.Do(r)).Body
}

// doctor gives the output of doctor for this gateway, whatever its exit status.
func (s *site) doctor() string {
	out, _ := exec.Command(filepath.Join(s.bin, "sallyport"), "doctor", "--config",
		s.path("gateway.toml")).CombinedOutput()
	return string(out)
}
