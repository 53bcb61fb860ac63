package sqlite

import (
	"context"
	"errors"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// failed gives a driver's error the kind and words that people need; others pass with what was being done.
func failed(doing string, err error) error {
	if _, classified := errkind.Of(err); classified {
		return err
	}
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	cause := fmt.Errorf("%s: %w", doing, err)
	switch e.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		return store.Busy(cause)
	case sqlite3.ErrFull:
		return store.Broken("the disk with the database is full, so nothing was stored", "Make room on it; the gateway goes on by itself.", cause)
	case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm, sqlite3.ErrIoErr:
		return store.Broken("the database cannot be written, so nothing was stored", "Check the disk and the owner of the data directory.", cause)
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return store.Broken("the database is damaged", "Stop the gateway and restore the database from its backup; the log and the recordings stand apart and stay.", cause)
	case sqlite3.ErrInterrupt:
		return errors.Join(context.Canceled, cause)
	case sqlite3.ErrConstraint:
		if e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey {
			return errkind.New(errkind.Conflict, "it is there already").Because(errors.Join(store.ErrConflict, cause))
		}
	}
	return cause
}
