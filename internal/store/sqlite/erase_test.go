package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// inFiles gives the files of a database that contain some bytes.
func inFiles(t *testing.T, path string, what []byte) (names []string) {
	t.Helper()
	for _, end := range []string{"", "-wal"} {
		raw, err := os.ReadFile(path + end)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(raw, what) {
			names = append(names, "db"+end)
		}
	}
	return names
}

func TestTheBytesOfAnEndedSignInAreErased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, Options{})
	who := id.Principal{Issuer: "https://idp.test", Subject: "tess"}
	now := time.Unix(1_800_000_000, 0)
	row := func(n byte) store.WebSession {
		return store.WebSession{IDHash: [32]byte{n}, Principal: who, SID: fmt.Sprint(n), TokenHash: [32]byte{n},
			SealedKey: bytes.Repeat([]byte{0xA0 + n}, 60), Tokens: bytes.Repeat([]byte{0xC0 + n}, 9000), // more than a page
			Kind: store.KindWeb, Created: now, Expires: now.Add(time.Duration(n) * time.Hour)}
	}
	marks := func(n byte) [][]byte { return [][]byte{row(n).SealedKey, row(n).Tokens[:60]} }
	for n := range byte(6) {
		if err := db.AddWebSession(t.Context(), row(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, mark := range marks(1) {
		if len(inFiles(t, path, mark)) == 0 {
			t.Fatal("the bytes of a sign-in are not found, so this test shows nothing")
		}
	}
	ends := map[byte]func() error{
		1: func() error { _, err := db.EndWebSession(t.Context(), [32]byte{1}); return err },
		2: func() error { _, err := db.EndWebSessionsBySID(t.Context(), who.Issuer, "2"); return err },
		0: func() error { _, err := db.SweepWebSessions(t.Context(), now); return err },
	}
	for n, end := range ends {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		for _, mark := range marks(n) {
			if in := inFiles(t, path, mark); len(in) > 0 {
				t.Errorf("sign-in %d is still in %q", n, in)
			}
		}
	}

	// A reader holds the log back. The next sweep erases what it left.
	tx, err := db.read.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var count int
	if err := tx.QueryRow("SELECT count(*) FROM web_sessions").Scan(&count); err != nil || count != 3 {
		t.Fatalf("%d rows, %v", count, err)
	}
	began := time.Now()
	if _, err := db.EndWebSession(t.Context(), [32]byte{3}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the sign-out waited %s for a reader", took)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.SweepWebSessions(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	for _, mark := range marks(3) {
		if in := inFiles(t, path, mark); len(in) > 0 {
			t.Errorf("after the reader, sign-in 3 is still in %q", in)
		}
	}
	if in := inFiles(t, path, marks(5)[0]); len(in) == 0 {
		t.Error("a sign-in that goes on is gone")
	}
	if _, err := db.EndWebSessionsOf(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	for n := range byte(6) {
		for _, mark := range marks(n) {
			if in := inFiles(t, path, mark); len(in) > 0 {
				t.Errorf("at the end, sign-in %d is in %q", n, in)
			}
		}
	}
}

// TestTokensOfAnEarlierReleaseAreErased: they were stored as they are, and deleted ones lay in free pages.
func TestTokensOfAnEarlierReleaseAreErased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	old := earlier(t, path, 6)
	if _, err := old.write.Exec("PRAGMA secure_delete=OFF"); err != nil {
		t.Fatal(err)
	}
	for n := range 60 {
		token := "PLAIN-TOKEN-THAT-IS-THERE"
		if n > 0 {
			token = "PLAIN-TOKEN-THAT-IS-DELETED"
		}
		_, err := old.write.Exec(`INSERT INTO web_sessions (id_hash, issuer, sub, provider, sid, id_token, refresh_token,
			amr, acr, kind, addr, created, expires, access_token) VALUES (?,'i','s','p','',?,?,'[]','','web','',1,2,?)`,
			[]byte{byte(n)}, token+string(bytes.Repeat([]byte("x"), 5000)), token, token)
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := old.write.Exec("DELETE FROM web_sessions WHERE id_hash<>x'00'"); err != nil {
		t.Fatal(err)
	}
	if err := old.write.Close(); err != nil {
		t.Fatal(err)
	}
	if in := inFiles(t, path, []byte("PLAIN-TOKEN-THAT-IS-THERE")); len(in) == 0 {
		t.Fatal("the token is not found, so this test shows nothing")
	}
	db := open(t, path, Options{})
	var rows int
	if err := db.read.QueryRow("SELECT count(*) FROM web_sessions").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d sign-ins are left, %v", rows, err)
	}
	if in := inFiles(t, path, []byte("PLAIN-TOKEN")); len(in) > 0 {
		t.Errorf("tokens are still in %q", in)
	}
}
