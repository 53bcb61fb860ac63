package sqlite

import (
	"context"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const passColumns = `session, part, n, leaf, pass`

// AddPass stores a further pass of a part. One of the same number is a conflict.
func (db *DB) AddPass(ctx context.Context, p store.Pass) error {
	_, err := db.exec(ctx, "store pass", insert("passes", passColumns), p.Session.String(), p.Part, p.N, p.Leaf, p.Pass)
	return err
}

// Passes lists the further passes of a part by their numbers.
func (db *DB) Passes(ctx context.Context, sid id.Session, part uint32) ([]store.Pass, error) {
	return list(ctx, db.read, "list passes", func(r scanner, p *store.Pass) error {
		return r.Scan(sessionColumn{&p.Session}, &p.Part, &p.N, &p.Leaf, &p.Pass)
	}, "SELECT "+passColumns+" FROM passes WHERE session=? AND part=? ORDER BY n", sid.String(), part)
}
