package bundle

import (
	"errors"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// frontier is a tree that only grows: the roots of its perfect subtrees, largest first. With the leaf hashes that
// follow it gives the root of every later size.
type frontier struct {
	size  uint64
	peaks []tlog.Hash
}

// newFrontier takes the peaks of a tree of size, smallest first.
func newFrontier(size uint64, peaks [][32]byte) (*frontier, error) {
	if len(peaks) != bits.OnesCount64(size) {
		return nil, errors.New("the number of subtrees does not fit the size")
	}
	f := &frontier{size: size}
	for i := len(peaks) - 1; i >= 0; i-- {
		f.peaks = append(f.peaks, peaks[i])
	}
	return f, nil
}

// add appends a leaf's hash. Each trailing one bit of the size is a peak that the new leaf completes to a larger one.
func (f *frontier) add(leaf [32]byte) {
	h := tlog.Hash(leaf)
	for n := f.size; n&1 == 1; n >>= 1 {
		last := len(f.peaks) - 1
		h = tlog.NodeHash(f.peaks[last], h)
		f.peaks = f.peaks[:last]
	}
	f.peaks = append(f.peaks, h)
	f.size++
}

// root folds the peaks, smallest first (RFC 6962 section 2.1).
func (f *frontier) root() [32]byte {
	last := len(f.peaks) - 1
	h := f.peaks[last]
	for i := last - 1; i >= 0; i-- {
		h = tlog.NodeHash(f.peaks[i], h)
	}
	return h
}
