package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/sallyport/sallyport/internal/store"
)

// querier is a handle or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// scanner is a row, single or of several.
type scanner interface{ Scan(dest ...any) error }

// list reads all rows of a query.
func list[T any](ctx context.Context, q querier, doing string, scan func(scanner, *T) error, query string, args ...any) (out []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed(doing, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, failed(doing, err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(doing, err)
	}
	return out, nil
}

// one reads a single row; what and name are for the refusal when there is none.
func one[T any](ctx context.Context, q querier, what, name string, scan func(scanner, *T) error, query string, args ...any) (T, error) {
	var v T
	err := scan(q.QueryRowContext(ctx, query, args...), &v)
	if errors.Is(err, sql.ErrNoRows) {
		return v, store.NotFound(what, name)
	}
	if err != nil {
		return v, failed("read "+what, err)
	}
	return v, nil
}

func count(ctx context.Context, q querier, table string, w *where) (int, error) {
	var n int
	err := q.QueryRowContext(ctx, "SELECT count(*) FROM "+table+w.String(), w.args...).Scan(&n)
	if err != nil {
		return 0, failed("count "+table, err)
	}
	return n, nil
}

// touched turns "no row was changed" into a refusal.
func touched(n int64, err error, what, name string) error {
	if err == nil && n == 0 {
		return store.NotFound(what, name)
	}
	return err
}

// marks gives n placeholders.
func marks(n int) string { return "(?" + strings.Repeat(",?", n-1) + ")" }

// insert and update share a column list and an argument list whose last entries are the key's.
func insert(table, columns string) string {
	return "INSERT INTO " + table + " (" + columns + ") VALUES " + marks(strings.Count(columns, ",")+1)
}

func update(table, columns, key string) string {
	return "UPDATE " + table + " SET (" + columns + ") = " + marks(strings.Count(columns, ",")+1) + " WHERE " + key
}
