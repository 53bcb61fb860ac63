package signer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// signIn is what the signer remembers of one id token. It keeps hashes, and neither the token nor the web session's
// secret.
type signIn struct {
	Token   wire.Hash `json:"token"`
	Session wire.Hash `json:"session"` // of Evidence.Session; zero: it was closed before it was shown
	Until   time.Time `json:"until"`   // the token is not accepted after this, so the record may be removed
	Closed  bool      `json:"closed,omitempty"`
}

const (
	// mostSignIns bounds the records. A browser in use adds 13 in an hour. If there are more, new id tokens are refused:
	// a record that is removed too early would let a closed sign-in count again.
	mostSignIns = 100_000
	// mostUnseen bounds those of them that were closed before they were shown. Anybody who has the data plane can close
	// hashes of nothing, and must not take the room of people who sign in later.
	mostUnseen = 20_000
	// keptLonger is how long a record outlives its token, because a clock may be set back.
	keptLonger = time.Hour
	// pruneEvery is the pause between two searches for records that may be removed.
	pruneEvery = time.Minute
	// clockSkew is how far the clock of a provider may be ahead.
	clockSkew = time.Minute
)

// TokenHash gives the hash by which signer and gateway name an id token. It covers header and claims, which the
// provider has signed, and not the signature: of an ECDSA signature anybody can make a second one that is valid too,
// and a closed token would then pass under another hash.
func TokenHash(idToken string) wire.Hash {
	if i := strings.LastIndexByte(idToken, '.'); i >= 0 {
		idToken = idToken[:i]
	}
	return wire.Sum([]byte(idToken))
}

var errOtherSession = errkind.New(errkind.Signin, "this sign-in belongs to another web session").
	WithHint("Sign in again.")

var errSignedOut = errkind.New(errkind.Signin, "this sign-in has ended").WithHint("Sign in again.")

// SignOut implements Signer. It needs no evidence, because it only takes away, and only who has the id token knows its
// hash. It waits until what is being opened with the token is announced, so nothing is announced after it returns.
func (s *Service) SignOut(_ context.Context, token wire.Hash) error {
	if token.IsZero() {
		return errkind.New(errkind.Usage, "a sign-in is closed by the hash of its id token")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.state.signIns[token]
	switch {
	case r.Closed:
		return nil
	case !known && s.state.unseen() >= mostUnseen:
		return errTooMany(mostUnseen, "sign-ins that were closed before they were used")
	case !known:
		// No token that exists now is accepted for longer.
		r = signIn{Token: token, Until: s.cfg.Now().Add(s.cfg.SignInAge + 2*clockSkew)}
	}
	r.Closed = true
	return s.putSignIn(r, known)
}

// admit refuses an id token that was closed or belongs to another web session, and remembers one that is shown for the
// first time. The caller has verified it.
func (s *Service) admit(e Evidence, who Identity) error {
	if e.Session.IsZero() {
		return errkind.New(errkind.Signin, "the evidence does not name its web session").WithHint("Sign in again.")
	}
	token, session := TokenHash(e.IDToken), wire.Sum(e.Session[:])
	s.mu.RLock()
	r, known := s.state.signIns[token]
	s.mu.RUnlock()
	if !known {
		var err error
		if r, err = s.learn(token, session, who); err != nil {
			return err
		}
	}
	if err := r.good(); err != nil {
		return err
	}
	if r.Session != session { // hashes of 32 random bytes, so the time of a comparison tells nothing
		return errOtherSession
	}
	return nil
}

// learn stores a record before the token is accepted for the first time.
func (s *Service) learn(token, session wire.Hash, who Identity) (signIn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, known := s.state.signIns[token]; known {
		return r, nil
	}
	until := who.SignedInAt.Add(s.cfg.SignInAge)
	if !who.Until.IsZero() && who.Until.Before(until) {
		until = who.Until
	}
	r := signIn{Token: token, Session: session, Until: until}
	return r, s.putSignIn(r, false)
}

// good refuses evidence of a sign-in that has ended.
func (r signIn) good() error {
	if r.Closed {
		return errSignedOut
	}
	return nil
}

// withdrawn refuses evidence that was good and was withdrawn meanwhile: the sign-in was closed, or the API token
// revoked. The caller holds mu until the decision is in the log, so that nothing is announced after a withdrawal.
func (s *Service) withdrawn(e Evidence) error {
	if e.IDToken != "" {
		return s.state.signIns[TokenHash(e.IDToken)].good()
	}
	if e.APIToken != "" && s.state.tokens[wire.Sum([]byte(e.APIToken))].Revoked {
		return errBadToken
	}
	return nil
}

// putSignIn stores a record durably. The caller holds mu.
func (s *Service) putSignIn(r signIn, known bool) error {
	if now := s.cfg.Now(); now.Sub(s.pruned) >= pruneEvery {
		s.pruned = now
		s.state.pruneSignIns(now.Add(-keptLonger))
	}
	if !known && len(s.state.signIns) >= mostSignIns {
		return errTooMany(mostSignIns, "sign-ins")
	}
	return s.state.putSignIn(r)
}

func errTooMany(n int, what string) error {
	return errkind.New(errkind.TooMany, fmt.Sprintf("the signer remembers %d %s, which is the most", n, what)).
		WithHint("Try again later: sign-ins are removed once their id tokens are too old to count.")
}

// unseen returns the number of sign-ins that were closed before they were shown; 0 while it cannot be near its limit.
func (s *state) unseen() (n int) {
	if len(s.signIns) < mostUnseen {
		return 0
	}
	for _, r := range s.signIns {
		if r.Session.IsZero() {
			n++
		}
	}
	return n
}

func (s *state) putSignIn(r signIn) error {
	if err := s.write(signInFile(r.Token), r); err != nil {
		return err
	}
	s.signIns[r.Token] = r
	return nil
}

// pruneSignIns removes the records of tokens that were not accepted after then.
func (s *state) pruneSignIns(then time.Time) {
	for token, r := range s.signIns {
		// A file that could not be removed is read again at the next start, and tried again.
		if r.Until.Before(then) && os.Remove(filepath.Join(s.dir, signInFile(token)+".json")) == nil {
			delete(s.signIns, token)
		}
	}
}

func signInFile(token wire.Hash) string { return "signins/" + token.String() }
