package gateway

import (
	"fmt"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
)

// Watched is a running channel for somebody who only looks on. Its output is read from the recording, so a watcher
// neither delays the session nor sees what is not in the record. Who may watch is the caller's decision.
type Watched struct{ c *Channel }

// Watch finds a running channel of a session. If it does not run, the error is an errkind.Conflict.
func (b *Broker) Watch(sid id.Session, n uint32) (*Watched, error) {
	s := b.session(sid)
	if s == nil {
		return nil, errkind.New(errkind.Conflict, "this session is not running, so there is nothing to watch").
			WithHint("`sallyport sessions replay` shows what is recorded.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.channels[n]; c != nil && c.running {
		return &Watched{c}, nil
	}
	return nil, errkind.New(errkind.Conflict, fmt.Sprintf("channel %d of this session is not running", n)).
		WithHint("`sallyport sessions channels` lists the channels of a session.")
}

// Confirmed gives how many bytes of the channel's output are durable, and whether there can be more.
func (w *Watched) Confirmed() (bytes int64, more bool) {
	select {
	case <-w.c.done: // looked at first: what comes after it is not missed
	default:
		more = true
	}
	return w.c.confirmed.Load(), more
}
