package writer

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/scan"
)

// move moves files that an earlier release left in the directory itself into the directories of their days, while the
// node records. It only renames within one file system. So a kill at any point leaves each file in one of its two
// places, and the next start continues. Readers look in both (Locate). Parts that have neither close nor marker stay
// until a later start, because the next recovery must find them and does not read settled days.
func (n *Node) move(names []string) {
	moved, last := 0, ""
	for _, name := range names {
		select {
		case <-n.quit:
			return
		default:
		}
		day, err := n.moveOne(name)
		if err == nil && day != last && last != "" {
			err = n.syncMoved(last)
		}
		var unsynced *syncError
		if errors.As(err, &unsynced) {
			n.fail(err)
			return
		}
		if err != nil {
			n.cfg.Log.Error("a recording cannot be moved to the directory of its day", slog.String("file", name),
				slog.Any("error", err))
			continue
		}
		moved, last = moved+1, day
	}
	if last == "" {
		return
	}
	if err := n.syncMoved(last); err != nil {
		n.fail(err)
		return
	}
	n.cfg.Log.Info("recordings were moved to the directories of their days", slog.Int("recordings", moved),
		slog.Int("of", len(names)))
}

// syncMoved makes the new names durable, then the removal of the old ones.
func (n *Node) syncMoved(day string) error {
	for _, dir := range []string{day, "."} {
		if err := n.vol.layer.syncDir(n.vol.path(dir)); err != nil {
			return &syncError{dir, err}
		}
	}
	return nil
}

// moveOne moves the files of one part. The container is moved last. While it is in the old place, the part counts as
// not moved, and its files in the new place belong to it.
func (n *Node) moveOne(name string) (day string, err error) {
	key, ok := format.ParseName(name)
	if !ok {
		return "", fmt.Errorf("%s is not the name of a recording", name)
	}
	start, err := n.vol.began(name)
	if err != nil {
		return "", err
	}
	day = format.Day(start)
	n.vol.dayMu.Lock()
	err = n.vol.makeDay(day)
	n.vol.dayMu.Unlock()
	if err != nil {
		return "", err
	}
	rk, sk := format.SlotNames(key.Session, key.Part)
	for _, file := range []string{rk, sk, format.MarkerName(name), name} {
		if err := n.vol.rename(file, filepath.Join(day, file)); err != nil {
			return "", err
		}
	}
	return day, nil
}

// rename moves an existing file to a place that must be empty.
func (v *volume) rename(from, to string) error {
	if !v.exists(from) {
		return nil // moved before an earlier process ended, or never there
	}
	if v.exists(to) {
		return fmt.Errorf("%s exists too", to)
	}
	return os.Rename(v.path(from), v.path(to))
}

// began reads when a part began from its container's header.
func (v *volume) began(name string) (time.Time, error) {
	f, err := os.Open(v.path(name))
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	s, err := scan.New(name, f, info.Size())
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(0, s.Header.T0).UTC(), nil
}

// marked reports whether a part's interruption is in the log. The marker of a part that is being moved is
// in its new place first.
func (n *Node) marked(rel string) bool {
	if n.vol.exists(format.MarkerName(rel)) {
		return true
	}
	if filepath.Dir(rel) != "." {
		return false
	}
	start, err := n.vol.began(rel)
	return err == nil && n.vol.exists(filepath.Join(format.Day(start), format.MarkerName(rel)))
}
