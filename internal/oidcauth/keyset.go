package oidcauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// keySet are a provider's public keys. An unknown key id is a reason to fetch them again, but anybody can write an unknown
// key id: so they are fetched at most once an interval, one fetch at a time, with a deadline, and whoever comes
// meanwhile is judged by what is known.
type keySet struct {
	url      string
	http     *http.Client
	interval time.Duration
	now      func() time.Time
	fetch    sync.Mutex // held while fetching

	mu      sync.Mutex // guards what follows
	keys    []jose.JSONWebKey
	tried   time.Time
	fetched time.Time
}

// keysTime is how long keys are believed without asking: a withdrawn key must not be good for ever.
const keysTime = time.Hour

var errNoKey = errors.New("no key of the provider fits this token")

func newKeySet(url string, c *http.Client, interval time.Duration, now func() time.Time) *keySet {
	return &keySet{url: url, http: c, interval: interval, now: now}
}

// VerifySignature implements oidc.KeySet. The library has checked the algorithm against ours.
func (k *keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, algorithms())
	if err != nil || len(jws.Signatures) != 1 {
		return nil, errors.New("this is no token with one signature")
	}
	head := jws.Signatures[0].Header
	keys, fresh := k.cached()
	payload, known := verify(jws, keys, head)
	if payload != nil && fresh {
		return payload, nil
	}
	if known && fresh { // the key is known and did not sign this: new keys would not help
		return nil, errNoKey
	}
	keys, err = k.refetch(ctx)
	if err != nil && len(keys) == 0 {
		return nil, err
	}
	if payload, _ = verify(jws, keys, head); payload != nil {
		return payload, nil
	}
	return nil, errNoKey
}

func algorithms() []jose.SignatureAlgorithm {
	out := make([]jose.SignatureAlgorithm, len(signing))
	for i, a := range signing {
		out[i] = jose.SignatureAlgorithm(a)
	}
	return out
}

// verify tries the keys that the token may mean. A key that names an algorithm is good for that one only.
func verify(jws *jose.JSONWebSignature, keys []jose.JSONWebKey, head jose.Header) (payload []byte, known bool) {
	for i := range keys {
		key := &keys[i]
		if head.KeyID != "" && key.KeyID != head.KeyID {
			continue
		}
		known = known || head.KeyID != ""
		if key.Algorithm != "" && key.Algorithm != head.Algorithm {
			continue
		}
		if p, err := jws.Verify(key.Key); err == nil {
			return p, known
		}
	}
	return nil, known
}

func (k *keySet) cached() (keys []jose.JSONWebKey, fresh bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys, k.now().Sub(k.fetched) < keysTime
}

// refetch reads the keys again if the last attempt is an interval ago, and gives what is known then.
func (k *keySet) refetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	k.fetch.Lock()
	defer k.fetch.Unlock()
	k.mu.Lock()
	keys, wait := k.keys, !k.tried.IsZero() && k.now().Sub(k.tried) < k.interval
	if !wait {
		k.tried = k.now()
	}
	k.mu.Unlock()
	if wait {
		return keys, errNoKey
	}
	next, err := k.get(context.WithoutCancel(ctx)) // the client's own deadline holds; a caller who leaves spoils it for nobody
	if err != nil {
		return keys, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.fetched = next, k.now()
	return next, nil
}

func (k *keySet) get(ctx context.Context) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := getJSON(ctx, k.http, k.url, "", &set); err != nil {
		return nil, err
	}
	var out []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usable(key) { // keys of kinds that we do not know are no fault
			out = append(out, key)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the provider publishes no key that we can use")
	}
	return out, nil
}

// usable leaves out what must not verify: symmetric and private keys, those for encryption, RSA below 2048 bits, and RSA so large
// that each token would cost seconds.
func usable(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048 && key.N.BitLen() <= 16384
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
