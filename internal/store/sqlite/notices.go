package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport/sallyport/internal/store"
)

const noticeColumns = "kind, request, device, channel, recipient, event, state, created, give_up, next_try, done, attempts, last_error, id"

func scanNotice(r scanner, n *store.Notice) error {
	return r.Scan(&n.Kind, &n.Request, &n.Device, &n.Channel, &n.To, &n.Event, &n.State, at(&n.Created), at(&n.GiveUp), at(&n.NextTry),
		at(&n.Done), &n.Attempts, &n.Error, &n.ID)
}

func noticeArgs(n *store.Notice) []any {
	return []any{n.Kind, n.Request, string(n.Device), n.Channel, n.To, bytesOf(n.Event), n.State, micros(n.Created), micros(n.GiveUp), micros(n.NextTry),
		micros(n.Done), n.Attempts, n.Error, n.ID}
}

func addNotices(ctx context.Context, q querier, all []store.Notice) error {
	for i := range all {
		if _, err := q.ExecContext(ctx, insert("notices", noticeColumns), noticeArgs(&all[i])...); err != nil {
			return err
		}
	}
	return nil
}

// AddNotices stores new notices, all or none.
func (db *DB) AddNotices(ctx context.Context, all ...store.Notice) error {
	return db.tx(ctx, "store notices", func(tx *sql.Tx) error { return addNotices(ctx, tx, all) })
}

// DueNotices lists pending notices of a channel whose next attempt is due at now, those that wait longest first, at most
// most.
func (db *DB) DueNotices(ctx context.Context, channel string, now time.Time, most int) ([]store.Notice, error) {
	return list(ctx, db.read, "list due notices", scanNotice, "SELECT "+noticeColumns+
		" FROM notices WHERE state='pending' AND channel=? AND next_try<=? ORDER BY next_try, id LIMIT ?", channel, now.UnixMicro(), limit(most))
}

// DueChannels lists the channels that have due notices at now.
func (db *DB) DueChannels(ctx context.Context, now time.Time) ([]string, error) {
	return list(ctx, db.read, "list due notices", func(r scanner, c *string) error { return r.Scan(c) },
		"SELECT DISTINCT channel FROM notices WHERE state='pending' AND next_try<=? ORDER BY channel", now.UnixMicro())
}

// ChangeNotice changes one in a transaction. It returns the notice as it is then.
func (db *DB) ChangeNotice(ctx context.Context, notice string, change func(*store.Notice) error) (out store.Notice, err error) {
	err = db.tx(ctx, "change notice", func(tx *sql.Tx) error {
		out, err = one(ctx, tx, "notice", notice, scanNotice, "SELECT "+noticeColumns+" FROM notices WHERE id=?", notice)
		if err != nil {
			return err
		}
		if err := change(&out); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, update("notices", noticeColumns, "id=?"), append(noticeArgs(&out), notice)...)
		return err
	})
	return out, err
}

// Notices lists, newest first, and counts what the filter admits.
func (db *DB) Notices(ctx context.Context, f store.NoticeFilter) ([]store.Notice, int, error) {
	w := &where{}
	if f.States != nil {
		in(w, "state", f.States)
	}
	if f.ID != "" {
		w.add(`id LIKE ? ESCAPE '\'`, literal(f.ID)+"%")
	}
	n, err := count(ctx, db.read, "notices", w)
	if err != nil {
		return nil, 0, err
	}
	size, from := f.Page.Window()
	out, err := list(ctx, db.read, "list notices", scanNotice,
		"SELECT "+noticeColumns+" FROM notices"+w.String()+" ORDER BY created DESC, id LIMIT ? OFFSET ?", append(w.args, size, from)...)
	return out, n, err
}

// CountNotices counts the notices in a state.
func (db *DB) CountNotices(ctx context.Context, state string) (int, error) {
	w := &where{}
	w.add("state=?", state)
	return count(ctx, db.read, "notices", w)
}

// PruneNotices deletes sent notices created before sent, and dead letters created before dead. It returns how many.
func (db *DB) PruneNotices(ctx context.Context, sent, dead time.Time) (int64, error) {
	return db.exec(ctx, "prune notices", "DELETE FROM notices WHERE state='sent' AND created<? OR state='dead' AND created<?",
		sent.UnixMicro(), dead.UnixMicro())
}
