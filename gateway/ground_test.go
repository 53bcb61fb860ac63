package gateway_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// deafSigner writes a close leaf and loses the answer, once.
type deafSigner struct {
	signer.Signer
	lost atomic.Int32
}

func (s *deafSigner) Append(ctx context.Context, r signer.AppendRequest) (signer.Appended, error) {
	out, err := s.Signer.Append(ctx, r)
	if r.Type == "close" && s.lost.Add(1) == 1 {
		return signer.Appended{}, errors.New("the answer is lost")
	}
	return out, err
}

func TestACloseWhoseAnswerWasLostIsNotAnnouncedTwice(t *testing.T) {
	h := newHouse(t)
	deaf := &deafSigner{Signer: h.signer}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Signer = deaf })
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go h.Run(ctx)
	s, _ := h.open(h.ask("press-1", "streams"))
	s.Wait()
	within(t, 20*time.Second, "the end is in the row", func() bool { return h.part(s.ID()).CloseLeaf != nil })
	if got := deaf.lost.Load(); got != 1 {
		t.Errorf("got %d close leaves, want 1", got)
	}
	if got := h.row(s.ID()); got.State != store.Closed {
		t.Errorf("got state %s, want closed", got.State)
	}
}

func (h *house) part(sid id.Session) store.Part {
	h.t.Helper()
	return must(h.db.Part(context.Background(), sid, 0))(h.t)
}

func TestWithoutALogASessionsEndIsWrittenLater(t *testing.T) {
	h := newHouse(t)
	full := &fullLog{Signer: h.signer}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Signer = full })
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go h.Run(ctx)
	s, _ := h.open(h.ask("press-1"))
	full.on.Store(true)
	s.End("that is all")
	if got := s.Wait(); got.Reason != gateway.ByTechnician {
		t.Errorf("got reason %q, want technician", got.Reason)
	}
	if h.part(s.ID()).CloseLeaf != nil || h.row(s.ID()).State != store.Closed {
		t.Errorf("got leaf %v and state %s, want none and closed", h.part(s.ID()).CloseLeaf, h.row(s.ID()).State)
	}
	full.on.Store(false)
	within(t, 20*time.Second, "the end is in the log", func() bool { return h.part(s.ID()).CloseLeaf != nil })
	if _, err := os.Stat(filepath.Join(h.dir, "rec", s.ID().String()+".srec")); err != nil {
		t.Error(err)
	}
}

// fullLog takes nothing while on.
type fullLog struct {
	signer.Signer
	on atomic.Bool
}

func (s *fullLog) Append(ctx context.Context, r signer.AppendRequest) (signer.Appended, error) {
	if s.on.Load() {
		return signer.Appended{}, errors.New("no space left")
	}
	return s.Signer.Append(ctx, r)
}
