package sqlite

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/ledger"
)

const toMigrate = "SALLYPORT_TEST_MIGRATE"

// TestMigrateInAProcessOfItsOwn is the process that the next test kills.
func TestMigrateInAProcessOfItsOwn(t *testing.T) {
	if path := os.Getenv(toMigrate); path != "" {
		open(t, path, Options{})
	}
}

// A migration that kill -9 ends at any moment leaves the old tables or the new ones, and each row once.
func TestAMigrationThatIsKilledIsDoneAtTheNextStart(t *testing.T) {
	const rows = 10_000
	path, sid, at := filepath.Join(t.TempDir(), "db"), id.NewSession(), time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	old := earlier(t, path, 2)
	err := old.AddDecided(t.Context(), store.Session{ID: sid, Device: "d-1", Asked: at, State: store.Closed},
		store.Decision{At: at, Session: sid})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ledger.OpenBody{Session: sid, GatewayPub: make([]byte, 32),
		RetainUntil: at.Add(400 * 24 * time.Hour).Unix()}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	_, err = old.write.Exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i+1<?1)
		INSERT INTO parts (session, part, file, h0, open_leaf, open_nonce, open_body, pass, slot_rk, slot_sk,
			close_leaf, close_nonce, close_body, h_final, seq, bytes, started, ended, state)
		SELECT ?2, i, 'x.srec', zeroblob(32), i, x'01', ?3, zeroblob(565), zeroblob(32), zeroblob(32),
			i, x'04', x'05', zeroblob(32), 9, 1000, ?4, ?4, 'complete' FROM n`,
		rows, sid.String(), leaf, at.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	if err := old.write.Close(); err != nil {
		t.Fatal(err)
	}
	killed := 0
	for wait := 10 * time.Millisecond; wait < 5*time.Second; wait *= 2 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMigrateInAProcessOfItsOwn$")
		cmd.Env = append(os.Environ(), toMigrate+"="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := time.AfterFunc(wait, func() { cmd.Process.Kill() })
		err := cmd.Wait()
		if ended.Stop(); err == nil {
			break // it was faster, this time
		}
		killed++
	}
	t.Logf("killed %d times", killed)
	for range 2 { // the second start finds nothing to do
		db := open(t, path, Options{})
		got, err := db.Retained(t.Context(), at)
		if err != nil || len(got) != 1 || got[0].Recordings != rows || got[0].Bytes != rows*1000 ||
			got[0].Month != "2027-06" || got[0].Due != 0 {
			t.Errorf("got %+v %v, want %d recordings that are kept until 2027-06", got, err, rows)
		}
		var whole string
		if err := db.read.QueryRow("PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
			t.Errorf("got %q %v, want ok", whole, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
