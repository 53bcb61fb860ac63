package oidcauth

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// TestInventedAccessTokensCostOnlyTheirSubject: a gateway that was taken over shows the signer one id token, which has
// no at_hash, with many invented access tokens. The provider gets a bounded number of requests, the answer to the real
// token stays, and other people sign in.
func TestInventedAccessTokensCostOnlyTheirSubject(t *testing.T) {
	l := groupless(t, says(tess(nil)))
	l.claims["at_hash"] = nil
	in, err := l.signIn(l.party())
	if err != nil {
		t.Fatal(err)
	}
	signer := l.party()
	verify := func(raw, access string) error { _, err := signer.VerifyIDToken(t.Context(), raw, access); return err }
	if err := verify(in.IDToken, "access"); err != nil {
		t.Fatal(err)
	}
	before := l.asked.Load()
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			if verify(in.IDToken, fmt.Sprint("invented-", i)) == nil {
				t.Error("an invented access token is accepted")
			}
		})
	}
	all.Wait()
	if n := l.asked.Load() - before; n > requestBurst {
		t.Errorf("userinfo was asked %d times for one sub, want at most %d", n, requestBurst)
	}
	if err := verify(in.IDToken, "one-more"); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("got %v, want that it was asked too often", err)
	}
	before = l.asked.Load()
	if err := verify(in.IDToken, "access"); err != nil || l.asked.Load() != before {
		t.Errorf("the kept answer: got %v, asked %d times", err, l.asked.Load()-before)
	}
	l.claims["sub"], l.userinfo = "u-2", says(tess(map[string]any{"sub": "u-2"}))
	if other, err := l.signIn(l.party()); err != nil || verify(other.IDToken, "access") != nil {
		t.Errorf("another person: got %v", err)
	}
	l.clock.forward(time.Minute)
	if err := verify(in.IDToken, "invented"); errkind.KindOf(err) != errkind.Signin {
		t.Errorf("a minute later: got %v, want the provider's refusal", err)
	}
}

// TestAnswersOfOneSubjectEvictNoOthers: one person signs in more often than the cache has room, others once each.
func TestAnswersOfOneSubjectEvictNoOthers(t *testing.T) {
	now := time.Now()
	a := newAnswers(func() time.Time { return now })
	n := uint64(0)
	keep := func(sub string) [32]byte {
		t.Helper()
		var key [32]byte
		binary.BigEndian.PutUint64(key[:], n)
		n++
		now = now.Add(2 * time.Second) // the rate at which one subject may ask
		if _, err := a.once(sub, key, now.Add(24*time.Hour), func() (claims, error) { return claims{}, nil }); err != nil {
			t.Fatal(err)
		}
		return key
	}
	kept := func(sub string, key [32]byte) bool { _, ok := a.get(sub, key); return ok }
	other := keep("other")
	used := keep("often")
	var last [32]byte
	for range mostAnswers + 10 {
		if last = keep("often"); !kept("often", used) {
			t.Fatal("an answer in use was evicted")
		}
	}
	if !kept("other", other) || !kept("often", last) || a.total != mostOfSubject+1 {
		t.Errorf("got %d answers, want %d with that of the other person and the latest", a.total, mostOfSubject+1)
	}
	for i := range mostAnswers - mostOfSubject/2 {
		keep(fmt.Sprint("person-", i))
	}
	if !kept("other", other) || a.total != mostAnswers {
		t.Errorf("full: got %d answers, want %d with that of the other person", a.total, mostAnswers)
	}
	now = now.Add(48 * time.Hour)
	if keep("other"); a.total != 1 || len(a.of) != 1 {
		t.Errorf("all expired: got %d answers of %d subjects, want 1 of 1", a.total, len(a.of))
	}
}

// TestLargeAnswersTakeBoundedMemory: where people make groups themselves, their answers may be as large as is read.
func TestLargeAnswersTakeBoundedMemory(t *testing.T) {
	a := newAnswers(time.Now)
	large := make([]byte, 512<<10)
	keep := func(n uint64, sub string, groups []byte) [32]byte {
		t.Helper()
		var key [32]byte
		binary.BigEndian.PutUint64(key[:], n)
		answer := func() (claims, error) { return claims{"groups": groups}, nil }
		if _, err := a.once(sub, key, time.Now().Add(time.Hour), answer); err != nil {
			t.Fatal(err)
		}
		return key
	}
	small := keep(0, "small", []byte(`["staff"]`))
	for i := range uint64(1000) {
		keep(1+i, fmt.Sprint("large-", i%100), large)
	}
	if a.bytes > mostBytes || a.bytes < mostBytes/2 {
		t.Errorf("got %d bytes, want at most %d, and room used", a.bytes, mostBytes)
	}
	if _, ok := a.get("small", small); !ok {
		t.Error("large answers evicted the small one of another person")
	}
}
