package recorder

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Interrupted is a part that has no close and never will: its node crashed, or its recording failed. What
// is whole of it stays as it is, for good.
type Interrupted struct {
	Session id.Session
	Part    uint32
	File    string    // relative to the node's directory
	Started time.Time // as its header says; zero if that cannot be read
	H0      [32]byte
	Head    [32]byte // chain state after the last whole chunk
	Seq     uint32   // of that chunk
	Bytes   int64    // up to there
	Torn    int64    // bytes of an startedSuffix chunk that were cut off
	Fault   string   // why the file does not hold beyond Bytes; then nothing was cut off
}

// recovered is the result of a recovery.
type recovered struct {
	cut   []Interrupted
	flat  []string // containers in the directory itself that have their close or their marker
	epoch uint64   // the journal's last
}

// recover restores the recordings to the acknowledged state. A file that cannot be restored does not stop the others.
// It reads the directory itself and the days that no earlier start found settled.
func (n *Node) recover(ctx context.Context) (recovered, error) {
	var r recovered
	n.vol.settled = n.vol.settledBefore(Day(n.cfg.Now()))
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
func (n *Node) look(name string, failed error) *Interrupted {
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
func (n *Node) settleDays(cut []Interrupted) error {
	day := Day(n.cfg.Now())
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

// unsettled lists the containers that a start must read, and their directories. It removes files that never became
// durable.
func (n *Node) unsettled() (names, dirs []string, err error) {
	days, err := daysFrom(n.vol.dir, n.vol.settled)
	if err != nil {
		return nil, nil, err
	}
	dirs = append([]string{"."}, days...)
	for _, dir := range dirs {
		err := walkFiles(n.vol.dir, dir, func(rel string) error {
			if strings.HasSuffix(rel, startedSuffix) {
				return os.Remove(n.vol.path(rel))
			}
			if _, ok := parseName(filepath.Base(rel)); ok {
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

// parseName reads a container's name.
func parseName(name string) (partID, bool) {
	stem, ok := strings.CutSuffix(name, ".srec")
	text, number, numbered := strings.Cut(stem, ".")
	if !ok {
		return partID{}, false
	}
	s, err := id.ParseSession(text)
	if err != nil {
		return partID{}, false
	}
	var part uint64
	if numbered {
		if part, err = strconv.ParseUint(number, 10, 32); err != nil {
			return partID{}, false
		}
	}
	return partID{s, uint32(part)}, FileName(s, uint32(part)) == name
}

// replayAll copies the journal into the files. Where that fails for a file, the journal is kept aside: it
// holds bytes that were acknowledged.
func (n *Node) replayAll(ctx context.Context, names []string, faults map[string]error) (uint64, error) {
	f, err := os.Open(n.vol.path(journalName))
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
		case err == nil, errors.Is(err, os.ErrNotExist): // gone on purpose: nothing is brought back
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
// listed. If the container was removed or moved, all days are searched for the sake of the acknowledged bytes.
func (n *Node) placeOf(key partID, places map[string]string) (string, error) {
	base := FileName(key.session, key.part)
	if name, ok := places[base]; ok {
		return name, nil
	}
	path, err := search(n.vol.dir, base)
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
	kept := fmt.Sprintf("%s.%d.kept", journalName, time.Now().UnixNano())
	n.cfg.Log.Error("the journal holds bytes of a recording that cannot be written, and is kept", slog.String("file", kept))
	return os.Rename(n.vol.path(journalName), n.vol.path(kept))
}

// inspect gives what a container without a close holds; nil if it has one.
func (n *Node) inspect(name string) (*Interrupted, error) {
	f, err := os.Open(n.vol.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if closedFile(f, info.Size()) {
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

func closedFile(f io.ReaderAt, size int64) bool {
	_, ok := CloseAt(f, size)
	return ok
}

// CloseAt gives the offset of a container's close chunk, if it has one: if the file of size bytes ends with a trailer
// that points at a close chunk before it. Verify decides whether the record is valid.
func CloseAt(f io.ReaderAt, size int64) (offset int64, ok bool) {
	b := make([]byte, trailerLen)
	if size < trailerLen || readAt(f, b, size-trailerLen) != nil || [8]byte(b[:8]) != trailerMagic {
		return 0, false
	}
	at := int64(binary.LittleEndian.Uint64(b[8:]))
	var head [chunkHeaderLen]byte
	if at < 0 || at > size-trailerLen-chunkHeaderLen || readAt(f, head[:], at) != nil {
		return 0, false
	}
	c, n, err := parseChunkHeader(&head)
	return at, err == nil && c.Type == ChunkClose && at+chunkHeaderLen+int64(n)+trailerLen == size
}

// cutAt scans a container to the end of its last whole chunk.
func cutAt(name string, f *os.File, size int64) (*Interrupted, error) {
	s, err := newScanner(name, f, size)
	if err != nil {
		return nil, err
	}
	for err == nil {
		_, err = s.next()
	}
	i := &Interrupted{Session: s.hdr.Session, Part: s.hdr.Part, File: name, Started: time.Unix(0, s.hdr.T0).UTC(),
		H0: s.h0, Head: s.h, Seq: s.seq, Bytes: s.off, Torn: s.torn}
	if FileName(i.Session, i.Part) != filepath.Base(name) {
		return nil, fmt.Errorf("%s holds the header of %s", name, FileName(i.Session, i.Part))
	}
	if errors.Is(err, errCut) {
		return i, nil
	}
	return i, err
}

// damaged reports a container as far as it could be read; i may be nil.
func (n *Node) damaged(name string, i *Interrupted, why error) *Interrupted {
	if i == nil {
		key, _ := parseName(filepath.Base(name))
		i = &Interrupted{Session: key.session, Part: key.part, File: name}
	}
	i.Torn, i.Fault = 0, why.Error()
	return i
}

// markerName is of the file beside a container that says: its interruption is in the log.
func markerName(name string) string { return strings.TrimSuffix(name, ".srec") + ".cut" }

// Settled makes durable that an interrupted part needs no more attention. It is not reported again, and
// never written to again.
func (n *Node) Settled(i Interrupted) error {
	if _, ok := parseName(filepath.Base(i.File)); !ok || !filepath.IsLocal(i.File) {
		return fmt.Errorf("settle: %q is not the name of a recording", i.File)
	}
	marker := markerName(i.File)
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
func (n *Node) Ended(session id.Session, part uint32, start time.Time) (Closed, string, error) {
	name := FileName(session, part)
	f, err := OpenFile(n.vol.dir, name, start)
	if err != nil {
		return Closed{}, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Closed{}, "", err
	}
	s, err := newScanner(name, f, info.Size())
	for err == nil {
		_, err = s.next()
	}
	if s == nil || s.closed == nil {
		return Closed{}, "", fmt.Errorf("%s: %w: %w", name, ErrOpen, err)
	}
	return Closed{HFinal: s.h, Seq: s.seq, Bytes: info.Size(), Totals: s.closed.Totals}, s.closed.Reason, nil
}

// ErrOpen is returned by Ended for a part that has no close.
var ErrOpen = errors.New("the recording has no close")
