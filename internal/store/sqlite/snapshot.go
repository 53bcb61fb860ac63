package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Snapshot writes a consistent copy of the database at from to the new file to, and runs SQLite's integrity check on
// the copy. A gateway may be running on from. Sign-ins are left out: restored, they would undo every sign-out since,
// and they hold tokens of the provider.
func Snapshot(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return fmt.Errorf("snapshot of the database: %w", err)
	}
	db, err := plainHandle(from, "ro")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := private(to); err != nil { // so that the copy is never readable by others; VACUUM INTO takes an empty file
		return err
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return failed("snapshot of the database", err)
	}
	return scrub(ctx, to)
}

func plainHandle(path, mode string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"mode": {mode},
		"_busy_timeout": {"30000"}}.Encode()}).String()
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func scrub(ctx context.Context, path string) error {
	db, err := plainHandle(path, "rw")
	if err != nil {
		return err
	}
	defer db.Close()
	for _, s := range []string{"PRAGMA journal_mode=DELETE", "PRAGMA secure_delete=ON", "DELETE FROM web_sessions"} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return failed("leave sign-ins out of the snapshot", err)
		}
	}
	return integrity(ctx, db)
}

// CheckFile runs SQLite's integrity check on the database at path, which no process may have open. It returns nil if
// the database is sound.
func CheckFile(ctx context.Context, path string) error {
	db, err := plainHandle(path, "ro")
	if err != nil {
		return err
	}
	defer db.Close()
	return integrity(ctx, db)
}

func integrity(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check")
	if err != nil {
		return failed("check the database", err)
	}
	defer rows.Close()
	var said []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return failed("check the database", err)
		}
		said = append(said, line)
	}
	if err := rows.Err(); err != nil {
		return failed("check the database", err)
	}
	if len(said) != 1 || said[0] != "ok" {
		return fmt.Errorf("the database is damaged: %s", strings.Join(said, "; "))
	}
	return nil
}

// NewestLeaf gives one more than the highest index of a log entry in the database at path; 0: it has none.
func NewestLeaf(ctx context.Context, path string) (uint64, error) {
	db, err := plainHandle(path, "ro")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var n uint64
	const query = `SELECT max((SELECT coalesce(max(leaf)+1,0) FROM audit),
		(SELECT coalesce(max(open_leaf)+1,0) FROM parts), (SELECT coalesce(max(close_leaf)+1,0) FROM parts))`
	if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
		return 0, failed("newest entry of the log in the database", err)
	}
	return n, nil
}
