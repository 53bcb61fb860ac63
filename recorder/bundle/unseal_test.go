package bundle

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recorder/format"
)

func TestWhatWasHiddenIsOpenedByWhoHoldsBothKeys(t *testing.T) {
	h := newHouse(t)
	src, err := reads(h.export(h.Run([]byte("hello\n"), 2)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	open := func(ids ...age.Identity) error {
		got = nil
		return src.Unseal(t.Context(), ids, func(x Hidden) error {
			got = append(got, fmt.Sprintf("part %d ch %d at %d: %q", x.Part, x.Ch, x.Offset, x.Text))
			return nil
		})
	}
	if err := open(h.both()...); err != nil {
		t.Fatal(err)
	}
	if want := []string{`part 0 ch 1 at 3: "secret\n"`, `part 1 ch 1 at 3: "secret\n"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := open(h.Reader); !errors.Is(err, ErrNotUnsealer) || len(got) != 0 {
		t.Errorf("a reader alone: got %v and %q, want ErrNotUnsealer and nothing", err, got)
	}
	if err := open(h.Officer); !errors.Is(err, ErrNotReader) || len(got) != 0 {
		t.Errorf("an unsealing officer who reads nothing: got %v and %q, want ErrNotReader and nothing", err, got)
	}
}

func TestHiddenStretchesAreWhatNoRevealCovers(t *testing.T) {
	shown := ranges{}
	for _, r := range [][2]uint64{{0, 3}, {10, 2}, {3, 2}, {7, 1}} { // a verdict may come late
		shown.add(1, r[0], r[0]+r[1])
	}
	unjudged := ranges{}
	unjudged.add(1, 6, 7)
	unjudged.add(1, 12, 13)
	var got []string
	l := liner{shown: shown, unjudged: unjudged, fn: func(h Hidden) error {
		got = append(got, fmt.Sprintf("%d %s %d", h.Offset, h.Text, h.NoVerdict))
		return nil
	}}
	for _, f := range []struct {
		at   uint64
		text string
	}{{0, "012"}, {3, "34567"}, {8, "8"}, {9, "9ab\rd"}, {14, "e"}} {
		if err := l.frame(&format.Frame{Kind: format.KindSealed, Ch: 1, At: f.at, Data: []byte(f.text),
			Opened: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"5 56 1", "8 89 0", "12 \r 1", "13 de 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
