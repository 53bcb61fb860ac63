package writer

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sallyport/sallyport/recorder/format"
)

// extent is a range of a container's bytes in the journal.
type extent struct {
	from int64 // in the journal
	at   int64 // in the container
	n    int
}

// readJournal finds the bytes in the journal, by container, and the last epoch. A half ends at the first entry that
// is not whole or is of another epoch. All acknowledged entries come before it.
func readJournal(src io.ReaderAt, size int64) (map[format.PartID][]extent, uint64, error) {
	half := size / 2
	type start struct {
		epoch uint64
		which int64
	}
	var halves []start
	for which := range int64(2) {
		epoch, err := format.ReadHalfHead(src, which*half)
		if err != nil {
			return nil, 0, err
		}
		halves = append(halves, start{epoch, which})
	}
	slices.SortFunc(halves, func(a, b start) int { return cmp.Compare(a.epoch, b.epoch) })
	out := map[format.PartID][]extent{}
	for _, h := range halves {
		if h.epoch == 0 {
			continue
		}
		w := halfReader{src: src, base: h.which * half, size: half, epoch: h.epoch, out: out}
		if err := w.run(); err != nil {
			return nil, 0, err
		}
	}
	return out, halves[1].epoch, nil
}

// halfReader walks the entries of a half.
type halfReader struct {
	src   io.ReaderAt
	base  int64
	size  int64
	epoch uint64
	out   map[format.PartID][]extent
	buf   []byte
}

func (w *halfReader) run() error {
	in := bufio.NewReaderSize(io.NewSectionReader(w.src, w.base, w.size), 1<<20)
	pos := int64(format.HalfHeadLen)
	if _, err := in.Discard(format.HalfHeadLen); err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	for {
		n, err := w.entry(in, pos)
		if err != nil || n < 0 {
			return err
		}
		if n > 0 {
			pos += n
			continue
		}
		pad := (pos+format.JournalBlock-1)/format.JournalBlock*format.JournalBlock - pos // the batch has ended
		if pad == 0 || pos+pad >= w.size {
			return nil
		}
		if _, err := in.Discard(int(pad)); err != nil {
			return fmt.Errorf("read journal: %w", err)
		}
		pos += pad
	}
}

// entry reads one entry and gives its length; 0 at the end of a batch, negative at the end of the half.
func (w *halfReader) entry(in *bufio.Reader, pos int64) (int64, error) {
	left := w.size - pos
	if left < 4 {
		return 0, nil
	}
	word, err := in.Peek(4)
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	if binary.LittleEndian.Uint32(word) == 0 {
		return 0, nil
	}
	if left < format.EntryHeadLen {
		return -1, nil
	}
	head, err := in.Peek(format.EntryHeadLen)
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	n, whole := format.ParseEntryHead(head, w.epoch)
	if !whole || n > left-format.EntryHeadLen {
		return -1, nil
	}
	w.buf = slices.Grow(w.buf[:0], format.EntryHeadLen+int(n))[:format.EntryHeadLen+n]
	if _, err := io.ReadFull(in, w.buf); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	key, at, whole := format.ParseEntry(w.buf)
	if !whole {
		return -1, nil
	}
	w.out[key] = append(w.out[key], extent{w.base + pos + format.EntryHeadLen, at, int(n)})
	return format.EntryHeadLen + n, nil
}

// replay copies a container's extents from the journal into its file, and cuts off the bytes after the last of them,
// which no sync has confirmed. Doing it again changes nothing.
func (n *Node) replay(name string, journal io.ReaderAt, extents []extent) error {
	f, err := n.vol.layer.open(n.vol.path(name), os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	var end int64
	buf := make([]byte, 0, 64<<10)
	for _, e := range extents {
		buf = slices.Grow(buf[:0], e.n)[:e.n]
		if err := format.ReadFull(journal, buf, e.from); err != nil {
			return fmt.Errorf("read journal at %d: %w", e.from, err)
		}
		if _, err := f.WriteAt(buf, e.at); err != nil {
			return err
		}
		end = max(end, e.at+int64(e.n))
	}
	return cutOff(f, name, end)
}

// cutOff truncates a file to size, durably.
func cutOff(f file, name string, size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := f.Datasync(); err != nil {
		return &syncError{name, err}
	}
	return nil
}
