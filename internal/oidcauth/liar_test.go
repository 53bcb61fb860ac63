package oidcauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// liar is a provider that says what a test tells it to.
type liar struct {
	t     testing.TB
	srv   *httptest.Server
	key   *ecdsa.PrivateKey
	kid   string
	clock *clock

	mu       sync.Mutex
	claims   map[string]any                   // over the honest ones; nil takes one away
	sign     func(c map[string]any) string    // how the id token is made; nil: honestly
	reply    func(w http.ResponseWriter) bool // answers the token request instead
	meta     map[string]any
	nonce    string
	refresh  string
	forms    []url.Values
	jwksHang chan struct{}

	userinfo http.HandlerFunc // answers /userinfo

	jwks  atomic.Int32
	token atomic.Int32
	asked atomic.Int32 // userinfo
}

type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) forward(d time.Duration) { c.ns.Add(int64(d)) }

func newLiar(t testing.TB) *liar {
	t.Helper()
	l := &liar{t: t, kid: "k1", clock: &clock{}, refresh: "refresh-1", userinfo: http.NotFound}
	l.clock.ns.Store(time.Now().Truncate(time.Second).UnixNano())
	l.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", l.serveMeta)
	mux.HandleFunc("GET /jwks", l.serveKeys)
	mux.HandleFunc("POST /token", l.serveToken)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, r *http.Request) { l.asked.Add(1); l.userinfo(w, r) })
	l.srv = httptest.NewServer(mux)
	t.Cleanup(l.srv.Close)
	return l
}

func (l *liar) serveMeta(w http.ResponseWriter, _ *http.Request) {
	m := map[string]any{"issuer": l.srv.URL, "authorization_endpoint": l.srv.URL + "/auth",
		"token_endpoint": l.srv.URL + "/token", "jwks_uri": l.srv.URL + "/jwks",
		"userinfo_endpoint":    l.srv.URL + "/userinfo",
		"end_session_endpoint": l.srv.URL + "/end", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}, "authorization_response_iss_parameter_supported": true}
	l.mu.Lock()
	maps.Copy(m, l.meta)
	l.mu.Unlock()
	writeJSON(w, m)
}

func (l *liar) serveKeys(w http.ResponseWriter, r *http.Request) {
	l.jwks.Add(1)
	l.mu.Lock()
	hang := l.jwksHang
	l.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}
	writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: l.key.Public(), KeyID: l.kid, Algorithm: "ES256", Use: "sig"}}})
}

func (l *liar) serveToken(w http.ResponseWriter, r *http.Request) {
	l.token.Add(1)
	r.ParseForm()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forms = append(l.forms, r.PostForm)
	if l.reply != nil && l.reply(w) {
		return
	}
	writeJSON(w, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 300, "refresh_token": l.refresh, "id_token": l.idToken()})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// honest are the claims of an honest id token.
func (l *liar) honest() map[string]any {
	now := l.clock.now().Unix()
	sum := sha256.Sum256([]byte("access"))
	c := map[string]any{"iss": l.srv.URL, "aud": "sallyport", "sub": "u-1", "iat": now, "exp": now + 300, "auth_time": now, "nonce": l.nonce,
		"name": "T. Nowak", "groups": []string{"sp-tech", "other"}, "amr": []string{"pwd"}, "sid": "s-1",
		"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16])}
	for k, v := range l.claims {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

// idToken makes the token. The caller holds mu.
func (l *liar) idToken() string {
	if l.sign != nil {
		return l.sign(l.honest())
	}
	return l.signed("JWT", l.kid, l.honest())
}

func (l *liar) signed(typ, kid string, c map[string]any) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: l.key, KeyID: kid}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		panic(err)
	}
	raw, err := jwt.Signed(s).Claims(c).Serialize()
	if err != nil {
		panic(err)
	}
	return raw
}

// byHand writes a token with a header that no library would write.
func byHand(head string, c map[string]any, sign func(input string) []byte) string {
	body, _ := json.Marshal(c)
	b := base64.RawURLEncoding.EncodeToString
	input := b([]byte(head)) + "." + b(body)
	return input + "." + b(sign(input))
}

func hs256(secret []byte) func(string) []byte {
	return func(input string) []byte {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(input))
		return m.Sum(nil)
	}
}

func pemOf(key crypto.PublicKey) []byte {
	der, _ := x509.MarshalPKIXPublicKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// party is the relying party of the tests.
func (l *liar) party(edit ...func(*Config)) *Provider {
	l.t.Helper()
	c := Config{Name: "acme", ShownAs: "ACME", Issuer: l.srv.URL, ClientID: "sallyport", ClientSecret: "s", RedirectURL: "https://gw.example/callback/acme",
		Groups: map[string]string{"sp-tech": "technicians"}, AMR: []string{"mfa", "otp"}, ACR: []string{"gold"}, Now: l.clock.now}
	for _, e := range edit {
		e(&c)
	}
	p, err := New(c)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// signIn goes through the flow as a browser would, with an answer that a test may change.
func (l *liar) signIn(p *Provider, change ...func(url.Values)) (SignIn, error) {
	l.t.Helper()
	f, to, err := p.Start(l.t.Context(), false)
	if err != nil {
		return SignIn{}, err
	}
	u, _ := url.Parse(to)
	l.mu.Lock()
	l.nonce = u.Query().Get("nonce")
	l.mu.Unlock()
	q := url.Values{"state": {u.Query().Get("state")}, "code": {"code-1"}, "iss": {l.srv.URL}}
	for _, c := range change {
		c(q)
	}
	return p.Finish(l.t.Context(), f, q)
}

// log gives everything that an error would write to the log.
func chain(err error) string { return fmt.Sprintf("%v", err) }
