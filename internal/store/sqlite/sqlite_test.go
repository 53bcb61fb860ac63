package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/storetest"
)

func open(t *testing.T, path string, o Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestSQLiteKeepsWhatAStorePromises(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.DB { return open(t, filepath.Join(t.TempDir(), "db"), Options{}) })
}

func TestADatabaseThatAnotherProcessHoldsIsBusyAndComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, Options{BusyTimeout: 50 * time.Millisecond})
	other, err := sql.Open("sqlite3", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for what, err := range map[string]error{"ping": db.Ping(t.Context()), "write": db.PutPrincipal(t.Context(), store.Principal{}), "transaction": db.PutSite(t.Context(), store.Site{Name: "x", Created: time.Now()})} {
		if !errors.Is(err, store.ErrBusy) || errkind.KindOf(err) != errkind.Unavailable {
			t.Errorf("%s: got %v, want busy", what, err)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	if _, err := db.Sites(t.Context()); err != nil {
		t.Errorf("a read waits for a writer: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("after the lock is gone: %v", err)
	}
}

func TestAWaitForTheWriterObeysTheContext(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), Options{})
	inside, done := make(chan bool), make(chan bool)
	go db.tx(context.Background(), "hold", func(*sql.Tx) error { close(inside); <-done; return nil })
	<-inside
	defer close(done)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := db.PutPrincipal(ctx, store.Principal{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestOnlyTheOwnUserReadsTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // made by somebody careless
		t.Fatal(err)
	}
	db := open(t, path, Options{})
	if err := db.PutPrincipal(t.Context(), store.Principal{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if p := info.Mode().Perm(); p != 0o600 {
			t.Errorf("%s: got mode %04o, want 0600", name, p)
		}
	}
	copied := filepath.Join(t.TempDir(), "backup")
	if err := db.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(copied); info.Mode().Perm() != 0o600 {
		t.Errorf("backup: got mode %04o, want 0600", info.Mode().Perm())
	}
	if err := db.Backup(t.Context(), copied); err == nil {
		t.Error("a backup was written over a file")
	}
	again := open(t, copied, Options{})
	if all, err := again.Principals(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("backup: got %d principals, %v", len(all), err)
	}
}

func TestTheReadingHandleCannotWrite(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), Options{Readers: 3})
	for range 5 {
		if _, err := db.read.Exec("INSERT INTO sites (name, shown_as, created) VALUES ('x','x',1)"); err == nil || !strings.Contains(err.Error(), "readonly") {
			t.Fatalf("got %v, want a refusal", err)
		}
	}
}

func TestEvidenceIsNotEditedByOurOwnCodeEither(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), Options{})
	if err := db.AddDecided(t.Context(), store.Session{Asked: time.Now()}, store.Decision{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.AddAudit(t.Context(), store.AuditEvent{At: time.Now(), Body: []byte{}}); err != nil {
		t.Fatal(err)
	}
	if err := db.AddPolicy(t.Context(), store.PolicyVersion{Version: 1, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for table, column := range map[string]string{"decisions": "rule", "audit": "actor", "policies": "reason"} {
		for _, query := range []string{"UPDATE " + table + " SET " + column + "='x'", "DELETE FROM " + table, "REPLACE INTO " + table + " SELECT * FROM " + table} {
			if _, err := db.write.Exec(query); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: got %v, want a refusal", query, err)
			}
		}
	}
}

func TestASecondStartFindsEverythingAndANewerDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, Options{})
	if err := db.PutSite(t.Context(), store.Site{Name: "ulm", Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Error("a clean end leaves a write-ahead log behind")
	}
	db = open(t, path, Options{})
	if _, err := db.Site(t.Context(), "ulm"); err != nil {
		t.Error(err)
	}
	if _, err := db.write.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := Open(t.Context(), path, Options{}); err == nil || errkind.KindOf(err) != errkind.Unavailable || !strings.Contains(err.Error(), "9999") {
		t.Errorf("got %v, want a refusal that names the version", err)
	}
}

func TestWhatCannotBeADatabaseSaysSo(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	os.WriteFile(garbage, []byte(strings.Repeat("this is no database ", 400)), 0o600)
	for what, path := range map[string]string{"no directory": filepath.Join(dir, "none", "db"), "garbage": garbage, "a directory": dir} {
		db, err := Open(t.Context(), path, Options{})
		if err == nil {
			db.Close()
		}
		if err == nil || errkind.KindOf(err) != errkind.Unavailable {
			t.Errorf("%s: got %v, want a text for people", what, err)
		}
	}
}

func TestACrashLosesNothingThatWasStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := open(t, path, Options{})
	if err := db.PutSite(t.Context(), store.Site{Name: "ulm", Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	var level int
	if err := db.write.QueryRow("PRAGMA synchronous").Scan(&level); err != nil || level != 2 {
		t.Errorf("got synchronous %d, %v; want 2, FULL", level, err)
	}
	after := filepath.Join(t.TempDir(), "db") // the files as a crash leaves them: nobody has closed anything
	for _, tail := range []string{"", "-wal"} {
		raw, err := os.ReadFile(path + tail)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(after+tail, raw, 0o600)
	}
	if _, err := open(t, after, Options{}).Site(t.Context(), "ulm"); err != nil {
		t.Error(err)
	}
}
