package api

import (
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

// TestTheDatabaseAndTheAPIAgreeOnWhoSeesWhat: listings are filtered by one, single sessions by the other.
func TestTheDatabaseAndTheAPIAgreeOnWhoSeesWhat(t *testing.T) {
	db, err := sqlite.Open(t.Context(), t.TempDir()+"/test.db", sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	rows := newRows().sessions
	for i, by := range []string{"technician", "other", ""} {
		s := store.Session{ID: sid(byte(10 + i)), Device: "press-1", State: store.Closed, Asked: testTime}
		if by != "" {
			s.Principal = id.Principal{Issuer: "https://other-idp", Subject: by}
		}
		rows = append(rows, s)
	}
	for _, s := range rows {
		if err := db.AddSession(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for _, sight := range []*store.Sight{
		nil,
		{Principal: id.Principal{Issuer: "https://idp", Subject: "technician"}},
		{Principal: id.Principal{Issuer: "https://idp", Subject: "owner"}, Sites: []string{"hall-south"}},
		{Principal: id.Principal{Issuer: "https://idp", Subject: "other"}, Sites: []string{"hall-north", "hall-south"}},
		{Principal: id.Principal{Issuer: "https://idp", Subject: "nobody"}},
	} {
		got, total, err := db.Sessions(t.Context(), store.SessionFilter{Sight: sight})
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, s := range rows {
			if sees(sight, s) {
				want++
			}
		}
		if len(got) != want || total != want {
			t.Errorf("%+v: the database gives %d of %d, the API lets %d be seen", sight, len(got), total, want)
		}
		for _, s := range got {
			if !sees(sight, s) {
				t.Errorf("%+v: the database gives %s, which the API hides", sight, s.ID)
			}
		}
	}
}
