package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport/sallyport/internal/store"
)

const notificationColumns = "kind, request, device, channel, recipient, event, state, created, give_up, next_try, done, attempts, last_error, id"

func scanNotification(r scanner, n *store.Notification) error {
	return r.Scan(&n.Kind, &n.Request, &n.Device, &n.Channel, &n.To, &n.Event, &n.State, at(&n.Created), at(&n.GiveUp), at(&n.NextTry),
		at(&n.Done), &n.Attempts, &n.Error, &n.ID)
}

func notificationArgs(n *store.Notification) []any {
	return []any{n.Kind, n.Request, string(n.Device), n.Channel, n.To, bytesOf(n.Event), n.State, micros(n.Created), micros(n.GiveUp), micros(n.NextTry),
		micros(n.Done), n.Attempts, n.Error, n.ID}
}

func addNotifications(ctx context.Context, q querier, all []store.Notification) error {
	for i := range all {
		if _, err := q.ExecContext(ctx, insert("notifications", notificationColumns), notificationArgs(&all[i])...); err != nil {
			return err
		}
	}
	return nil
}

// AddNotifications stores new notifications, all or none.
func (db *DB) AddNotifications(ctx context.Context, all ...store.Notification) error {
	return db.tx(ctx, "store notifications", func(tx *sql.Tx) error { return addNotifications(ctx, tx, all) })
}

// DueNotifications lists pending notifications of a channel whose next attempt is due at now, those that wait longest first, at most
// most.
func (db *DB) DueNotifications(ctx context.Context, channel string, now time.Time, most int) ([]store.Notification, error) {
	return list(ctx, db.read, "list due notifications", scanNotification, "SELECT "+notificationColumns+
		" FROM notifications WHERE state='pending' AND channel=? AND next_try<=? ORDER BY next_try, id LIMIT ?", channel, now.UnixMicro(), limit(most))
}

// DueChannels lists the channels that have due notifications at now.
func (db *DB) DueChannels(ctx context.Context, now time.Time) ([]string, error) {
	return list(ctx, db.read, "list due notifications", func(r scanner, c *string) error { return r.Scan(c) },
		"SELECT DISTINCT channel FROM notifications WHERE state='pending' AND next_try<=? ORDER BY channel", now.UnixMicro())
}

// ChangeNotification changes one in a transaction. It returns the notification as it is then.
func (db *DB) ChangeNotification(ctx context.Context, notification string, change func(*store.Notification) error) (out store.Notification, err error) {
	err = db.tx(ctx, "change notification", func(tx *sql.Tx) error {
		out, err = one(ctx, tx, "notification", notification, scanNotification, "SELECT "+notificationColumns+" FROM notifications WHERE id=?", notification)
		if err != nil {
			return err
		}
		if err := change(&out); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, update("notifications", notificationColumns, "id=?"), append(notificationArgs(&out), notification)...)
		return err
	})
	return out, err
}

// Notifications lists, newest first, and counts what the filter admits.
func (db *DB) Notifications(ctx context.Context, f store.NotificationFilter) ([]store.Notification, int, error) {
	w := &where{}
	if f.States != nil {
		in(w, "state", f.States)
	}
	if f.ID != "" {
		w.add(`id LIKE ? ESCAPE '\'`, literal(f.ID)+"%")
	}
	n, err := count(ctx, db.read, "notifications", w)
	if err != nil {
		return nil, 0, err
	}
	size, from := f.Page.Window()
	out, err := list(ctx, db.read, "list notifications", scanNotification,
		"SELECT "+notificationColumns+" FROM notifications"+w.String()+" ORDER BY created DESC, id LIMIT ? OFFSET ?", append(w.args, size, from)...)
	return out, n, err
}

// CountNotifications counts the notifications in a state.
func (db *DB) CountNotifications(ctx context.Context, state string) (int, error) {
	w := &where{}
	w.add("state=?", state)
	return count(ctx, db.read, "notifications", w)
}

// PruneNotifications deletes sent notifications created before sent, and dead letters created before dead. It returns how many.
func (db *DB) PruneNotifications(ctx context.Context, sent, dead time.Time) (int64, error) {
	return db.exec(ctx, "prune notifications", "DELETE FROM notifications WHERE state='sent' AND created<? OR state='dead' AND created<?",
		sent.UnixMicro(), dead.UnixMicro())
}
