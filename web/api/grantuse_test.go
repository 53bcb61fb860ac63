package api

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

// sessionStore has sessions in a real database, and everything else by hand.
type sessionStore struct {
	*fakeStore
	db *sqlite.DB
}

func (s sessionStore) Sessions(ctx context.Context, f store.SessionFilter) ([]store.Session, int, error) {
	return s.db.Sessions(ctx, f)
}

// TestTheTimeUnderAGrantIsOfAllItsSessions: there are more of them than one listing gives.
func TestTheTimeUnderAGrantIsOfAllItsSessions(t *testing.T) {
	w := newWorld(t)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	const all = store.MaxPage + 3
	from := testTime.Add(-time.Hour)
	asker := people["technician"]
	for i := range all {
		began := from.Add(time.Duration(i) * time.Second)
		s := store.Session{ID: id.NewSession(), Device: "press-1", Principal: asker.Person.ID, State: store.Ended, Asked: began, Started: began, Ended: began.Add(2 * time.Second)}
		if err := db.AddSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := db.UseGrant(t.Context(), "g", s.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.api.cfg.Store = sessionStore{w.rows, db}
	asker.policy = w.rules.Snapshot().Policy
	used, err := w.api.usedUnder(t.Context(), &asker, &store.Request{ID: "g", State: store.RequestUsed, From: from, Until: testTime})
	if err != nil {
		t.Fatal(err)
	}
	if used.Total != all || used.Seconds != 2*all || len(used.Sessions) != store.MaxPage {
		t.Errorf("got %d sessions, %d s and %d listed, want %d, %d s and %d listed", used.Total, used.Seconds, len(used.Sessions), all, 2*all, store.MaxPage)
	}
}
