package main

import (
	"io"
	"sync"
)

// mostAhead is how much typed input waits for the device. A terminal sends less, but for a very long paste.
const mostAhead = 1 << 20

// typeAhead takes typed input at once and passes it on as the device takes it. So keys are still read while earlier
// input is stuck, and Enter ~ . ends the session.
type typeAhead struct {
	to io.Writer

	mu     sync.Mutex // guards what follows
	moved  *sync.Cond
	ahead  []byte
	closed bool
	err    error
}

// aheadOf passes input on to a writer until it is closed.
func aheadOf(to io.Writer) *typeAhead {
	a := &typeAhead{to: to}
	a.moved = sync.NewCond(&a.mu)
	return a
}

// Write takes p, and waits only where too much waits already.
func (a *typeAhead) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.err == nil && len(a.ahead) > 0 && len(a.ahead)+len(p) > mostAhead {
		a.moved.Wait()
	}
	if a.err != nil {
		return 0, a.err
	}
	a.ahead = append(a.ahead, p...)
	a.moved.Broadcast()
	return len(p), nil
}

// close says that nothing more comes.
func (a *typeAhead) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.moved.Broadcast()
}

// pass passes input on until all of it is, or the writer fails.
func (a *typeAhead) pass() {
	for {
		p := a.next()
		if len(p) == 0 {
			return
		}
		if _, err := a.to.Write(p); err != nil {
			a.mu.Lock()
			a.err = err
			a.moved.Broadcast()
			a.mu.Unlock()
			return
		}
	}
}

// next gives what waits; nothing when all was passed on.
func (a *typeAhead) next() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.ahead) == 0 && !a.closed {
		a.moved.Wait()
	}
	p := a.ahead
	a.ahead = nil
	a.moved.Broadcast()
	return p
}
