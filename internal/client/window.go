package client

import "sync"

// window is how much input may be sent to the gateway now. The gateway returns it as the session takes the input, and
// closes a client that sends more.
type window struct {
	mu     sync.Mutex
	moved  *sync.Cond
	left   int // bytes
	closed bool
}

func newWindow(size int) *window {
	w := &window{left: size}
	w.moved = sync.NewCond(&w.mu)
	return w
}

// take waits until something may be sent, and takes at most n bytes of the window. It gives 0 when the session is over.
func (w *window) take(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.left == 0 && !w.closed {
		w.moved.Wait()
	}
	if w.closed {
		return 0
	}
	n = min(n, w.left)
	w.left -= n
	return n
}

// give returns n bytes to the window.
func (w *window) give(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left += max(n, 0)
	w.moved.Broadcast()
}

// close wakes those who wait.
func (w *window) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.moved.Broadcast()
}
