package rendezvous

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// written counts what is stored of presence.
type written struct {
	Store
	writes int
	rows   map[[32]byte]bool
}

func (w *written) SetPresences(_ context.Context, all map[[32]byte]store.Presence) error {
	w.writes++
	for fp := range all {
		w.rows[fp] = true
	}
	return nil
}

// TestAStormOfDevicesIsStoredInAFewTransactions: the first at once, the others together, the last when it ends.
func TestAStormOfDevicesIsStoredInAFewTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &written{rows: map[[32]byte]bool{}}
		r := New(Config{Store: w})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.writePresence(ctx); close(done) }()
		for i := range 150 {
			r.mu.Lock()
			r.note(&line{fp: wire.Hash{byte(i)}}, true)
			r.mu.Unlock()
			if synctest.Wait(); i == 0 && len(w.rows) != 1 {
				t.Errorf("the first: got %d rows, want 1", len(w.rows))
			}
			time.Sleep(time.Millisecond)
		}
		cancel()
		<-done
		if len(w.rows) != 150 || w.writes > 3 {
			t.Errorf("got %d rows in %d writes, want 150 in 3", len(w.rows), w.writes)
		}
	})
}
