//go:build !linux

package writer

import (
	"errors"
	"os"

	"github.com/sallyport/sallyport/recorder/format"
)

// Recordings are written on Linux only. On other systems the package compiles for tools and tests: these functions do
// what the system can do, and return errors for the rest.

func datasync(f *os.File) error { return f.Sync() }

func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }

func reserve(f *os.File, n int64) error { return zeros(f, n) }

func lock(*os.File) error { return errors.ErrUnsupported }

func clock() format.Clock { return format.ClockUnknown }
