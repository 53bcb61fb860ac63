// Package oidcauth is the relying party: it sends people to their OpenID provider and believes what comes back only
// after every check has passed. Everything about OpenID Connect is in here, so that the rest of the program sees a
// SignIn or an error for people.
//
// # What is checked, and where
//
//	the answer in the browser   state (by the caller: bound to a cookie, once), iss (RFC 9207), error     finish.go
//	the token request           PKCE S256, one way of client authentication, no redirects, bounded body   http.go
//	the signature               algorithms allowed by us, keys fetched at most once an interval           keyset.go
//	the claims                  iss, aud and azp, sub, exp, iat, nbf, nonce, at_hash, auth_time, kind     claims.go
//	missing claims              userinfo: the same sub, JSON, bounded, once for each id token             userinfo.go
//	who it is                   groups mapped explicitly; an overage is a denial                          groups.go
//	what people read            name, user name and email without what cannot be seen, of bounded length  names.go
//	how fresh it is             an id token is evidence for no_refresh_at_most                            evidence.go
//	refresh                     same sub, same nonce, auth_time not later                                 refresh.go
//	the provider's session      ended without an id token in an address                                   goodbye.go
//	logout tokens               their own kind, events, no nonce, fresh, each once                        logout.go
//	who has left                asked where the provider can be asked                                     account.go
//
// The library underneath (go-oidc) parses and checks signature, issuer and audience. The other checks are ours, because
// it leaves them to its caller.
//
// # What is never logged
//
// Tokens, codes and bodies. Errors carry the provider's error code where it is one of those that the specifications know.
package oidcauth

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/internal/id"
)

// Config is one provider, as configured.
type Config struct {
	Name         string // short, in addresses
	ShownAs      string
	Issuer       string
	ClientID     string
	ClientSecret string                     // empty: a public client
	RedirectURL  string                     // exactly as registered at the provider
	GroupsClaim  string                     // default "groups"
	Groups       map[string]string          // left: as the provider sends it; right: as policy names it
	Counts       func(from, to string) bool // whether an entry of Groups has an effect; nil: all have
	AMR, ACR     []string                   // which sign-ins count as a second factor
	Scopes       []string                   // sent unchanged; empty: the usual ones that the provider supports, see scopes.go
	Prompt       string                     // when consent is requested: PromptAuto (default), PromptAlways or PromptNever

	Logout string // how the provider's session ends: LogoutHint (default) or LogoutPost

	// NoRefreshAtMost is how long an id token is evidence, counted from its iat; default DefaultNoRefresh. A refresh
	// brings a newer one.
	NoRefreshAtMost time.Duration
	// Roots are the authorities that are trusted for the provider's addresses; nil: the system's.
	Roots *x509.CertPool

	// MaxAge asks for a sign-in that is no older, and then auth_time must come back. Zero: not asked.
	MaxAge time.Duration
	// KeyInterval is how often keys are fetched at most; default 30 s.
	KeyInterval time.Duration
	// Transport carries the requests; nil: the network. The built-in provider is reached in the process.
	Transport http.RoundTripper
	Now       func() time.Time
	Log       *slog.Logger // nil: nothing is logged
}

// SignIn is what a provider said about somebody, after all checks.
type SignIn struct {
	Principal      id.Principal
	Provider       string
	Name           string
	Username       string // as it is typed at the provider; empty: it does not say
	Email          string
	Groups         []string // mapped
	SID            string
	AMR            []string
	ACR            string
	SignedInAt     time.Time
	IssuedAt       time.Time // of the id token
	SecondFactorAt time.Time // zero: no second factor
	IDToken        string
	RefreshToken   string
	AccessToken    string // kept only if groups or name are at the userinfo endpoint: the signer asks there itself
}

// Provider is one OpenID provider. Its metadata is read when it is first needed, so a provider that is down does not
// keep the gateway from starting.
type Provider struct {
	cfg   Config
	http  *http.Client
	jtis  *replays
	said  *answers                              // from the userinfo endpoint
	learn sync.Mutex                            // held while metadata is read
	once  struct{ outlives, tooLong sync.Once } // what the log says once of this provider's id tokens

	mu      sync.Mutex // guards what follows
	meta    *metadata
	keys    *keySet
	until   time.Time // metadata is read again after this
	consent consent
}

// metadata is what discovery says, as far as it is used here.
type metadata struct {
	Issuer      string   `json:"issuer"`
	Auth        string   `json:"authorization_endpoint"`
	Token       string   `json:"token_endpoint"`
	Keys        string   `json:"jwks_uri"`
	UserInfo    string   `json:"userinfo_endpoint"`
	EndSession  string   `json:"end_session_endpoint"`
	Account     string   `json:"sallyport_account_endpoint"` // this and the next: the built-in provider's alone
	End         string   `json:"sallyport_end_session_endpoint"`
	Algorithms  []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	Scopes      []string `json:"scopes_supported"`
	SendsIss    bool     `json:"authorization_response_iss_parameter_supported"`
}

// metadataTime is how long metadata is believed.
const metadataTime = time.Hour

// New makes a provider. It does not talk to it yet.
func New(cfg Config) (*Provider, error) {
	if cfg.Name == "" || cfg.Issuer == "" || cfg.ClientID == "" || cfg.RedirectURL == "" {
		return nil, errors.New("provider: name, issuer, client id and redirect URL are needed")
	}
	if !allowedURL(cfg.Issuer) {
		return nil, fmt.Errorf("provider %s: issuer %q: want https, or http on a loopback address", cfg.Name, cfg.Issuer)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.GroupsClaim == "" {
		cfg.GroupsClaim = "groups"
	}
	if cfg.ShownAs == "" {
		cfg.ShownAs = cfg.Name
	}
	if cfg.KeyInterval == 0 {
		cfg.KeyInterval = 30 * time.Second
	}
	cfg.NoRefreshAtMost = cmp.Or(cfg.NoRefreshAtMost, DefaultNoRefresh)
	cfg.Prompt = cmp.Or(cfg.Prompt, PromptAuto)
	cfg.Logout = cmp.Or(cfg.Logout, LogoutHint)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	return &Provider{cfg: cfg, http: client(cfg.Transport, cfg.Roots), jtis: newReplays(cfg.Now),
		said: newAnswers(cfg.Now)}, nil
}

// Name is the short one, in addresses.
func (p *Provider) Name() string { return p.cfg.Name }

// ShownAs is what people read.
func (p *Provider) ShownAs() string { return p.cfg.ShownAs }

// Issuer is the provider's own name.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// Check reads the metadata: whether sign-in would work at all.
func (p *Provider) Check(ctx context.Context) error {
	_, _, err := p.discover(ctx)
	return err
}

// discover gives metadata and keys. Metadata that cannot be read again is believed a little longer: the provider's
// document may be down while the provider is not.
func (p *Provider) discover(ctx context.Context) (metadata, *keySet, error) {
	if m, k, fresh := p.known(); fresh {
		return m, k, nil
	}
	p.learn.Lock()
	defer p.learn.Unlock()
	m, k, fresh := p.known()
	if fresh {
		return m, k, nil
	}
	next, err := p.readMetadata(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if k == nil {
			return m, k, err
		}
		p.until = p.cfg.Now().Add(time.Minute)
		return m, k, nil
	}
	if p.keys == nil || p.meta.Keys != next.Keys {
		p.keys = newKeySet(next.Keys, p.http, p.cfg.KeyInterval, p.cfg.Now)
	}
	p.meta, p.until = &next, p.cfg.Now().Add(metadataTime)
	return next, p.keys, nil
}

func (p *Provider) known() (metadata, *keySet, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.meta == nil {
		return metadata{}, nil, false
	}
	return *p.meta, p.keys, p.cfg.Now().Before(p.until)
}

func (p *Provider) readMetadata(ctx context.Context) (metadata, error) {
	var m metadata
	addr := strings.TrimSuffix(p.cfg.Issuer, "/") + "/.well-known/openid-configuration"
	if err := getJSON(ctx, p.http, addr, "", &m); err != nil {
		return m, p.unreachable(err)
	}
	if m.Issuer != p.cfg.Issuer {
		return m, p.misconfigured(fmt.Sprintf("it calls itself %q and is configured as %q", clip(m.Issuer), p.cfg.Issuer),
			"The issuer in the configuration must be the provider's own, letter for letter; look for a slash at the end.")
	}
	for _, u := range []string{m.Auth, m.Token, m.Keys} {
		if !allowedURL(u) {
			return m, p.misconfigured(fmt.Sprintf("its address %q is neither https nor loopback", clip(u)), "Look at the provider's discovery document.")
		}
	}
	return m, nil
}

// algorithms are those that we allow and, where it says, the provider uses. None and the symmetric ones are never among
// them: with those anybody could sign who knows the client's secret, or the public key.
func (m metadata) algorithms() []string {
	var out []string
	for _, a := range signing {
		for _, has := range m.Algorithms {
			if a == has {
				out = append(out, a)
			}
		}
	}
	if len(m.Algorithms) == 0 {
		return []string{oidc.RS256} // the one that every provider must know
	}
	return out
}

var signing = []string{oidc.ES256, oidc.ES384, oidc.ES512, oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

func (p *Provider) oauth(m metadata) *oauth2.Config {
	return &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, RedirectURL: p.cfg.RedirectURL, Scopes: p.scopes(m),
		Endpoint: oauth2.Endpoint{AuthURL: m.Auth, TokenURL: m.Token, AuthStyle: p.authStyle(m)}}
}

// authStyle is chosen once. Left to itself the library tries both ways, and sends code and secret twice.
func (p *Provider) authStyle(m metadata) oauth2.AuthStyle {
	basic, post := len(m.AuthMethods) == 0, false
	for _, a := range m.AuthMethods {
		basic, post = basic || a == "client_secret_basic", post || a == "client_secret_post"
	}
	if p.cfg.ClientSecret == "" || (post && !basic) {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}
