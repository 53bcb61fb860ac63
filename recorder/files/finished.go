package files

import (
	"os"

	"github.com/sallyport/sallyport/recorder/format"
)

// Finished reports whether the container at path ends with its close. Nothing is written to it after that, so a copy of
// it stays correct. A container without a close is being written, or was interrupted. The error is one of opening the
// file; Finished does not verify the content.
func Finished(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	_, closed := format.CloseAt(f, info.Size())
	return closed, nil
}
