package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/sallyport/sallyport/internal/store"
)

const requestColumns = "issuer, sub, name, device, device_fp, site, rule, actions, seconds, reason, ticket, addr, via_token, state, " +
	"asked, expires, approvals, decided, decided_by, answer, granted_from, granted_until, ended, " +
	"emergency, review_by, reviewed, reviewer, review, reminded, id"

func scanRequest(r scanner, q *store.Request) error {
	var seconds int64
	err := r.Scan(&q.Who.Issuer, &q.Who.Subject, &q.Name, &q.Device, fixed(q.DeviceFP[:]), &q.Site, &q.Rule, asJSON(&q.Actions), &seconds,
		&q.Reason, &q.Ticket, &q.Address, &q.ViaToken, &q.State, at(&q.Asked), at(&q.Expires), asJSON(&q.Approvals), at(&q.Decided), &q.By,
		&q.Answer, at(&q.From), at(&q.Until), at(&q.Ended), &q.Emergency, at(&q.ReviewBy),
		at(&q.Reviewed), &q.Reviewer, &q.Review, at(&q.Reminded), &q.ID)
	q.For = time.Duration(seconds) * time.Second
	return err
}

func requestArgs(q *store.Request) []any {
	return []any{q.Who.Issuer, q.Who.Subject, q.Name, string(q.Device), q.DeviceFP[:], q.Site, q.Rule, asJSON(q.Actions), int64(q.For / time.Second),
		q.Reason, q.Ticket, q.Address, q.ViaToken, q.State, micros(q.Asked), micros(q.Expires), asJSON(q.Approvals), micros(q.Decided), q.By,
		q.Answer, micros(q.From), micros(q.Until), micros(q.Ended), q.Emergency, micros(q.ReviewBy),
		micros(q.Reviewed), q.Reviewer, q.Review, micros(q.Reminded), q.ID}
}

// AddRequest stores a new one, with the notifications about it. fits is called in the same transaction with how many are
// pending of the person and for the device, and its error leaves everything untouched.
func (db *DB) AddRequest(ctx context.Context, q store.Request, fits func(ofPerson, forDevice int) error, notifications ...store.Notification) error {
	return db.tx(ctx, "store request", func(tx *sql.Tx) error {
		var person, device int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE issuer=? AND sub=?), count(*) FILTER (WHERE device=?)
			FROM requests WHERE state='pending'`, q.Who.Issuer, q.Who.Subject, string(q.Device)).Scan(&person, &device)
		if err != nil {
			return err
		}
		if err := fits(person, device); err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, insert("requests", requestColumns), requestArgs(&q)...); err != nil {
			return err
		}
		return addNotifications(ctx, tx, notifications)
	})
}

// Request reads one.
func (db *DB) Request(ctx context.Context, request string) (store.Request, error) {
	return one(ctx, db.read, "request", request, scanRequest, "SELECT "+requestColumns+" FROM requests WHERE id=?", request)
}

// ChangeRequest changes one in a transaction. notifications makes the notifications about the changed request, which are stored in
// the same transaction.
func (db *DB) ChangeRequest(ctx context.Context, request string, change func(*store.Request) error,
	notifications ...func(store.Request) []store.Notification) (out store.Request, err error) {
	err = db.tx(ctx, "change request", func(tx *sql.Tx) error {
		out, err = one(ctx, tx, "request", request, scanRequest, "SELECT "+requestColumns+" FROM requests WHERE id=?", request)
		if err != nil {
			return err
		}
		if err := change(&out); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, update("requests", requestColumns, "id=?"), append(requestArgs(&out), request)...); err != nil {
			return err
		}
		for _, about := range notifications {
			if err := addNotifications(ctx, tx, about(out)); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Requests lists, and counts what the filter admits.
func (db *DB) Requests(ctx context.Context, f store.RequestFilter) ([]store.Request, int, error) {
	ids, args := requestIDs(f)
	var n int
	if err := db.read.QueryRowContext(ctx, requestsTotal(ids), args...).Scan(&n); err != nil {
		return nil, 0, failed("count requests", err)
	}
	size, from := f.Page.Window()
	out, err := list(ctx, db.read, "list requests", scanRequest, requestsPage(ids), append(args, size, from)...)
	return out, n, err
}

// DueRequests lists those that are pending and have expired by now, oldest first.
func (db *DB) DueRequests(ctx context.Context, now time.Time) ([]store.Request, error) {
	return list(ctx, db.read, "list expired requests", scanRequest,
		"SELECT "+requestColumns+" FROM requests WHERE state='pending' AND expires<=? ORDER BY asked LIMIT 1000", now.UnixMicro())
}

// LateReviews lists the emergency grants whose review is overdue at now and whose reviewers were not told yet.
func (db *DB) LateReviews(ctx context.Context, now time.Time) ([]store.Request, error) {
	return list(ctx, db.read, "list late reviews", scanRequest, "SELECT "+requestColumns+
		" FROM requests WHERE review_by<=? AND reviewed IS NULL AND reminded IS NULL ORDER BY review_by LIMIT 1000", now.UnixMicro())
}
