package scan

import "io"

// before is the room that a window keeps in front of what it gives: for the hash that is chained to it.
const before = 32

// window reads a file in large pieces and gives it out in place. What was taken is valid until the next call of ahead.
type window struct {
	src    io.ReaderAt
	next   int64 // offset in the file of what is read next
	end    int64 // of the file
	buf    []byte
	lo, hi int // of buf: read and not taken
}

const windowSize = 256 << 10

// from begins at an offset of a file that ends at end.
func (w *window) from(src io.ReaderAt, at, end int64) {
	w.src, w.next, w.end, w.lo, w.hi = src, at, end, before, before
}

// ahead gives the next n bytes without taking them.
func (w *window) ahead(n int) ([]byte, error) {
	if w.hi-w.lo < n {
		if err := w.fill(n); err != nil {
			return nil, err
		}
	}
	return w.buf[w.lo : w.lo+n], nil
}

func (w *window) fill(n int) error {
	old := w.buf
	unread := int64(w.hi-w.lo) + w.end - w.next
	if want := before + max(n, int(min(unread, windowSize))); len(w.buf) < want {
		w.buf = make([]byte, want)
	}
	w.lo, w.hi = before, before+copy(w.buf[before:], old[min(w.lo, len(old)):min(w.hi, len(old))])
	room := w.buf[w.hi:]
	room = room[:max(0, min(int64(len(room)), w.end-w.next))]
	got, err := w.src.ReadAt(room, w.next)
	w.next, w.hi = w.next+int64(got), w.hi+got
	if w.hi-w.lo >= n {
		return nil // a fault beyond is the next one's
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// take gives the next n bytes, which ahead has given before, with the room in front of them: that is the caller's to write.
func (w *window) take(n int) []byte {
	b := w.buf[w.lo-before : w.lo+n]
	w.lo += n
	return b
}
