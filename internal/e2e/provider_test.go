package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// elsewhere is somebody else's OpenID provider, set up wrongly in the way a test wants.
type elsewhere struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu     sync.Mutex // guards what follows
	refuse url.Values // the authorization's answer instead of a code
	claims map[string]any
	nonce  string
}

func newElsewhere(t *testing.T) *elsewhere {
	e := &elsewhere{}
	e.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	mux := http.NewServeMux()
	give := func(path string, what func() any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(what())
		})
	}
	give("GET /.well-known/openid-configuration", func() any {
		return map[string]any{"issuer": e.URL, "authorization_endpoint": e.URL + "/authorize", "token_endpoint": e.URL + "/token", "jwks_uri": e.URL + "/jwks",
			"id_token_signing_alg_values_supported": []string{"ES256"}}
	})
	give("GET /jwks", func() any {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: e.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}}
	})
	give("POST /token", func() any {
		return map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": e.token(t)}
	})
	mux.HandleFunc("GET /authorize", e.authorize)
	e.Server = httptest.NewServer(mux)
	t.Cleanup(e.Close)
	return e
}

func (e *elsewhere) set(refuse url.Values, claims map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refuse, e.claims = refuse, claims
}

func (e *elsewhere) authorize(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := r.URL.Query()
	e.nonce = q.Get("nonce")
	back := url.Values{"code": {"c"}}
	if e.refuse != nil {
		back = e.refuse
	}
	back.Set("state", q.Get("state"))
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (e *elsewhere) token(t *testing.T) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now().Unix()
	c := map[string]any{"iss": e.URL, "aud": "sallyport", "sub": "u-1", "iat": now, "exp": now + 300, "auth_time": now, "nonce": e.nonce}
	for k, v := range e.claims {
		c[k] = v
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: e.key, KeyID: "k"}}, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	raw, err := jwt.Signed(s).Claims(c).Serialize()
	if err != nil {
		t.Error(err)
	}
	return raw
}
