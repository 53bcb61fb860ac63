package writer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

// settledName is the name of a file with a day. Every part of an earlier day has its close or its marker, so a start
// does not read it. Without the file, or if it has any other content, a start reads all days.
const settledName = "settled-before"

// settledBefore reads that day; "" if there is none. It ignores a day in the future, because then the clock was wrong
// when it was written or is wrong now.
func (v *volume) settledBefore(today string) string {
	raw, err := os.ReadFile(v.path(settledName))
	if err != nil {
		return ""
	}
	t, err := time.Parse("2006-01-02", strings.TrimSpace(string(raw)))
	if err != nil || format.Day(t) > today {
		return ""
	}
	return format.Day(t)
}

// setSettled records durably that a start need not read days before this one.
func (v *volume) setSettled(day string) error {
	text := strings.ReplaceAll(filepath.ToSlash(day), "/", "-") + "\n"
	f, err := v.start(settledName, []byte(text))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), v.settle(settledName)); err != nil {
		return err
	}
	v.settled = day
	return nil
}

// ensureDay makes the directory of a day for a part that begins now.
func (v *volume) ensureDay(day string) error {
	v.dayMu.Lock()
	defer v.dayMu.Unlock()
	if day < v.settled { // the clock was set back: the next start must read this day again
		if err := v.setSettled(day); err != nil {
			return err
		}
	}
	return v.makeDay(day)
}

// makeDay makes the directory of a day, with mode 0700, and makes its name durable before anything is put into it. A
// durable slot file in a directory that is not durable would be lost with it. Each process does this once for each day,
// even if the directory exists, because an earlier process may have ended before it synced the name. The caller holds
// v.dayMu.
func (v *volume) makeDay(day string) error {
	if _, err := os.Stat(v.path(day)); err == nil && v.days[day] {
		return nil
	}
	if err := os.MkdirAll(v.path(day), 0o700); err != nil {
		return err
	}
	month := filepath.Dir(day)
	for _, parent := range []string{month, filepath.Dir(month), "."} {
		if err := v.layer.syncDir(v.path(parent)); err != nil {
			return &syncError{parent, err}
		}
	}
	if len(v.days) > 100 { // only a few are in use: today, or the day whose files are being moved
		clear(v.days)
	}
	v.days[day] = true
	return nil
}

// exists reports whether there is a file of this name under the directory of recordings.
func (v *volume) exists(name string) bool {
	_, err := os.Lstat(v.path(name))
	return !errors.Is(err, fs.ErrNotExist)
}
