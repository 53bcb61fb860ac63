package enroll_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// keptSigner remembers the labels that the signer took last. Its answers come late, so that others may come between a
// change there and the same change in the row; an asker who leaves meanwhile does so before the answer.
type keptSigner struct {
	enroll.Signer
	leave func()

	mu     sync.Mutex // guards labels
	labels map[string]string
}

func (k *keptSigner) PutDevice(ctx context.Context, by signer.Evidence, d signer.Device) (signer.Appended, error) {
	k.mu.Lock()
	a, err := k.Signer.PutDevice(ctx, by, d)
	if err == nil {
		k.labels = maps.Clone(d.Labels)
	}
	k.mu.Unlock()
	if k.leave != nil {
		k.leave()
	}
	time.Sleep(5 * time.Millisecond)
	return a, err
}

func TestLabelsThatAreSetAtOnceAreTheSameForTheSignerAndHere(t *testing.T) {
	h := newHouse(t)
	_, d := h.waiting()
	must(h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{}))(t)
	kept := &keptSigner{Signer: h.signer}
	h.Office.Signer = kept
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			_, err := h.Label(t.Context(), h.admin, ada, d.Name, map[string]string{fmt.Sprint("l", i): "x"})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	row := must(h.db.Device(t.Context(), d.Name))(t)
	if len(row.Labels) != 8+len(d.Labels) || !maps.Equal(row.Labels, kept.labels) {
		t.Errorf("got %v here and %v at the signer, want all eight in both", row.Labels, kept.labels)
	}
}

func TestAChangeThatTheSignerHasIsMadeHereTooWhenTheAskerLeaves(t *testing.T) {
	h := newHouse(t)
	_, d := h.waiting()
	ctx, leave := context.WithCancel(t.Context())
	h.Office.Signer = &keptSigner{Signer: h.signer, leave: leave}
	if d, err := h.Admit(ctx, h.admin, ada, d.Name, enroll.Admission{}); err != nil || d.State != store.OK {
		t.Errorf("admitted: got %s, %v", d.State, err)
	}
	ctx, leave = context.WithCancel(t.Context())
	h.Office.Signer = &keptSigner{Signer: h.signer, leave: leave}
	if d, err := h.Label(ctx, h.admin, ada, d.Name, map[string]string{"hall": "2"}); err != nil || d.Labels["hall"] != "2" {
		t.Errorf("labelled: got %v, %v", d.Labels, err)
	}
}
