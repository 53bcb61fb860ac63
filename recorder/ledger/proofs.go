package ledger

import (
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// Prove gives the proof that entry index is in the tree of a size (RFC 6962 section 2.1.1).
func (l *Log) Prove(index, size uint64) ([][32]byte, error) {
	hashes, err := l.upTo(size)
	if err != nil {
		return nil, err
	}
	if index >= size {
		return nil, fmt.Errorf("log: entry %d is not among the first %d", index, size)
	}
	p, err := tlog.ProveRecord(int64(size), int64(index), hashes)
	return plain(p), err
}

// ProveConsistency gives the proof that the tree of size to extends that of size from (RFC 6962 section 2.1.2).
func (l *Log) ProveConsistency(from, to uint64) ([][32]byte, error) {
	hashes, err := l.upTo(to)
	if err != nil {
		return nil, err
	}
	if from == 0 || from > to {
		return nil, fmt.Errorf("log: a proof from size %d to %d does not exist", from, to)
	}
	p, err := tlog.ProveTree(int64(to), int64(from), hashes)
	return plain(p), err
}

func (l *Log) upTo(size uint64) (tlog.HashReader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if size > l.head.Size {
		return nil, fmt.Errorf("log: size %d is beyond its head, %d", size, l.head.Size)
	}
	return hashReader(l.hashes), nil
}

// Entry reads an entry back: the leaf's bytes, nonce and body.
func (l *Log) Entry(index uint64) (leaf []byte, nonce [16]byte, body []byte, err error) {
	l.mu.Lock()
	if index >= uint64(len(l.offsets)) {
		l.mu.Unlock()
		return nil, nonce, nil, fmt.Errorf("log: there is no entry %d", index)
	}
	at, end := l.offsets[index], l.end
	l.mu.Unlock()
	kind, raw, _, err := readRecord(io.NewSectionReader(l.file, at, end-at))
	if err != nil || kind != recordEntry {
		return nil, nonce, nil, fmt.Errorf("log: entry %d cannot be read: %v", index, err)
	}
	return decodeEntry(raw)
}

func plain(in []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}

// hashReader reads stored hashes by tlog's own index.
type hashReader []tlog.Hash

func (h hashReader) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n < 0 || n >= int64(len(h)) {
			return nil, fmt.Errorf("log: hash %d is not stored", n)
		}
		out[i] = h[n]
	}
	return out, nil
}
