// Package pending keeps what waits for somebody: a code between redirect and token request, a second step, a device that
// asks again and again whether a person has agreed. All of it is in memory, named by the hash of a secret that only the
// one who waits has, and bounded in time and in number: whoever is not signed in must not be able to fill a server.
//
// # What it is up against
//
// Somebody who opens thousands of flows: each set has a most, and a network of one caller has a share of it. Somebody who guesses: a
// secret has 256 bits, and the short code that a person types lives for minutes and opens nothing before somebody signed in has said yes. Somebody who uses
// a thing twice: Take gives it once, also when the use fails. A restart forgets everything, which costs people a second try
// and nobody a secret.
package pending

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Secret makes 256 random bits as text.
func Secret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Hash is what is kept of a secret.
func Hash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// Set keeps things of one kind.
type Set[T any] struct {
	now  func() time.Time
	most int

	mu  sync.Mutex // guards all
	all map[[32]byte]kept[T]
}

type kept[T any] struct {
	v     T
	until time.Time
}

// New makes a set of at most so many.
func New[T any](now func() time.Time, most int) *Set[T] {
	return &Set[T]{now: now, most: most, all: map[[32]byte]kept[T]{}}
}

// Put keeps v and gives its secret.
func (s *Set[T]) Put(v T, life time.Duration) (string, error) {
	secret := Secret()
	return secret, s.PutAs(secret, v, life)
}

// PutAs keeps v under a secret that the caller made.
func (s *Set[T]) PutAs(secret string, v T, life time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if len(s.all) >= s.most {
		for h, k := range s.all {
			if !now.Before(k.until) {
				delete(s.all, h)
			}
		}
	}
	if len(s.all) >= s.most {
		return TooMany()
	}
	s.all[Hash(secret)] = kept[T]{v, now.Add(life)}
	return nil
}

// Get reads.
func (s *Set[T]) Get(secret string) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.all[Hash(secret)]
	return k.v, ok && s.now().Before(k.until)
}

// Take reads and forgets, whatever comes of it.
func (s *Set[T]) Take(secret string) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := Hash(secret)
	k, ok := s.all[h]
	delete(s.all, h)
	return k.v, ok && s.now().Before(k.until)
}

// Change edits what is there and gives what it was.
func (s *Set[T]) Change(secret string, edit func(*T)) (before T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := Hash(secret)
	k, ok := s.all[h]
	if !ok || !s.now().Before(k.until) {
		return before, false
	}
	before = k.v
	edit(&k.v)
	s.all[h] = k
	return before, true
}

// DropAll forgets those that match.
func (s *Set[T]) DropAll(is func(T) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, k := range s.all {
		if is(k.v) {
			delete(s.all, h)
		}
	}
}

// Count counts those alive that match.
func (s *Set[T]) Count(is func(T) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, now := 0, s.now()
	for _, k := range s.all {
		if now.Before(k.until) && is(k.v) {
			n++
		}
	}
	return n
}

// TooMany says that no more can wait.
func TooMany() error {
	return errkind.New(errkind.TooMany, "too many sign-ins are under way").WithHint("Try again in some minutes.")
}
