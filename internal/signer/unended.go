package signer

import (
	"errors"
	"sync"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// unended holds the open leaves that have no end yet. Each gets exactly one end. A verifier reports a second end as
// tampering, so without this check a compromised gateway could make an honest record fail.
type unended struct {
	mu   sync.Mutex
	open map[uint64]wire.Hash // by index: the recording's first hash
}

// saw updates the open leaves with a leaf of the log. Without the body of an open leaf, its h0 stays zero.
func (u *unended) saw(index uint64, typ string, ref []uint64, body []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case typ == "open":
		b, _ := ledger.ParseOpenBody(body)
		u.open[index] = b.H0
	case (typ == "close" || typ == "interrupted") && len(ref) == 1:
		delete(u.open, ref[0])
	}
}

// take reserves the one end of an open leaf. back gives it back if the end did not get into the log.
func (u *unended) take(open uint64) (back func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h0, ok := u.open[open]
	if !ok {
		return nil, errors.New("the recording that it ends has an end already")
	}
	delete(u.open, open)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.open[open] = h0
	}, nil
}

func (u *unended) has(open uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.open[open]
	return ok
}

// of gives the newest open leaf of the recording with first hash h0; nil if there is none.
func (u *unended) of(h0 wire.Hash) (index *uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i, h := range u.open {
		if h == h0 && !h0.IsZero() && (index == nil || i > *index) {
			index = &i
		}
	}
	return index
}
