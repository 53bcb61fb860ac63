package node

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

func TestTheDecisionOnASessionIsFoundBehindThoseOnManyChannels(t *testing.T) {
	for _, n := range []int{1, store.MaxPage, store.MaxPage + 1, 2*store.MaxPage + 1} {
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "gateway.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		sid := id.NewSession()
		for i := range n {
			e := store.AuditEvent{At: time.Now(), Type: "decided", Phase: "done", Subject: sid.String(), Leaf: uint64(7 + i), Body: []byte{}}
			if _, err := db.AddAudit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		leaf, err := (&evidence{g: &Gateway{DB: db}}).decided(t.Context(), sid)
		if err != nil || leaf == nil || *leaf != 7 {
			t.Errorf("of %d decisions: got leaf %v %v, want 7", n, leaf, err)
		}
	}
}
