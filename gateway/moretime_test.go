package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
)

// hung is the recording of a disk that does not answer until released.
type hung struct {
	recorder.Recording
	release chan struct{}
}

func (h *hung) Note(format.Note) error { <-h.release; return nil }

// TestAnotherGrantIsNotedWithoutWaitingForTheDisk: Revalidate has other sessions to end within a second.
func TestAnotherGrantIsNotedWithoutWaitingForTheDisk(t *testing.T) {
	s, _ := underClock(10 * time.Minute)
	rec, used := &hung{release: make(chan struct{})}, make(chan string, 2)
	s.rec = rec
	s.b.cfg.GrantUsed = func(_ context.Context, _ id.Session, grant string) { used <- grant }
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		for range 2 { // the second time it is known
			s.underAnother(t.Context(), authz.Decision{Allowed: true, Grant: "g", Rule: "E1", Emergency: true, Until: s.Until()})
		}
	}()
	select {
	case <-returned:
	case <-time.After(time.Minute):
		t.Fatal("it waits for the disk")
	}
	close(rec.release)
	if got := <-used; got != "g" || len(used) != 0 {
		t.Errorf("used %q and %d more, want g once", got, len(used))
	}
}
