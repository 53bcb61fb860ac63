package archive

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
)

// follower reads a running part, and is told what is durable.
type follower struct {
	durable atomic.Int64
	ended   atomic.Bool
	seen    chan string
	done    chan error
}

func (r *recordings) follow(ctx context.Context, s id.Session, opt FollowOptions) *follower {
	f := &follower{seen: make(chan string, 10), done: make(chan error, 1)}
	go func() {
		confirmed := func() (int64, bool) {
			more := !f.ended.Load()
			return f.durable.Load(), more
		}
		f.done <- r.archive.Follow(ctx, Part{Session: s}, opt, confirmed,
			func(_ uint64, _ format.Stream, p []byte) error {
				f.seen <- string(p)
				return nil
			})
	}()
	return f
}

func (f *follower) want(t *testing.T, text string) {
	t.Helper()
	select {
	case got := <-f.seen:
		if got != text {
			t.Fatalf("got %q, want %q", got, text)
		}
	case err := <-f.done:
		t.Fatalf("the reading ended with %v, want %q", err, text)
	}
}

func (f *follower) wantNothing(t *testing.T, why string) {
	t.Helper()
	select {
	case got := <-f.seen:
		t.Fatalf("got %q: %s", got, why)
	case <-time.After(10 * followEvery):
	}
}

func TestAChannelIsFollowedAsItsOutputBecomesDurable(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.must(k.Start(2, 0, 0, "a shell"))
	k.out(1, "first")
	f := r.follow(t.Context(), s, FollowOptions{Channel: 1})
	f.wantNothing(t, "it is not confirmed")
	f.durable.Store(5)
	f.want(t, "first")
	k.out(2, "of another channel")
	k.in(1, "typed")
	k.stderr(1, "second")
	k.out(1, "third")
	f.durable.Store(11)
	f.want(t, "second")
	f.wantNothing(t, "the third is not confirmed")
	f.durable.Store(16)
	f.want(t, "third")
	f.ended.Store(true)
	if err := <-f.done; err != nil {
		t.Errorf("got %v, want nil at the channel's end", err)
	}
	k.end()
}

func TestFollowingEndsWithTheRecord(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.out(1, "first")
	k.out(1, "lost")
	k.end()
	f := r.follow(t.Context(), s, FollowOptions{})
	f.durable.Store(5)
	f.want(t, "first")
	f.wantNothing(t, "the rest was never confirmed")
	f.ended.Store(true)
	if err := <-f.done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	f.wantNothing(t, "the rest was never confirmed")
}

// TestFollowedTextHasNoEscapeSequences: one is cut by a frame, as is a character.
func TestFollowedTextHasNoEscapeSequences(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.out(1, "a\x1b[3")
	k.stderr(1, "error")
	k.out(1, "1mb\xc3")
	k.out(1, "\xa9\x1b]0;title\x07c\r\n")
	f := r.follow(t.Context(), s, FollowOptions{Text: true})
	f.durable.Store(1000)
	f.want(t, "a")
	f.want(t, "error")
	f.want(t, "b")
	f.want(t, "éc\n")
	f.ended.Store(true)
	if err := <-f.done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestAReaderWhoLeavesStopsFollowing(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.beginShell(s, 0)
	ctx, leave := context.WithCancelCause(t.Context())
	f := r.follow(ctx, s, FollowOptions{})
	gone := errors.New("gone")
	leave(gone)
	if err := <-f.done; !errors.Is(err, gone) {
		t.Errorf("got %v, want the reason", err)
	}
}
