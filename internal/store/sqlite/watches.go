package sqlite

import (
	"context"
	"database/sql"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

func scanWatch(r scanner, w *store.OnlineWatch) error {
	return r.Scan(fixed(w.FP[:]), &w.Who.Issuer, &w.Who.Subject, at(&w.Created))
}

const watchColumns = "fp, issuer, subject, created"

// AddOnlineWatch stores a watch if fits accepts the number that the person has of other devices. A watch that is there stays
// as it is.
func (db *DB) AddOnlineWatch(ctx context.Context, w store.OnlineWatch, fits func(others int) error) error {
	return db.tx(ctx, "store watch", func(tx *sql.Tx) error {
		var n int
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM online_watches WHERE issuer=? AND subject=? AND fp<>?", w.Who.Issuer, w.Who.Subject, w.FP[:]).Scan(&n)
		if err == nil {
			err = fits(n)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT OR IGNORE INTO online_watches ("+watchColumns+") VALUES (?,?,?,?)", w.FP[:], w.Who.Issuer, w.Who.Subject, micros(w.Created))
		return err
	})
}

// DropOnlineWatch removes a watch. One that is not there is no error.
func (db *DB) DropOnlineWatch(ctx context.Context, fp [32]byte, who id.Principal) error {
	_, err := db.exec(ctx, "remove watch", "DELETE FROM online_watches WHERE fp=? AND issuer=? AND subject=?", fp[:], who.Issuer, who.Subject)
	return err
}

// OnlineWatchesOf lists the watches of a person.
func (db *DB) OnlineWatchesOf(ctx context.Context, who id.Principal) ([]store.OnlineWatch, error) {
	return list(ctx, db.read, "list watches", scanWatch, "SELECT "+watchColumns+" FROM online_watches WHERE issuer=? AND subject=? ORDER BY fp", who.Issuer, who.Subject)
}

// OnlineWatches lists the watches of a device.
func (db *DB) OnlineWatches(ctx context.Context, fp [32]byte) ([]store.OnlineWatch, error) {
	return list(ctx, db.read, "list watches", scanWatch, "SELECT "+watchColumns+" FROM online_watches WHERE fp=? ORDER BY issuer, subject", fp[:])
}

// TakeOnlineWatches removes all watches of a device, and stores the notifications about it, in one transaction.
func (db *DB) TakeOnlineWatches(ctx context.Context, fp [32]byte, notifications ...store.Notification) error {
	return db.tx(ctx, "take watches", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM online_watches WHERE fp=?", fp[:]); err != nil {
			return err
		}
		return addNotifications(ctx, tx, notifications)
	})
}
