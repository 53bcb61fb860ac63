package recorder

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sallyport/sallyport/internal/id"
)

// partID names a container.
type partID struct {
	session id.Session
	part    uint32
}

// extent is bytes of a container that lie in the journal.
type extent struct {
	from int64 // in the journal
	at   int64 // in the container
	n    int
}

// readJournal finds what the journal holds, by container, and the last epoch. A half ends where an entry is
// not whole or is of another epoch: what was acknowledged lies before.
func readJournal(src io.ReaderAt, size int64) (map[partID][]extent, uint64, error) {
	half := size / 2
	type start struct {
		epoch uint64
		which int64
	}
	var halves []start
	for which := range int64(2) {
		epoch, err := readHalfHead(src, which*half)
		if err != nil {
			return nil, 0, err
		}
		halves = append(halves, start{epoch, which})
	}
	slices.SortFunc(halves, func(a, b start) int { return cmp.Compare(a.epoch, b.epoch) })
	out := map[partID][]extent{}
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

// readHalfHead gives a half's epoch; 0 where no epoch was begun, or its first write did not get through.
func readHalfHead(src io.ReaderAt, at int64) (uint64, error) {
	head := make([]byte, halfHeadLen)
	if err := readAt(src, head, at); err != nil {
		return 0, fmt.Errorf("read journal at %d: %w", at, err)
	}
	epoch := binary.LittleEndian.Uint64(head[8:])
	if !bytes.Equal(head, appendHalfHead(nil, epoch)) {
		return 0, nil
	}
	return epoch, nil
}

// halfReader walks the entries of a half.
type halfReader struct {
	src   io.ReaderAt
	base  int64
	size  int64
	epoch uint64
	out   map[partID][]extent
	buf   []byte
}

func (w *halfReader) run() error {
	in := bufio.NewReaderSize(io.NewSectionReader(w.src, w.base, w.size), 1<<20)
	pos := int64(halfHeadLen)
	if _, err := in.Discard(halfHeadLen); err != nil {
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
		pad := (pos+journalBlock-1)/journalBlock*journalBlock - pos // the batch has ended
		if pad == 0 || pos+pad >= w.size {
			return nil
		}
		if _, err := in.Discard(int(pad)); err != nil {
			return fmt.Errorf("read journal: %w", err)
		}
		pos += pad
	}
}

// entry reads one entry and gives its length; 0 where the batch ends, negative where the half does.
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
	if left < entryHeadLen {
		return -1, nil
	}
	head, err := in.Peek(entryHeadLen)
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	n := int64(binary.LittleEndian.Uint32(head[4:]))
	if binary.LittleEndian.Uint32(head) != entryMagic || binary.LittleEndian.Uint64(head[36:]) != w.epoch || n > maxBatch || n > left-entryHeadLen {
		return -1, nil
	}
	w.buf = slices.Grow(w.buf[:0], entryHeadLen+int(n))[:entryHeadLen+n]
	if _, err := io.ReadFull(in, w.buf); err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	if binary.LittleEndian.Uint32(w.buf[44:]) != entrySum(w.buf) {
		return -1, nil
	}
	key := partID{id.Session(w.buf[8:24]), binary.LittleEndian.Uint32(w.buf[24:])}
	at := int64(binary.LittleEndian.Uint64(w.buf[28:]))
	w.out[key] = append(w.out[key], extent{w.base + pos + entryHeadLen, at, int(n)})
	return entryHeadLen + n, nil
}

// replay copies a container's extents from the journal into its file, and cuts off what lies beyond the last
// of them: bytes that no sync confirmed. Doing it again changes nothing.
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
		if err := readAt(journal, buf, e.from); err != nil {
			return fmt.Errorf("read journal at %d: %w", e.from, err)
		}
		if _, err := f.WriteAt(buf, e.at); err != nil {
			return err
		}
		end = max(end, e.at+int64(e.n))
	}
	return cutOff(f, name, end)
}

// cutOff makes a file end at size, for good.
func cutOff(f file, name string, size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := f.Datasync(); err != nil {
		return &syncError{name, err}
	}
	return nil
}
