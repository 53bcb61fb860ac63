package terminal

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/problem"
)

// controlTime bounds the write of a control message.
const controlTime = 5 * time.Second

// maxNotices bounds the notices that wait while a write is stuck.
const maxNotices = 16

// line is the client's side of a session: the sink of its output.
type line struct {
	*socket
	cfg Config

	in      *inbox
	ready   chan struct{} // closed once the client knows that the session runs; output waits for it
	closed  chan struct{}
	shut    sync.Once
	writing atomic.Bool                   // a write waits for the client to read
	fault   atomic.Pointer[errkind.Error] // what the client did wrong, for which its connection is closed

	mu sync.Mutex // guards writes of messages

	nmu     sync.Mutex // guards what waits to be written
	notices []apitype.TerminalControl
	back    int  // bytes that return to the client's window
	over    bool // the last message was sent
}

func newLine(s *socket, cfg Config) *line {
	return &line{socket: s, cfg: cfg, in: newInbox(), ready: make(chan struct{}), closed: make(chan struct{})}
}

// Output implements gateway.Sink: it returns once the bytes are handed to the client's connection.
func (l *line) Output(stream format.Stream, p []byte) error {
	select {
	case <-l.ready:
	case <-l.closed:
		return errGone
	}
	l.mu.Lock()
	l.writing.Store(true)
	err := l.bytes(byte(stream), p, l.cfg.StallTime)
	l.writing.Store(false)
	l.mu.Unlock()
	l.flush()
	if err != nil {
		return errGone.Because(err)
	}
	return nil
}

var errGone = errkind.New(errkind.Unavailable, "the terminal was closed")

// Notice implements gateway.Sink. It never waits for the client: whoever tells it to one session has others to tell.
func (l *line) Notice(kind, text string) {
	l.nmu.Lock()
	if len(l.notices) < maxNotices {
		l.notices = append(l.notices, apitype.TerminalControl{T: apitype.TermNotice, Kind: kind, Text: text})
	}
	l.nmu.Unlock()
	go l.flush()
}

// ack returns n bytes to the client's window.
func (l *line) ack(n int) {
	if n == 0 {
		return
	}
	l.nmu.Lock()
	l.back += n
	l.nmu.Unlock()
	l.flush()
}

// flush sends what waits, unless somebody else is writing, who will flush after that. It waits for a client that does
// not read as long as output does.
func (l *line) flush() {
	for l.waiting() && l.mu.TryLock() {
		l.writing.Store(true)
		for _, c := range l.takeWaiting() {
			l.send(c, l.cfg.StallTime)
		}
		l.writing.Store(false)
		l.mu.Unlock()
	}
}

func (l *line) waiting() bool {
	l.nmu.Lock()
	defer l.nmu.Unlock()
	return !l.over && (len(l.notices) > 0 || l.back > 0)
}

func (l *line) takeWaiting() []apitype.TerminalControl {
	l.nmu.Lock()
	defer l.nmu.Unlock()
	out := l.notices
	if l.back > 0 {
		out = append(out, apitype.TerminalControl{T: apitype.TermAck, Bytes: l.back})
	}
	l.notices, l.back = nil, 0
	return out
}

// control sends one control message after the notices before it.
func (l *line) control(c apitype.TerminalControl) {
	defer l.flush() // what came meanwhile
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.takeWaiting() {
		l.send(n, controlTime)
	}
	l.send(c, controlTime)
	if c.T == apitype.TermExit || c.T == apitype.TermError {
		l.nmu.Lock()
		l.over = true
		l.nmu.Unlock()
	}
}

// send is for holders of mu. An error shows at the next read, which fails as well.
func (l *line) send(c apitype.TerminalControl, patience time.Duration) {
	raw, err := json.Marshal(c)
	if err == nil {
		l.text(raw, patience)
	}
}

// refuse tells why there is no session.
func (l *line) refuse(err error) {
	p := problem.Of(l.cfg.Log, err)
	l.control(apitype.TerminalControl{T: apitype.TermError, Reason: p.Reason, Text: p.Detail, Hint: p.Hint})
}

// watch pings, and cuts the connection of a client that could answer and does not.
func (l *line) watch() {
	tick := time.NewTicker(l.cfg.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.closed:
			return
		case <-tick.C:
		}
		switch {
		case l.writing.Load():
			l.alive() // it may be busy with what we send
		case l.silence() > l.cfg.DeadAfter:
			l.cut()
			return
		}
		l.ping()
	}
}

// finish closes the connection, with what the client did wrong if that is why; a write that is stuck fails.
func (l *line) finish() {
	l.shut.Do(func() {
		close(l.closed)
		if why := l.fault.Load(); why != nil {
			l.farewell(websocket.ClosePolicyViolation, why.Text)
		} else {
			l.farewell(websocket.CloseNormalClosure, "")
		}
	})
}
