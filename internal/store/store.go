// Package store holds the rows that the gateway keeps: who signed in, which devices exist, what was
// decided, which sessions there were. It is plain structs and filters; package sqlite keeps them.
//
// # What is here and what is not
//
// The rows are for finding things and for showing them. They are not the evidence: that is the log
// (recorder/ledger) and the recordings, which a taken database cannot change. A row that contradicts the
// log is wrong. Decisions and audit events are append-only in the database too, so that a slip in our own
// code cannot rewrite them quietly.
//
// # Who knows whom
//
// A package that needs rows says so itself, as a small interface beside its use (a few methods, these
// structs). There is no interface of everything except in storetest, which checks all of it.
//
// # Rules that hold for every method
//
// Lists are newest first. Times are kept to the microsecond, in UTC; a zero time means never. A row that
// is not there is ErrNotFound, a row in the way is ErrConflict, and a database that another process keeps
// locked is ErrBusy; all three carry an errkind, so their texts may be shown to people. A method that takes
// a function runs it inside one write transaction: the function sees the row as it is, and what it returns
// as an error leaves everything untouched. It must not call the store again, because there is one writer.
package store

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/internal/errkind"
)

// What callers branch on. Errors that a store returns wrap one of these where it applies.
var (
	ErrNotFound = errors.New("not in the database")
	ErrConflict = errors.New("in the way of another row")
	ErrBusy     = errors.New("the database is locked")
)

// NotFound says that what is named is not there.
func NotFound(what, name string) error {
	return errkind.New(errkind.NotFound, fmt.Sprintf("there is no %s %s", what, name)).Because(ErrNotFound)
}

// Conflict says that something is in the way.
func Conflict(text string) error {
	return errkind.New(errkind.Conflict, text).Because(ErrConflict)
}

// Busy says that the database stayed locked for as long as one may wait.
func Busy(cause error) error {
	return errkind.New(errkind.Unavailable, "the database is locked by another process, so nothing was stored").
		WithHint("Look for a backup or a second gateway that holds it; then try again.").
		Because(errors.Join(ErrBusy, cause))
}

// Broken says that the database cannot write or read at all.
func Broken(text, hint string, cause error) error {
	return errkind.New(errkind.Unavailable, text).WithHint(hint).Because(cause)
}

// MaxPage bounds what one listing returns.
const MaxPage = 500

// MaxListed bounds the bytes of a command in a row of a listing: of the longest there may be, 500 would be 16 MiB.
const MaxListed = 1 << 10

// Page is a window on a listing. Number counts from 1; zero values mean the first page of 50.
type Page struct {
	Number int
	Size   int
}

// Window gives LIMIT and OFFSET.
func (p Page) Window() (limit, offset int) {
	size := p.Size
	if size <= 0 {
		size = 50
	}
	size = min(size, MaxPage)
	return size, max(p.Number-1, 0) * size
}
