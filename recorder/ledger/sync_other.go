//go:build !linux

package ledger

import (
	"errors"
	"os"
)

// Elsewhere than on Linux a log can be checked, not kept.
func lockFile(*os.File) error { return errors.New("log: a log is written on Linux only") }

func datasync(f *os.File) error { return f.Sync() }
