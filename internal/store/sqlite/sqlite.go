// Package sqlite keeps the gateway's rows in one SQLite file.
//
// # Two handles
//
// SQLite has one writer at a time. Instead of letting goroutines collide and retry inside the database,
// all writes go through a handle with exactly one connection: they queue in Go, where waiting obeys the
// context. Reads have their own pool, opened query_only, and in WAL mode never wait for the writer.
//
// # What survives
//
// synchronous=FULL: with WAL the default of many drivers, NORMAL, loses the last commits at a power cut,
// and "revoked" is a commit that must not be lost. Transactions begin immediate, because a deferred one
// that starts by reading fails with SQLITE_BUSY at its first write, whatever busy_timeout says.
//
// # Who may read the file
//
// It holds who visited whom, and tokens of providers, which are sealed under a key that is not here. What is deleted is
// overwritten (secure_delete). The file is made 0600 before SQLite opens it; the -wal and
// -shm files take over its mode.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver registers itself
	"github.com/pressly/goose/v3"

	"github.com/sallyport/sallyport/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readerCache limits the pages that one reader keeps, in SQLite's notation: -256 is 256 KiB. With SQLite's default
// of 2 MB, eight readers can hold 16 MB of a large database. A larger cache gains nothing here: a reader drops its
// pages whenever the writer has committed, and the kernel's page cache has them.
const readerCache = "-256"

// DB is an open database.
type DB struct {
	write *sql.DB // one connection
	read  *sql.DB
	busy  time.Duration // how long to wait for another process's lock

	unerased atomic.Bool // the write-ahead log may have sign-ins that ended
}

// Options tune Open; zero values are right for serving.
type Options struct {
	BusyTimeout time.Duration // how long to wait for another process's lock; default 5 s
	Readers     int           // connections that read; default 8
}

// Open opens or makes the database at path and brings its tables up to date.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if o.BusyTimeout <= 0 {
		o.BusyTimeout = 5 * time.Second
	}
	if o.Readers <= 0 {
		o.Readers = 8
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := private(path); err != nil {
		return nil, err
	}
	db := &DB{busy: o.BusyTimeout}
	if db.write, err = handle(path, o.BusyTimeout, url.Values{"_txlock": {"immediate"}}); err != nil {
		return nil, err
	}
	db.write.SetMaxOpenConns(1)
	reading := url.Values{"_query_only": {"true"}, "_cache_size": {readerCache}}
	if db.read, err = handle(path, o.BusyTimeout, reading); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	db.read.SetMaxOpenConns(o.Readers)
	db.read.SetMaxIdleConns(o.Readers)
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	db.erased(ctx, 1) // what a migration or a crash left in the write-ahead log
	return db, nil
}

// private makes the file with 0600 or takes group's and others' rights away.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return store.Broken("the database "+path+" cannot be opened", "Check that the directory exists and belongs to the gateway's user.", err)
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return store.Broken("the database "+path+" cannot be made private (0600)", "It must belong to the gateway's user.", err)
	}
	return nil
}

func handle(path string, busy time.Duration, more url.Values) (*sql.DB, error) {
	more.Set("_journal_mode", "WAL")
	more.Set("_synchronous", "FULL")
	more.Set("_foreign_keys", "on")
	more.Set("_secure_delete", "on")      // tokens of providers are gone from the file when their sign-in ends
	more.Set("_recursive_triggers", "on") // or REPLACE deletes rows past the triggers that keep evidence append-only
	more.Set("_stmt_cache_size", "64")    // for each connection: to read a device again costs less than to prepare the statement
	more.Set("_busy_timeout", strconv.FormatInt(busy.Milliseconds(), 10))
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: more.Encode()}).String()
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return db, nil
}

func (db *DB) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.write, dir)
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return failed("migrate database", err)
	}
	if have > want {
		return store.Broken(fmt.Sprintf("the database has version %d, this program knows %d", have, want),
			"A later release wrote it. Start that release, or restore the database's backup from before the upgrade.", nil)
	}
	if _, err := p.Up(ctx); err != nil {
		return failed("migrate database", err)
	}
	return nil
}

// Ping reports whether the database answers and would accept a write.
func (db *DB) Ping(ctx context.Context) error {
	return db.tx(ctx, "ping database", func(*sql.Tx) error { return nil })
}

// Backup writes a consistent copy to path, which must not exist.
func (db *DB) Backup(ctx context.Context, path string) error {
	if _, err := db.write.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return failed("back up database", err)
	}
	return os.Chmod(path, 0o600)
}

// Close closes both handles. The last one checkpoints the WAL into the file.
func (db *DB) Close() error {
	var errs []error
	for _, h := range []*sql.DB{db.read, db.write} {
		if h != nil {
			errs = append(errs, h.Close())
		}
	}
	return errors.Join(errs...)
}

// tx runs fn in one immediate transaction.
func (db *DB) tx(ctx context.Context, doing string, fn func(*sql.Tx) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return failed(doing, err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(failed(doing, err), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return failed(doing, err)
	}
	return nil
}

func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// exec runs one writing statement and gives the number of rows it touched.
func (db *DB) exec(ctx context.Context, doing, query string, args ...any) (int64, error) {
	res, err := db.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, failed(doing, err)
	}
	return res.RowsAffected()
}
