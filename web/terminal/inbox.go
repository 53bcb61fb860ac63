package terminal

import (
	"sync"

	"github.com/sallyport/sallyport/web/apitype"
)

const (
	// returnAt is how much of the window is gathered before it is returned: a message for each keystroke would cost
	// more than the keystroke. It is less than the window by more than a message, so a client never waits for it.
	returnAt = 64 << 10
	// maxSignals bounds the signals that wait while the session takes none.
	maxSignals = 16
	// maxSignalName is longer than any signal's name.
	maxSignalName = 32
	// keepInput is the size in bytes of the buffer that is kept for the next keystrokes. A larger one is freed once no
	// input waits.
	keepInput = 4 << 10
)

// inbox is what the reader has decoded and the session has not taken yet. Input waits apart from the requests, so that
// a resize or a signal passes input that is stuck. Each of the two has one goroutine that hands it to the session.
type inbox struct {
	input    chan struct{} // holds one item when there is input, or its end
	requests chan struct{} // holds one item when there is a request

	mu      sync.Mutex // guards what follows
	window  int        // bytes that the client may send now
	owed    int        // bytes that the session took and that are not in the window again
	typed   []byte
	eof     bool // nothing more is typed
	size    *apitype.TerminalControl
	signals []string
}

func newInbox() *inbox {
	return &inbox{
		input:    make(chan struct{}, 1),
		requests: make(chan struct{}, 1),
		window:   apitype.TerminalWindow,
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add takes typed bytes in. It reports false, and takes nothing, where they exceed the client's window. Bytes after
// the end of input are dropped.
func (in *inbox) add(p []byte) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(p) > in.window {
		return false
	}
	in.window -= len(p)
	if in.eof {
		in.owed += len(p)
		return true
	}
	in.typed = append(in.typed, p...)
	poke(in.input)
	return true
}

// end notes that nothing more is typed.
func (in *inbox) end() {
	in.mu.Lock()
	in.eof = true
	in.mu.Unlock()
	poke(in.input)
}

// take gives all input that waits, and whether it is the last. The next input is gathered in buf.
func (in *inbox) take(buf []byte) (p []byte, last bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	p, in.typed = in.typed, buf
	return p, in.eof
}

// waits reports whether there is more input to take.
func (in *inbox) waits() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.typed) > 0
}

// took notes that the session took n bytes of input, and gives how many bytes to return to the client now.
func (in *inbox) took(n int) (back int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.owed += n; in.owed < returnAt {
		return 0
	}
	back, in.owed = in.owed, 0
	in.window += back
	return back
}

// resize notes the newest size. One that the session has not taken is outdated.
func (in *inbox) resize(c apitype.TerminalControl) {
	in.mu.Lock()
	in.size = &c
	in.mu.Unlock()
	poke(in.requests)
}

// signal notes a signal. It reports false where too many wait.
func (in *inbox) signal(name string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.signals) == maxSignals {
		return false
	}
	in.signals = append(in.signals, name[:min(len(name), maxSignalName)])
	poke(in.requests)
	return true
}

// takeRequests gives the newest size, if there is one, and the signals in order.
func (in *inbox) takeRequests() (size *apitype.TerminalControl, signals []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	size, signals = in.size, in.signals
	in.size, in.signals = nil, nil
	return size, signals
}
