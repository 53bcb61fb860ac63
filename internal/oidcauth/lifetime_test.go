package oidcauth

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestALifetimeThatIsNotAcceptedIsLoggedOnce: at the gateway's sign-in and at the signer's check.
func TestALifetimeThatIsNotAcceptedIsLoggedOnce(t *testing.T) {
	for what, c := range map[string]struct {
		life  time.Duration
		want  string // in the log, once; empty: nothing is logged
		fails string
	}{
		"as long as it is evidence": {time.Hour, "", ""},
		"a second longer": {time.Hour + time.Second, "level=INFO " +
			`msg="the id tokens of a provider are valid for longer than they are accepted" provider=acme ` +
			"valid_for=1h0m1s no_refresh_at_most=1h0m0s\n", ""},
		"a day": {24 * time.Hour, "valid_for=24h0m0s no_refresh_at_most=1h0m0s\n", ""},
		"more than a day": {24*time.Hour + time.Second, "level=WARN " +
			`msg="the id tokens of a provider are valid for too long, so its people cannot sign in" provider=acme ` +
			`valid_for=24h0m1s at_most=24h0m0s hint="Shorten the lifetime of id tokens at the provider."` + "\n",
			"it is valid for 24h0m1s, and at most 24h0m0s is accepted"},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLiar(t)
			now := l.clock.now()
			l.claims = map[string]any{"iat": now.Unix(), "exp": now.Add(c.life).Unix()}
			gateway, signer := &bytes.Buffer{}, &bytes.Buffer{}
			to := func(log *bytes.Buffer) func(*Config) {
				return func(p *Config) { p.Log = slog.New(slog.NewTextHandler(log, nil)) }
			}
			p, apart := l.party(to(gateway)), l.party(to(signer))
			for range 3 {
				_, err := l.signIn(p)
				_, err2 := apart.VerifyIDToken(t.Context(), l.idToken(), "")
				for _, err := range []error{err, err2} {
					if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(chain(err), c.fails) {
						t.Fatalf("got %v, want …%s…", err, c.fails)
					}
				}
			}
			for who, log := range map[string]string{"gateway": gateway.String(), "signer": signer.String()} {
				if strings.Count(log, "\n") != min(len(c.want), 1) || !strings.HasSuffix(log, c.want) {
					t.Errorf("%s: got the log %q, want it to end with %q", who, log, c.want)
				}
			}
		})
	}
}
