package signer

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func TestNothingIsShreddedBeforeItsTime(t *testing.T) {
	h := newHouse(t)
	o, err := h.Open(t.Context(), h.request(tess, "press-1"))
	if err != nil {
		t.Fatal(err)
	}
	shred := func(at time.Time, ref ...uint64) error {
		body, err := ledger.EventBody{By: "x", AtMS: at.UnixMilli()}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Append(t.Context(), AppendRequest{Type: "shredded", Ref: ref, Body: body})
		return err
	}
	wantKind(t, "within the time promised", shred(h.clock(), o.Index), errkind.Denied)
	wantKind(t, "with a time to come", shred(h.clock().Add(2*time.Hour), o.Index), errkind.Denied)
	h.pass(h.cfg.RetainFor + time.Second)
	wantKind(t, "with a time to come, after it", shred(h.clock().Add(time.Hour), o.Index), errkind.Denied)
	wantKind(t, "of nothing", shred(h.clock()), errkind.Denied)
	wantKind(t, "of what is no beginning", shred(h.clock(), 0), errkind.Denied)
	if err := shred(h.clock(), o.Index); err != nil {
		t.Errorf("after the time promised: %v", err)
	}
}

func TestARecordingWithoutAnEndIsFoundAfterARestart(t *testing.T) {
	h := newHouse(t)
	r := h.request(tess, "press-1")
	o, err := h.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	found := func(when string, want bool) {
		t.Helper()
		got, err := h.Unended(t.Context(), r.H0)
		if err != nil || (got != nil) != want || got != nil && *got != o.Index {
			t.Errorf("%s: got %v, %v; want entry %d to be found: %v", when, got, err, o.Index, want)
		}
	}
	restart := func() {
		h.Close()
		h.start()
	}
	found("while it runs", true)
	restart()
	found("after a restart", true)
	body, _ := ledger.CloseBody{Session: r.Session, Open: o.Index, Reason: "exit"}.Marshal()
	if _, err := h.Append(t.Context(), AppendRequest{Type: "close", Ref: []uint64{o.Index}, Body: body}); err != nil {
		t.Fatal(err)
	}
	found("after its end", false)
	restart()
	found("after its end and a restart", false)
}

// TestEntriesGivesTheWholeLogInAnswersThatFit holds Entries to its bound with bodies of the largest size.
func TestEntriesGivesTheWholeLogInAnswersThatFit(t *testing.T) {
	h := newHouse(t)
	c := NewClient(serve(t, h.Service, 0o600))
	body, err := ledger.EventBody{By: "x", Fields: map[string]string{"x": strings.Repeat("x", ledger.MaxBody-64)}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if _, err := h.Append(t.Context(), AppendRequest{Type: "viewed", Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	size, at, answers := h.log.Head().Size, uint64(0), 0
	for at < size {
		entries, err := c.Entries(t.Context(), at)
		if err != nil || len(entries) == 0 {
			t.Fatalf("from entry %d of %d: got %d entries, %v", at, size, len(entries), err)
		}
		if one, err := c.Entry(t.Context(), at); err != nil || !reflect.DeepEqual(one, entries[0]) {
			t.Errorf("entry %d is not the first of those from %d (%v)", at, at, err)
		}
		at, answers = at+uint64(len(entries)), answers+1
	}
	if at != size || answers < 2 {
		t.Errorf("got %d entries in %d answers, want %d in several", at, answers, size)
	}
}

// TestNothingThatAVerifierRefusesIsAppended: a gateway under an attacker's control must not be able to add a leaf for
// which verifiers refuse the whole log.
func TestNothingThatAVerifierRefusesIsAppended(t *testing.T) {
	h := newHouse(t)
	r := h.request(tess, "press-1")
	o, err := h.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	final, err := ledger.CloseBody{Session: r.Session, Open: o.Index, Final: [32]byte{1}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Append(t.Context(), AppendRequest{Type: "close", Ref: []uint64{o.Index}, Body: final})
	wantKind(t, "an end with a final statement", err, errkind.Usage)
	for what, body := range map[string][]byte{"no body": nil, "no event": []byte("x"), "null fields": {0xa3,
		0x62, 'b', 'y', 0x60, 0x65, 'a', 't', '_', 'm', 's', 0, 0x66, 'f', 'i', 'e', 'l', 'd', 's', 0xf6}} {
		_, err = h.Append(t.Context(), AppendRequest{Type: "viewed", Body: body})
		wantKind(t, what, err, errkind.Usage)
	}
}
