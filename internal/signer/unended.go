package signer

import (
	"errors"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// unended holds the open leaves that have no end yet. Each gets exactly one end, and nothing about it follows that. A
// verifier reports either as tampering, so without this check a compromised gateway could make an honest record fail.
type unended struct {
	mu   sync.Mutex
	open map[uint64]*beginning // by index
}

// beginning is one open leaf.
type beginning struct {
	mu     sync.Mutex  // held while a leaf that refers to it is appended
	h0     wire.Hash   // of its recording; zero: not known
	passes []wire.Hash // announced so far: by the open leaf, then by pass leaves
	ended  bool
}

// saw updates the open leaves with a leaf of the log. Without the body of an open leaf or of a pass leaf, what that says
// is not known yet.
func (u *unended) saw(index uint64, typ string, ref []uint64, body []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case typ == "open":
		b, _ := ledger.ParseOpenBody(body)
		u.open[index] = &beginning{h0: b.H0, passes: []wire.Hash{b.Pass}}
	case len(ref) != 1 || u.open[ref[0]] == nil:
	case typ == "close" || typ == "interrupted":
		delete(u.open, ref[0])
	case typ == "pass":
		b, _ := ledger.ParsePassBody(body)
		u.open[ref[0]].passes = append(u.open[ref[0]].passes, b.Pass)
	}
}

// hold gives an open leaf without an end. The caller appends what refers to it and unlocks it.
func (u *unended) hold(open uint64) (*beginning, error) {
	u.mu.Lock()
	b := u.open[open]
	u.mu.Unlock()
	if b == nil {
		return nil, errEnded
	}
	b.mu.Lock()
	if b.ended {
		b.mu.Unlock()
		return nil, errEnded
	}
	return b, nil
}

var errEnded = errors.New("the open leaf that it refers to has an end already, or is none")

// of gives the newest open leaf of the recording with first hash h0; nil if there is none.
func (u *unended) of(h0 wire.Hash) (index *uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, b := range u.open {
		if b.h0 == h0 && !h0.IsZero() && (index == nil || i > *index) {
			index = &i
		}
	}
	return index
}

// announced reports whether a pass was announced for the open leaf.
func (b *beginning) announced(pass wire.Hash) bool {
	return !pass.IsZero() && slices.Contains(b.passes, pass)
}
