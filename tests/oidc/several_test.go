package oidc

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// foreigners are two providers of others beside the built-in one. Both know a tess.
type foreigners struct {
	*site
	acme, beta string // issuers
}

func newForeigners(t *testing.T) *foreigners {
	t.Helper()
	s := &foreigners{site: newSite(t)}
	var a, b string
	_, s.acme, a = s.provider("acme", foreign{Alg: "RS256", People: map[string]person{"ada": {"Ada Admin", []string{"it"}}, "tess": {"Tess of Acme", []string{"service"}}}},
		`second_factor = { amr = ["mfa"] }`, `"it" = "administrators"`+"\n"+`"service" = "technicians"`)
	_, s.beta, b = s.provider("beta", foreign{Alg: "ES256", NoRefresh: true, People: map[string]person{"tess": {"Tess of Beta", []string{"service", "administrators"}}}},
		"", `"guests" = "technicians"`)
	s.serve(a + b + "[[identity]]\nname = \"house\"\nbuiltin = true\n")
	return s
}

// as answers a foreign provider's pages, also those that ask for consent.
func as(name string) func(*testenv.Browser) {
	return func(b *testenv.Browser) {
		for b.Submit("login", name, "password", "any"); strings.Contains(b.Body, `name="prompt" value="consent"`); {
			b.Submit()
		}
	}
}

func (s *foreigners) person(t *testing.T, provider, name string) *testenv.Person {
	t.Helper()
	p := testenv.NewPerson(t, s.url)
	if got := p.Login(as(name), "allow", "--provider", provider); got.Status != 0 {
		t.Fatalf("login as %s of %s: %+v", name, provider, got)
	}
	return p
}

type me struct {
	Name, Issuer, Subject, Via string
	Groups                     []string
	Duties                     []string
	NoRefresh                  bool `json:"no_refresh"`
}

func whoami(t *testing.T, p *testenv.Person) me {
	t.Helper()
	var m me
	if err := json.Unmarshal([]byte(p.Must("whoami", "--json")), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPeopleOfForeignProvidersUseTheGateway is a whole life: an administrator adds a machine, a technician works on it, and the
// provider ends it.
func TestPeopleOfForeignProvidersUseTheGateway(t *testing.T) {
	s := newForeigners(t)
	ada := s.person(t, "acme", "ada")
	s.machine(ada)
	tess := s.person(t, "acme", "tess")
	t.Run("groups are those that are mapped, and people are those of their provider", func(t *testing.T) {
		if m := whoami(t, tess); m.Issuer != s.acme || m.Subject != "tess" || m.Via != "cli" || strings.Join(m.Groups, " ") != "technicians" || len(m.Duties) != 0 {
			t.Errorf("tess of acme: got %+v", m)
		}
		other := s.person(t, "beta", "tess")
		if m := whoami(t, other); m.Issuer != s.beta || m.Subject != "tess" || m.Name != "Tess of Beta" || len(m.Groups) != 0 || len(m.Duties) != 0 {
			t.Errorf("tess of beta: got %+v; neither of her groups is mapped there", m)
		}
		if got := other.Run("shell", "press-1", "--", "true"); got.Status != 77 {
			t.Errorf("tess of beta opens a shell: %+v", got)
		}
	})
	t.Run("an answer of one provider is no answer of another", func(t *testing.T) { s.mixUp(t) })
	t.Run("a provider whose second factor counts is asked when the person signed in", func(t *testing.T) {
		b := testenv.NewBrowser(t)
		b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for provider, want := range map[string]bool{"acme": true, "beta": false} {
			if to := b.Open(s.url + "/login/" + provider).Head.Get("Location"); strings.Contains(to, "max_age=43200") != want {
				t.Errorf("%s: got %s", provider, to)
			}
		}
	})
	t.Run("the built-in provider is one among them", func(t *testing.T) {
		if b := testenv.NewBrowser(t).Open(s.url + "/login/house"); b.At.Path != "/idp/authorize" || !strings.Contains(b.Body, `name="username"`) {
			t.Errorf("got %s (%d)", b.At, b.Status)
		}
	})
	t.Run("signing out here signs out there", func(t *testing.T) { s.signOutHere(t) })
	t.Run("signing out there ends browser, command line and live shell", func(t *testing.T) { s.signOutThere(t, tess) })
}

// mixUp lets beta's answer come back to acme's address (RFC 9207).
func (s *foreigners) mixUp(t *testing.T) {
	b := testenv.NewBrowser(t)
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback/beta" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.Open(s.url + "/login/beta")
	as("tess")(b)
	back := b.Head.Get("Location")
	if !strings.HasPrefix(back, s.url+"/callback/beta?") {
		t.Fatalf("got %q (%d)", back, b.Status)
	}
	if b.Open(strings.Replace(back, "/callback/beta", "/callback/acme", 1)); b.Status != http.StatusUnauthorized {
		t.Errorf("beta's answer at acme's address: got %d", b.Status)
	}
	b.CheckRedirect = nil
	if b.Open(back); b.Status != http.StatusUnauthorized {
		t.Errorf("the state after it was used up by that: got %d", b.Status)
	}
}

func (s *foreigners) me(b *testenv.Browser) int { return b.Open(s.url + "/api/v1/me").Status }

// signOutHere is RP-initiated logout.
func (s *foreigners) signOutHere(t *testing.T) {
	b := testenv.NewBrowser(t).Open(s.url + "/login/acme?next=/healthz")
	as("tess")(b)
	if b.At.Path != "/healthz" || s.me(b) != http.StatusOK {
		t.Fatalf("sign-in: at %s (%d)", b.At, b.Status)
	}
	req, _ := http.NewRequest(http.MethodPost, s.url+"/logout", nil)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if b.Took(b.Do(req)); !strings.HasPrefix(b.At.String(), s.acme+"/session/end") || b.At.Query().Has("id_token_hint") {
		t.Fatalf("sign-out leads to %s", b.At)
	}
	if b.Submit("logout", "yes"); b.At.String() != s.url+"/signin" {
		t.Errorf("after sign-out there: got %s (%d)\n%s", b.At, b.Status, b.Body)
	}
	if got := s.me(b); got != http.StatusUnauthorized {
		t.Errorf("the browser after sign-out: got %d", got)
	}
	if b.Open(s.url + "/login/acme"); !strings.Contains(b.Body, `name="login"`) {
		t.Errorf("acme does not ask again: at %s (%d)", b.At, b.Status)
	}
}

// signOutThere ends a person's session at the provider, which tells the gateway by back-channel logout.
func (s *foreigners) signOutThere(t *testing.T, tess *testenv.Person) {
	cmd := tess.Command(t.Context(), "shell", "press-1", "--", "sh", "-c", "echo ready; sleep 100")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		cmd.Wait()
		t.Fatalf("got %q\n%s", line, errs.String())
	}
	if got := s.me(tess.Browser); got != http.StatusOK {
		t.Fatalf("the browser before: got %d", got)
	}
	tess.Browser.Open(s.acme + "/session/end")
	began := time.Now()
	late := time.AfterFunc(50*time.Second, func() { cmd.Process.Kill() })
	tess.Browser.Submit("logout", "yes")
	io.Copy(io.Discard, out)
	cmd.Wait()
	late.Stop()
	took := time.Since(began)
	t.Logf("the shell ended %s after the sign-out at the provider; promised are 5 s", took.Round(time.Millisecond))
	if took >= 50*time.Second || cmd.ProcessState.ExitCode() != 255 || !strings.Contains(errs.String(), "provider signed you out") {
		t.Errorf("status %d after %s\n%s", cmd.ProcessState.ExitCode(), took, errs.String())
	}
	if got := s.me(tess.Browser); got != http.StatusUnauthorized {
		t.Errorf("the browser after: got %d", got)
	}
	if got := tess.Run("whoami"); got.Status != 1 || !strings.Contains(got.Err, "sallyport login") {
		t.Errorf("the command line after: got %+v", got)
	}
}
