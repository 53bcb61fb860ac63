package sqlite

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/internal/store"
)

// The class of a part follows from its row, which may lack what the log has: see store.Retained.
const selectRetained = `SELECT
	CASE WHEN open_leaf IS NULL THEN 'unannounced' WHEN close_leaf IS NULL THEN 'running' ELSE 'routine' END,
	coalesce(strftime('%Y-%m', retain_until/1000000, 'unixepoch'), ''), count(*), sum(bytes), min(started), min(retain_until),
	coalesce(sum(retain_until<=?1 AND close_leaf IS NOT NULL), 0),
	coalesce(sum(CASE WHEN retain_until<=?1 AND close_leaf IS NOT NULL THEN bytes ELSE 0 END), 0)
	FROM parts GROUP BY 1, 2 ORDER BY 2, 1`

// Retained sums up the recordings by class and by the month in which their retention time ends, the earliest month
// first. A recording is due if its retention time has ended at now.
func (db *DB) Retained(ctx context.Context, now time.Time) ([]store.Retained, error) {
	scan := func(r scanner, g *store.Retained) error {
		return r.Scan(&g.Class, &g.Month, &g.Recordings, &g.Bytes, at(&g.Oldest), at(&g.First), &g.Due, &g.DueBytes)
	}
	return list(ctx, db.read, "sum up recordings", scan, selectRetained, now.UnixMicro())
}
