package sessionline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// large is more than a device takes that reads nothing.
const large = 3 << 20

// sendsTo sends three large pieces to a device that reads nothing, and returns once the second one is recorded.
func sendsTo(t *testing.T, b *book, ctx context.Context) (*Channel, chan error) {
	t.Helper()
	c, err := newLine(t, b).Open(t.Context(), 1, Start{})
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		p := slices.Concat(bytes.Repeat([]byte("1"), large), bytes.Repeat([]byte("2"), large), bytes.Repeat([]byte("3"), large))
		_, err := c.Send(ctx, p, large, nil)
		sent <- err
	}()
	b.wait(t, "record piece of 2")
	return c, sent
}

func newBook() *book {
	b := &book{seen: &seen{reads: make(chan struct{})}}
	b.pieces = true
	return b
}

func (s *seen) counted(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range p {
		s.count[c]++
	}
}

// got is how often a byte came to the device.
func (s *seen) got(c byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[c]
}

func TestTheNextPieceIsRecordedWhileOneIsSentAndNoMore(t *testing.T) {
	b := newBook()
	_, sent := sendsTo(t, b, t.Context())
	time.Sleep(50 * time.Millisecond) // what must not come needs a while in which it could
	if slices.Contains(b.list(), "record piece of 3") {
		t.Error("a piece was recorded while two wait to be sent")
	}
	close(b.reads)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	for _, digit := range []byte("123") {
		for end := time.Now().Add(time.Minute); b.got(digit) < large; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the device got %d of %c", b.got(digit), digit)
			}
		}
	}
}

func TestAPieceThatWaitedIsNotSentAfterTheEnd(t *testing.T) {
	b := newBook()
	ctx, cancel := context.WithCancelCause(t.Context())
	c, sent := sendsTo(t, b, ctx)
	over := errors.New("the session is over")
	cancel(over)
	close(b.reads)
	if err := <-sent; err != over {
		t.Errorf("got %v, want why it ended", err)
	}
	if err := c.End(ctx); err != over {
		t.Errorf("the end of input: got %v, want why it ended", err)
	}
	c.Close()
	b.wait(t, "device close")
	if n := b.got('2') + b.got('3'); n > 0 {
		t.Errorf("the device got %d bytes after the end", n)
	}
}

func TestInputAfterOneThatFailedIsNotRecorded(t *testing.T) {
	b := newBook()
	c, sent := sendsTo(t, b, t.Context())
	c.Close()
	close(b.reads)
	if err := <-sent; err == nil {
		t.Error("input was sent on a closed channel")
	}
	if _, err := c.Send(t.Context(), []byte("4"), large, nil); err == nil {
		t.Error("more input was sent on a closed channel")
	}
	if slices.Contains(b.list(), "record piece of 3") || slices.Contains(b.list(), "record piece of 4") {
		t.Error("input was recorded that could not be sent")
	}
}

// At a terminal no piece waits for the one before, so each is asked for once.
func TestEachPieceIsAskedFor(t *testing.T) {
	b := &book{seen: &seen{}}
	c, err := newLine(t, b).Open(t.Context(), 1, Start{PTY: &PTY{Cols: 80, Rows: 24}})
	if err != nil {
		t.Fatal(err)
	}
	asked, refused := 0, errors.New("frozen")
	n, err := c.Send(t.Context(), []byte("abcdef"), 2, func() error {
		if asked++; asked == 3 {
			return refused
		}
		return nil
	})
	if n != 4 || err != refused {
		t.Errorf("got %d bytes and %v, want 4 and the refusal", n, err)
	}
}

// A terminal gives a program the line that it has at the first end of file, and the end at the second.
func TestAnUnfinishedLineIsEndedToo(t *testing.T) {
	for typed, want := range map[string]string{"": "\x04", "abc\r": "\x04", "abc\n": "\x04", "abc\x04": "\x04", "abc": "\x04\x04", "abc\x00": "\x04\x04"} {
		b := &book{seen: &seen{}}
		c, err := newLine(t, b).Open(t.Context(), 1, Start{PTY: &PTY{Cols: 80, Rows: 24}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Send(t.Context(), []byte(typed), 100, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.End(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(b.list(), fmt.Sprintf("record input %q", want)) {
			t.Errorf("after %q the record has %q, want %q", typed, b.list(), want)
		}
	}
}
