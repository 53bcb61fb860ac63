package login

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
)

// noRefresh is a provider that gives no refresh token: it removes the token from the built-in provider's answers.
type noRefresh struct{}

func (noRefresh) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/token") {
		return res, err
	}
	defer res.Body.Close()
	var said map[string]any
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
		return nil, err
	}
	delete(said, "refresh_token")
	raw, err := json.Marshal(said)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	return res, err
}

// restart clears what a process remembers of sessions.
func (s *site) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.active)
	clear(s.keys)
}

func TestASignInWithoutRefreshTokenEndsAfterNoRefreshAtMost(t *testing.T) {
	s := newSite(t, func(c *oidcauth.Config) { c.Transport, c.Prompt = noRefresh{}, oidcauth.PromptNever })
	b := s.signIn(s.browser())
	web, tok := s.who(b), s.cli(b)
	cli, err := s.Who(bearer(tok.Bearer))
	if err != nil || !web.NoRefresh || !cli.NoRefresh || !web.Expires.Equal(cli.Expires) {
		t.Fatalf("got %+v and %+v, %v", web, cli, err)
	}
	if got := web.Expires.Sub(s.clock.now()); got > oidcauth.DefaultNoRefresh ||
		got < oidcauth.DefaultNoRefresh-time.Minute {
		t.Errorf("it lasts %s", got)
	}
	s.clock.forward(oidcauth.DefaultNoRefresh - time.Minute)
	if _, err := s.Who(bearer(tok.Bearer)); err != nil {
		t.Errorf("a minute before its end: %v", err)
	}
	s.clock.forward(time.Minute)
	s.expire(t.Context())
	for what, key := range map[string]string{"browser": web.Key, "command line": cli.Key} {
		if got := s.why(key); got != "it has expired" {
			t.Errorf("%s: ended %q", what, got)
		}
	}
	counts, err := s.db.SignInsWithoutRefresh(t.Context(), s.clock.now().Add(-time.Hour))
	if err != nil || counts["builtin"] != 0 {
		t.Errorf("counted after the end: %v, %v", counts, err)
	}
}

func TestEvidenceIsRenewedBeforeTheSignerRefusesIt(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	first := s.who(b)
	s.inUse[first.Key] = true // otherwise it would be idle
	s.clock.forward(oidcauth.DefaultNoRefresh/4*3 - time.Minute)
	s.restart()
	if s.who(b).Evidence.IDToken != first.Evidence.IDToken {
		t.Error("evidence that is good for a while was renewed")
	}
	s.clock.forward(time.Minute)
	s.restart()
	second := s.who(b)
	if second.Evidence.IDToken == first.Evidence.IDToken || second.NoRefresh {
		t.Error("evidence that the signer is about to refuse was not renewed")
	}
	if again := s.who(b); again.Evidence.IDToken != second.Evidence.IDToken {
		t.Error("evidence of now was renewed")
	}
}

func TestACommandLineAloneAfterARestartIsConfirmedByItsBrowsersRefreshToken(t *testing.T) {
	for name, idle := range map[string]time.Duration{"the browser is still there": 50 * time.Minute,
		"the browser was idle for too long": 3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b := s.signIn(s.browser())
			tok := s.cli(b)
			before, err := s.Who(bearer(tok.Bearer))
			if err != nil {
				t.Fatal(err)
			}
			s.clock.forward(idle)
			s.restart()
			if err := s.idp.Users().Change("technician",
				func(u *idp.User) error { u.Groups = []string{"elsewhere"}; return nil }); err != nil {
				t.Fatal(err)
			}
			after, err := s.Who(bearer(tok.Bearer))
			if err != nil || after.Evidence.IDToken == before.Evidence.IDToken || len(after.Person.Groups) != 0 {
				t.Errorf("got %+v, %v", after, err)
			}
		})
	}
}

func TestACommandLineWhoseRefreshTokenIsGoneEndsWhenItsEvidenceIsTooOld(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok, web := s.cli(b), s.who(b)
	row, err := s.db.WebSession(t.Context(), web.hash)
	if err != nil {
		t.Fatal(err)
	}
	s.reseal(&row, func(t *tokens) { t.Refresh = "" })
	if err := s.db.ReplaceWebSession(t.Context(), row.IDHash, row, row.Expires); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Who(bearer(tok.Bearer)); err != nil {
		t.Fatal(err)
	}
	s.clock.forward(oidcauth.DefaultNoRefresh + time.Minute)
	if who, err := s.Who(bearer(tok.Bearer)); err == nil {
		t.Errorf("got %+v", who)
	}
}
