package writer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/scan"
)

// recovered is the result of a recovery.
type recovered struct {
	cut   []recorder.Interrupted
	flat  []string // containers in the directory itself that have their close or their marker
	epoch uint64   // the journal's last
}

// recover restores the recordings to the acknowledged state. A file that cannot be restored does not stop the others.
// It reads the directory itself and the days that no earlier start found settled.
func (n *Node) recover(ctx context.Context) (recovered, error) {
	var r recovered
	n.vol.settled = n.vol.settledBefore(format.Day(n.cfg.Now()))
	names, dirs, err := n.unsettled()
	if err != nil {
		return r, err
	}
	faults := map[string]error{}
	if r.epoch, err = n.replayAll(ctx, names, faults); err != nil {
		return r, err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		i := n.look(name, faults[name])
		switch {
		case i != nil:
			r.cut = append(r.cut, *i)
		case filepath.Dir(name) == ".":
			r.flat = append(r.flat, name)
		}
	}
	for _, dir := range dirs {
		if err := n.vol.layer.syncDir(n.vol.path(dir)); err != nil {
			return r, &syncError{dir, err}
		}
	}
	return r, n.settleDays(r.cut)
}

// look gives the content of a container without a close and without a marker; nil if it has one of them. failed is the
// reason if the journal's bytes could not be written to it.
func (n *Node) look(name string, failed error) *recorder.Interrupted {
	if n.marked(name) {
		return nil
	}
	i, err := n.inspect(name)
	if err == nil {
		err = failed
	}
	if err != nil {
		n.cfg.Log.Error("a recording is damaged", slog.String("file", name), slog.Any("error", err))
		i = n.damaged(name, i, err)
	}
	return i
}

// settleDays lets the next start begin with today, or with the first day that has an interrupted part: until its
// interruption is in the log, each start reports it.
func (n *Node) settleDays(cut []recorder.Interrupted) error {
	day := format.Day(n.cfg.Now())
	for _, i := range cut {
		if dir := filepath.Dir(i.File); dir != "." {
			day = min(day, dir)
		}
	}
	if day == n.vol.settled {
		return nil
	}
	err := n.vol.setSettled(day)
	if isFull(err) {
		return nil // the next start reads more than necessary
	}
	return err
}

// unsettled lists the containers that a start must read, and their directories. It removes files that did not become
// durable.
func (n *Node) unsettled() (names, dirs []string, err error) {
	days, err := files.Days(n.vol.dir, n.vol.settled)
	if err != nil {
		return nil, nil, err
	}
	dirs = append([]string{"."}, days...)
	for _, dir := range dirs {
		err := files.WalkDir(n.vol.dir, dir, func(rel string) error {
			if strings.HasSuffix(rel, startedSuffix) {
				return os.Remove(n.vol.path(rel))
			}
			if _, ok := format.ParseName(filepath.Base(rel)); ok {
				names = append(names, rel)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	for _, day := range days { // an earlier process may have ended before it synced their names
		if month := filepath.Dir(day); !slices.Contains(dirs, month) {
			dirs = append(dirs, month)
		}
		if year := filepath.Dir(filepath.Dir(day)); !slices.Contains(dirs, year) {
			dirs = append(dirs, year)
		}
	}
	return names, dirs, nil
}

// replayAll copies the journal into the files. If that fails for a file, it keeps the journal aside, because it has
// bytes that were acknowledged.
func (n *Node) replayAll(ctx context.Context, names []string, faults map[string]error) (uint64, error) {
	f, err := os.Open(n.vol.path(format.JournalName))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	parts, epoch, err := readJournal(f, info.Size())
	if err != nil {
		return 0, err
	}
	places := make(map[string]string, len(names))
	for _, name := range names {
		places[filepath.Base(name)] = name
	}
	for key, extents := range parts {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		name, err := n.placeOf(key, places)
		if err != nil {
			return 0, err
		}
		if n.marked(name) {
			continue // settled: it is not written again
		}
		err = n.replay(name, f, extents)
		if isFull(err) {
			n.vol.release()
			if os.Remove(n.vol.path(ballastName)) == nil {
				err = n.replay(name, f, extents)
			}
		}
		var unsynced *syncError
		switch {
		case err == nil, errors.Is(err, os.ErrNotExist): // removed on purpose, so it is not restored
		case errors.As(err, &unsynced):
			return 0, err
		case isFull(err):
			return 0, errFull("the disk that keeps the recordings is full: what was recorded before the restart cannot be put in its place").Because(err)
		default:
			faults[name] = fmt.Errorf("copy from the journal: %w", err)
		}
	}
	if len(faults) > 0 {
		return epoch, n.keepJournal()
	}
	return epoch, nil
}

// placeOf finds the container of a part with bytes in the journal. It is usually among the places that were just
// listed. If the container was removed or moved, placeOf searches all days, because the bytes were acknowledged.
func (n *Node) placeOf(key format.PartID, places map[string]string) (string, error) {
	base := format.FileName(key.Session, key.Part)
	if name, ok := places[base]; ok {
		return name, nil
	}
	path, err := files.Search(n.vol.dir, base)
	if errors.Is(err, os.ErrNotExist) {
		return base, nil
	}
	if err != nil {
		return "", err
	}
	return filepath.Rel(n.vol.dir, path)
}

// keepJournal puts the journal aside under a name of its own.
func (n *Node) keepJournal() error {
	kept := fmt.Sprintf("%s.%d.kept", format.JournalName, time.Now().UnixNano())
	n.cfg.Log.Error("the journal holds bytes of a recording that cannot be written, and is kept", slog.String("file", kept))
	return os.Rename(n.vol.path(format.JournalName), n.vol.path(kept))
}

// inspect gives the state of a container without a close; nil if it has a close.
func (n *Node) inspect(name string) (*recorder.Interrupted, error) {
	f, err := os.Open(n.vol.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, closed := format.CloseAt(f, info.Size()); closed {
		return nil, nil
	}
	i, err := cutAt(name, f, info.Size())
	if err != nil || i.Torn == 0 {
		return i, err
	}
	w, err := n.vol.layer.open(n.vol.path(name), os.O_RDWR)
	if err != nil {
		return i, err
	}
	return i, errors.Join(cutOff(w, name, i.Bytes), w.Close())
}

// cutAt scans a container to the end of its last whole chunk.
func cutAt(name string, f *os.File, size int64) (*recorder.Interrupted, error) {
	s, err := scan.New(name, f, size)
	if err != nil {
		return nil, err
	}
	for err == nil {
		_, err = s.Next()
	}
	i := &recorder.Interrupted{Session: s.Header.Session, Part: s.Header.Part, File: name,
		Started: time.Unix(0, s.Header.T0).UTC(),
		H0:      s.H0, Head: s.H, Seq: s.Seq, Bytes: s.Offset, Torn: s.Torn}
	if format.FileName(i.Session, i.Part) != filepath.Base(name) {
		return nil, fmt.Errorf("%s holds the header of %s", name, format.FileName(i.Session, i.Part))
	}
	if errors.Is(err, format.ErrCut) {
		return i, nil
	}
	return i, err
}

// damaged reports a container as far as it could be read; i may be nil.
func (n *Node) damaged(name string, i *recorder.Interrupted, why error) *recorder.Interrupted {
	if i == nil {
		key, _ := format.ParseName(filepath.Base(name))
		i = &recorder.Interrupted{Session: key.Session, Part: key.Part, File: name}
	}
	i.Torn, i.Fault = 0, why.Error()
	return i
}

// Settled makes durable that an interrupted part needs no more attention. The part is not reported again, and never
// written to again.
func (n *Node) Settled(i recorder.Interrupted) error {
	if _, ok := format.ParseName(filepath.Base(i.File)); !ok || !filepath.IsLocal(i.File) {
		return fmt.Errorf("settle: %q is not the name of a recording", i.File)
	}
	marker := format.MarkerName(i.File)
	f, err := n.vol.start(marker, fmt.Appendf(nil, "cut after chunk %d, %d bytes, h %x\n", i.Seq, i.Bytes, i.Head))
	if err == nil {
		err = errors.Join(f.Close(), n.vol.settle(marker))
	}
	if err != nil {
		return fmt.Errorf("settle %s: %w", i.File, err)
	}
	return nil
}

// Ended reads how a part that began at start was closed, for a log without its close leaf: the node may have crashed
// between the close of a recording and its leaf. A part without a close gives ErrOpen.
func (n *Node) Ended(session id.Session, part uint32, start time.Time) (recorder.Closed, string, error) {
	name := format.FileName(session, part)
	f, err := files.Open(n.vol.dir, name, start)
	if err != nil {
		return recorder.Closed{}, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return recorder.Closed{}, "", err
	}
	s, err := scan.New(name, f, info.Size())
	for err == nil {
		_, err = s.Next()
	}
	if s == nil || s.Closed == nil {
		return recorder.Closed{}, "", fmt.Errorf("%s: %w: %w", name, recorder.ErrOpen, err)
	}
	return recorder.Closed{HFinal: s.H, Seq: s.Seq, Bytes: info.Size(), Totals: s.Closed.Totals}, s.Closed.Reason, nil
}
