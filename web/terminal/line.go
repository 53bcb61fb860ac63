package terminal

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
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

	ready    chan struct{} // closed once the client knows that the session runs; output waits for it
	closed   chan struct{}
	shut     sync.Once
	writing  atomic.Bool // a write waits for the client to read
	handling atomic.Bool // a message waits for the session to take it

	mu sync.Mutex // guards writes of messages

	nmu     sync.Mutex // guards notices
	notices []apitype.TerminalControl
}

func newLine(s *socket, cfg Config) *line {
	return &line{socket: s, cfg: cfg, ready: make(chan struct{}), closed: make(chan struct{})}
}

// Output implements gateway.Sink: it returns once the bytes are handed to the client's connection.
func (l *line) Output(stream uint8, p []byte) error {
	select {
	case <-l.ready:
	case <-l.closed:
		return errGone
	}
	l.mu.Lock()
	l.writing.Store(true)
	err := l.bytes(stream, p, l.cfg.StallTime)
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

// flush sends the notices that wait, unless somebody else is writing, who will flush after that.
func (l *line) flush() {
	for l.waiting() && l.mu.TryLock() {
		for _, n := range l.takeNotices() {
			l.send(n)
		}
		l.mu.Unlock()
	}
}

func (l *line) waiting() bool {
	l.nmu.Lock()
	defer l.nmu.Unlock()
	return len(l.notices) > 0
}

func (l *line) takeNotices() []apitype.TerminalControl {
	l.nmu.Lock()
	defer l.nmu.Unlock()
	out := l.notices
	l.notices = nil
	return out
}

// control sends one control message after the notices before it.
func (l *line) control(c apitype.TerminalControl) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.takeNotices() {
		l.send(n)
	}
	l.send(c)
}

// send is for holders of mu. An error shows at the next read, which fails as well.
func (l *line) send(c apitype.TerminalControl) {
	raw, err := json.Marshal(c)
	if err == nil {
		l.text(raw, controlTime)
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
		case l.writing.Load() || l.handling.Load():
			l.alive() // we keep it from being heard
		case l.silence() > l.cfg.DeadAfter:
			l.cut()
			return
		}
		l.ping()
	}
}

// finish closes the connection; a write that is stuck fails.
func (l *line) finish() { l.shut.Do(func() { close(l.closed); l.farewell() }) }
