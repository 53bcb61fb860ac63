package signer

import (
	"errors"
	"sync"
)

// unended are the open leaves that have no end yet. Each gets exactly one: a verifier takes a second for tampering, so
// without this a taken data plane could make an honest record fail.
type unended struct {
	mu   sync.Mutex
	open map[uint64]bool // by index
}

// saw notes what a leaf that stands in the log means.
func (u *unended) saw(index uint64, typ string, ref []uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case typ == "open":
		u.open[index] = true
	case (typ == "close" || typ == "interrupted") && len(ref) == 1:
		delete(u.open, ref[0])
	}
}

// take reserves the one end of an open leaf. back gives it back if the end did not get into the log.
func (u *unended) take(open uint64) (back func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.open[open] {
		return nil, errors.New("what it ends has its end already")
	}
	delete(u.open, open)
	return func() { u.saw(open, "open", nil) }, nil
}

func (u *unended) has(open uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open[open]
}
