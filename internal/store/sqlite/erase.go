package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// erase moves the end of a sign-in from the write-ahead log into the file and empties the log. Deleted bytes are
// overwritten in the file (secure_delete), but the log keeps earlier pages until it is used again. It waits for no
// reader: a pass of the log that a reader holds back is made up for by the next call.
func (db *DB) erase(ctx context.Context) (err error) {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return failed("erase sign-ins", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout=0"); err != nil {
		return failed("erase sign-ins", err)
	}
	restore := fmt.Sprintf("PRAGMA busy_timeout=%d", db.busy.Milliseconds())
	defer func() {
		_, e := conn.ExecContext(context.WithoutCancel(ctx), restore)
		err = errors.Join(err, e)
	}()
	var held, pages, moved sql.NullInt64
	if err := conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&held, &pages, &moved); err != nil {
		return failed("erase sign-ins", err)
	}
	db.unerased.Store(held.Int64 != 0)
	return nil
}

// erased is called after sign-ins were deleted. The sign-ins have ended already, so the caller is told of no error: the
// next sweep tries again.
func (db *DB) erased(ctx context.Context, n int) {
	if n > 0 || db.unerased.Load() {
		if db.erase(context.WithoutCancel(ctx)) != nil {
			db.unerased.Store(true)
		}
	}
}
