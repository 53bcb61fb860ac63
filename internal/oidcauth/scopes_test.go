package oidcauth

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
)

func query(t *testing.T, p *Provider) url.Values {
	t.Helper()
	_, to, err := p.Start(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestScopesAreTheUsualOnesThatTheProviderListsOrThoseConfigured(t *testing.T) {
	own := []string{"openid", "roles", "offline_access"}
	for name, c := range map[string]struct {
		listed any
		own    []string
		want   string
	}{
		"no list": {nil, nil, "openid profile email offline_access"},
		"as dex lists": {[]string{"openid", "email", "groups", "profile", "offline_access"}, nil,
			"openid profile email offline_access groups"},
		"as Google lists":    {[]string{"openid", "email", "profile"}, nil, "openid profile email"},
		"a list of nonsense": {[]string{"admin", "OPENID"}, nil, "openid"},
		"configured":         {[]string{"openid", "email"}, own, "openid roles offline_access"},
	} {
		l := newLiar(t)
		if c.listed != nil {
			l.meta = map[string]any{"scopes_supported": c.listed}
		}
		if got := query(t, l.party(func(cfg *Config) { cfg.Scopes = c.own })).Get("scope"); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestARefusedScopeNamesTheConfigurationKey(t *testing.T) {
	l := newLiar(t)
	l.meta = map[string]any{"scopes_supported": []string{"openid", "groups"}}
	_, err := l.signIn(l.party(), func(q url.Values) { q.Del("code"); q.Set("error", "invalid_scope") })
	e, ok := errkind.Of(err)
	if !ok || e.Kind != errkind.Unavailable || !strings.Contains(e.Text, "invalid_scope") ||
		!strings.Contains(e.Hint, "scopes") {
		t.Errorf("got %v", err)
	}
}

func TestConsentIsRequestedOnceASignInBroughtNoRefreshToken(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	prompt := func() string { return query(t, p).Get("prompt") }
	signIn := func(refresh string) {
		t.Helper()
		l.refresh = refresh
		if _, err := l.signIn(p); err != nil {
			t.Fatal(err)
		}
	}
	if got := prompt(); got != "" {
		t.Errorf("at first: got %q", got)
	}
	signIn("")
	if got := prompt(); got != "consent" {
		t.Errorf("after none: got %q", got)
	}
	signIn("")
	if got := prompt(); got != "" {
		t.Errorf("consent brought none either: got %q", got)
	}
	l.clock.forward(consentRest)
	signIn("refresh-1")
	signIn("")
	if got := prompt(); got != "consent" {
		t.Errorf("another person has none, where consent has brought one: got %q", got)
	}
}

func TestPromptAndScopesTakePrecedenceOverEarlierSignIns(t *testing.T) {
	for name, c := range map[string]struct {
		prompt string
		scopes []string
		want   string
	}{
		"always":             {PromptAlways, nil, "consent"},
		"never":              {PromptNever, nil, ""},
		"no offline_access":  {PromptAuto, []string{"openid"}, ""},
		"auto, with offline": {PromptAuto, []string{"openid", "offline_access"}, "consent"},
	} {
		l := newLiar(t)
		l.refresh = ""
		p := l.party(func(cfg *Config) { cfg.Prompt, cfg.Scopes = c.prompt, c.scopes })
		if _, err := l.signIn(p); err != nil {
			t.Fatal(err)
		}
		if got := query(t, p).Get("prompt"); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := prompts(true, true); !slices.Equal(strings.Fields(got), []string{"login", "consent"}) {
		t.Errorf("both: got %q", got)
	}
}
