package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const partColumns = `h0, open_leaf, pass, asker, close_leaf, h_final, seq, bytes, started, ended, retain_until, state`

const selectPart = "SELECT " + partColumns + ", session, part FROM parts"

func scanPart(r scanner, p *store.Part) error {
	return r.Scan(fixed(p.H0[:]), &p.OpenLeaf, &p.Pass, &p.Asker, &p.CloseLeaf, fixed(p.HFinal[:]), &p.Seq, &p.Bytes,
		at(&p.Started), at(&p.Ended), at(&p.Retain), &p.State,
		sessionColumn{&p.Session}, &p.Part)
}

func partArgs(p store.Part) []any {
	return []any{p.H0[:], p.OpenLeaf, p.Pass, p.Asker, p.CloseLeaf, p.HFinal[:], p.Seq, p.Bytes, micros(p.Started),
		micros(p.Ended), micros(p.Retain), p.State,
		p.Session.String(), p.Part}
}

// AddPart stores the beginning of a recording.
func (db *DB) AddPart(ctx context.Context, p store.Part) error {
	_, err := db.exec(ctx, "store part", insert("parts", partColumns+", session, part"), partArgs(p)...)
	return err
}

// Part reads one; parts count from 0.
func (db *DB) Part(ctx context.Context, sid id.Session, n uint32) (store.Part, error) {
	return part(ctx, db.read, sid, n)
}

func part(ctx context.Context, q querier, sid id.Session, n uint32) (store.Part, error) {
	return one(ctx, q, "part", fmt.Sprintf("%s.%d", sid, n), scanPart, selectPart+" WHERE session=? AND part=?", sid.String(), n)
}

// Parts lists a session's, in their own order: first part first.
func (db *DB) Parts(ctx context.Context, sid id.Session) ([]store.Part, error) {
	return list(ctx, db.read, "list parts", scanPart, selectPart+" WHERE session=? ORDER BY part", sid.String())
}

// ChangePart lets change edit the row in one transaction. Session and Part stay as they are.
func (db *DB) ChangePart(ctx context.Context, sid id.Session, n uint32, change func(*store.Part) error) (store.Part, error) {
	var p store.Part
	err := db.tx(ctx, "change part", func(tx *sql.Tx) (err error) {
		if p, err = part(ctx, tx, sid, n); err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		p.Session, p.Part = sid, n
		return putPart(ctx, tx, p)
	})
	if err != nil {
		return store.Part{}, err
	}
	return p, nil
}

func putPart(ctx context.Context, tx *sql.Tx, p store.Part) error {
	_, err := tx.ExecContext(ctx, update("parts", partColumns, "session=? AND part=?"), partArgs(p)...)
	return err
}

// UnclosedParts gives the parts without a close leaf: after a crash, those to announce as interrupted.
func (db *DB) UnclosedParts(ctx context.Context) ([]store.Part, error) {
	return list(ctx, db.read, "list unclosed parts", scanPart, selectPart+" WHERE close_leaf IS NULL ORDER BY session, part")
}
