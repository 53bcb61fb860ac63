package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Tokens of a provider are sealed in the database, against somebody who copies it. Each sign-in has a key. Each session
// that came from it, browser or command line, has that key sealed under its own secret, which only the cookie or bearer
// has. The gateway keeps the keys of sign-ins in memory that were used since it started, to ask their providers again.
//
// The signer gets a proof of the key with each id token, and binds the token to it (signer.Evidence.Session).

// signInKey is the key of one sign-in.
type signInKey [32]byte

func newSignInKey() (k signInKey) {
	rand.Read(k[:])
	return k
}

// derived gives 32 bytes for one purpose (HKDF-SHA256, RFC 5869).
func derived(secret []byte, purpose string) []byte {
	out, err := hkdf.Key(sha256.New, secret, nil, "sallyport "+purpose, 32)
	if err != nil {
		panic(err) // only of a length that is too large
	}
	return out
}

// id names the key, and says nothing about it.
func (k signInKey) id() [32]byte { return [32]byte(derived(k[:], "sign-in id")) }

// proof is shown to the signer.
func (k signInKey) proof() wire.Hash { return wire.Hash(derived(k[:], "sign-in proof")) }

// tokens are what a provider gave. Access is empty unless the signer needs it for the userinfo endpoint.
type tokens struct {
	ID      string `json:"id"`
	Access  string `json:"access,omitempty"`
	Refresh string `json:"refresh,omitempty"`
}

// lock names the key in a row and seals it under the session's secret.
func (k signInKey) lock(row *store.WebSession, secret string) {
	row.KeyID = k.id()
	row.SealedKey = sealed(derived([]byte(secret), "web session"), k[:], row.IDHash[:])
}

// unlock gives the key of a row's sign-in.
func unlock(row store.WebSession, secret string) (signInKey, error) {
	raw, err := unsealed(derived([]byte(secret), "web session"), row.SealedKey, row.IDHash[:])
	if err != nil || len(raw) != len(signInKey{}) {
		return signInKey{}, errors.Join(errors.New("the key of a sign-in cannot be opened"), err)
	}
	return signInKey(raw), nil
}

// put seals tokens into a row.
func (k signInKey) put(row *store.WebSession, t tokens) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	row.Tokens = sealed(derived(k[:], "tokens"), raw, row.KeyID[:])
	row.TokenHash, row.HasRefresh = signer.TokenHash(t.ID), t.Refresh != ""
	return nil
}

// get opens the tokens of a row.
func (k signInKey) get(row store.WebSession) (tokens, error) {
	var t tokens
	raw, err := unsealed(derived(k[:], "tokens"), row.Tokens, row.KeyID[:])
	if err == nil {
		err = json.Unmarshal(raw, &t)
	}
	if err != nil {
		return tokens{}, fmt.Errorf("the tokens of a sign-in cannot be opened: %w", err)
	}
	return t, nil
}

// EvidenceOf gives the evidence of the sign-in that a session belongs to. The secret is that of its cookie or bearer.
func EvidenceOf(row store.WebSession, secret, addr string) (signer.Evidence, error) {
	k, err := unlock(row, secret)
	if err != nil {
		return signer.Evidence{}, err
	}
	return k.evidence(row, addr)
}

func (k signInKey) evidence(row store.WebSession, addr string) (signer.Evidence, error) {
	t, err := k.get(row)
	return signer.Evidence{IDToken: t.ID, AccessToken: t.Access, Session: k.proof(), ClientAddr: addr}, err
}

// keepKey remembers the key of a sign-in that is in use.
func (s *Service) keepKey(k signInKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.id()] = k
}

// keyOf gives the key of a row's sign-in; false if it was not used since the gateway started.
func (s *Service) keyOf(row store.WebSession) (signInKey, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[row.KeyID]
	return k, ok
}

// dropKey removes the key of a sign-in from memory once no session of it is in use. The caller holds mu.
func (s *Service) dropKey(keyID [32]byte) {
	for _, a := range s.active {
		if a.row.KeyID == keyID {
			return
		}
	}
	delete(s.keys, keyID)
}

// sealed encrypts with AES-256-GCM and a random nonce. A key seals far fewer than 2^32 texts (NIST SP 800-38D, 8.3).
func sealed(key, text, bound []byte) []byte { return aead(key).Seal(nil, nil, text, bound) }

func unsealed(key, text, bound []byte) ([]byte, error) { return aead(key).Open(nil, nil, text, bound) }

func aead(key []byte) cipher.AEAD {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only of a key of another length
	}
	a, err := cipher.NewGCMWithRandomNonce(b)
	if err != nil {
		panic(err) // only of another block size
	}
	return a
}
