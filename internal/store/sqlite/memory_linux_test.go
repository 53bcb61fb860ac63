package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// With SQLite's default cache the eight readers keep 16 MB here.
func TestReadersKeepLittleOfALargeDatabase(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), Options{})
	const fill = `CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 12000)
		SELECT i, hex(randomblob(500)) AS text FROM n`
	if _, err := db.write.Exec(fill); err != nil {
		t.Fatal(err)
	}
	readers := everyReader(t, db)
	before := anonymousMemory(t)
	for _, r := range readers {
		var n int
		row := r.QueryRowContext(t.Context(), "SELECT sum(length(text)) FROM filler")
		if err := row.Scan(&n); err != nil || n != 12_000_000 {
			t.Fatalf("got %d characters, %v", n, err)
		}
	}
	if kept := anonymousMemory(t) - before; kept > 8<<20 {
		t.Errorf("%d readers of 12 MB keep %.1f MB, want 2 MB", len(readers), float64(kept)/1e6)
	}
}

// everyReader takes all connections of the pool at once, so that each query runs on another one.
func everyReader(t *testing.T, db *DB) (all []*sql.Conn) {
	t.Helper()
	for range db.read.Stats().MaxOpenConnections {
		c, err := db.read.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// anonymousMemory returns the resident bytes of this process that no file backs, after Go has returned its free memory.
func anonymousMemory(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var kB int
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &kB); err == nil {
			return kB << 10
		}
	}
	t.Fatal("the kernel does not report RssAnon")
	return 0
}
