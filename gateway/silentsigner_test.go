package gateway_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// silentSigner is a signer that does something before it is told of the end of a session: fail, or not answer. calls
// counts how often it was told.
type silentSigner struct {
	signer.Signer
	do    func(ctx context.Context, call int32) error
	calls atomic.Int32
}

func (s *silentSigner) Append(ctx context.Context, r signer.AppendRequest) (signer.Appended, error) {
	if r.Type == "close" {
		if err := s.do(ctx, s.calls.Add(1)); err != nil {
			return signer.Appended{}, err
		}
	}
	return s.Signer.Append(ctx, r)
}

func silence(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// The outcome of a session needs the database only.
func TestTheOutcomeIsStoredWhileTheSignerIsSilent(t *testing.T) {
	h := newHouse(t)
	silent := &silentSigner{Signer: h.signer, do: func(ctx context.Context, call int32) error {
		if call == 1 {
			return silence(ctx)
		}
		return nil
	}}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Signer, c.CloseTime = silent, time.Second })
	s, _ := h.open(h.ask("press-1", "wait"))
	s.End("that is all")
	s.Wait()
	if row := h.row(s.ID()); row.State != store.Closed || row.EndReason != gateway.ByTechnician {
		t.Errorf("got %s %q, want closed by the technician", row.State, row.EndReason)
	}
	h.Drain(t.Context()) // retries
	h.agrees(s.ID(), store.RecordComplete, gateway.ByTechnician)
}

// A retry may wait for the signer as long as it likes: what a person may do is decided again in time.
func TestSessionsAreDecidedAgainWhileTheSignerIsSilent(t *testing.T) {
	h := newHouse(t)
	silent := &silentSigner{Signer: h.signer, do: func(ctx context.Context, call int32) error {
		switch call {
		case 1:
			return errors.New("the signer does not answer")
		case 2:
			return silence(ctx)
		}
		return nil
	}}
	var later atomic.Int64
	h.Broker = h.newBrokerWith(func(c *gateway.Config) {
		c.Signer, c.CloseTime = silent, time.Hour
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	live, _ := h.open(h.ask("press-1", "wait"))
	over, _ := h.open(h.ask("press-1", "wait"))
	over.End("that is all")
	over.Wait()
	running, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- h.Run(running) }()
	within(t, time.Minute, "the end is retried", func() bool { return silent.calls.Load() == 2 })
	err := h.db.PutPrincipal(t.Context(), store.Principal{ID: h.ask("press-1").Person.ID, Name: "Tess",
		Groups: []string{"others"}, SeenAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	later.Store(int64(16 * time.Second)) // the gateway decides again each 15 s
	select {
	case <-live.Done():
	case <-time.After(time.Minute):
		t.Fatal("the session goes on without its right")
	}
	if got := live.Wait().Reason; got != gateway.ByWithdrawal {
		t.Errorf("got the reason %q, want %q", got, gateway.ByWithdrawal)
	}
	stop()
	<-ran
}
