package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
)

// Session is one technician on one device, as one login, under one pass at a time. It carries channels, one for each
// program. It begins with its first channel and ends when none is left.
type Session struct {
	b       *Broker
	id      id.Session
	ask     Ask
	device  store.Device
	started time.Time     // guarded by b.mu, like until, because other goroutines read it while the session opens
	until   time.Time     // hard stop: the end of the pass
	opened  signer.Opened // the signer's announcement
	pass    *wire.Pass    // the current pass; guarded by mu once the session runs, like rawPass
	rawPass []byte        // pass in its signed form
	passes  passes
	clock   hardStop

	ctx    context.Context // cancelled with the reason why the session ends
	cancel context.CancelCauseFunc

	rec    recorder.Recording
	leaf   *uint64 // of the open leaf
	line   *sessionline.Line
	events sessionline.Events

	listened chan struct{} // closed when the device's events are all read

	bytesIn  atomic.Int64
	bytesOut atomic.Int64
	hidden   atomic.Int64

	first *Channel // its end is in the session's row
	mu    sync.Mutex
	// guarded by mu
	channels map[uint32]*Channel // that were allowed and have not ended
	waiting  map[uint32]*Channel // that were allowed and not opened yet
	starts   map[uint32]*Channel // the device has not named their programs yet
	// actions by which programs were started, by their words, of channels that have ended too
	startedBy map[string]authz.Action
	numbers   uint32    // the last number that was given
	grant     string    // that allows it; empty: a rule does
	toldMore  time.Time // when the frontends were told of another grant
	live      bool      // the first channel has been opened
	over      bool      // no channel is left, and none may be opened any more
	last      *Channel  // the one that ended last

	empty chan struct{} // closed when the last channel has ended
	done  chan struct{} // closed when the record is closed and announced
}

// newSession makes a session with its first channel, which is still to be opened.
func (b *Broker) newSession(sid id.Session, a asked, sink Sink) *Session {
	s := &Session{b: b, id: sid, ask: a.ask, device: a.device, started: b.cfg.Now(), numbers: firstChannel, grant: a.grant,
		waiting: map[uint32]*Channel{}, listened: make(chan struct{}), empty: make(chan struct{}), done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.first = s.newChannel(firstChannel, a.ask.Start, a.action)
	s.first.sink = sink
	s.channels = map[uint32]*Channel{firstChannel: s.first}
	s.startedBy = map[string]authz.Action{}
	s.starts = map[uint32]*Channel{firstChannel: s.first}
	return s
}

// Until is the hard stop.
func (s *Session) Until() time.Time {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	return s.until
}

// openChannels gives the channels that have not ended.
func (s *Session) openChannels() []*Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Channel, 0, len(s.channels))
	for _, c := range s.channels {
		out = append(out, c)
	}
	return out
}

// used gives the actions by which programs were started.
func (s *Session) used() []authz.Action {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.startedBy))
}

// audience gives the channels whose frontends get messages about the session: those that have not ended, or otherwise
// the one that ended last, whose frontend waits for the end of the record.
func (s *Session) audience() []*Channel {
	if open := s.openChannels(); len(open) > 0 {
		return open
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return []*Channel{s.last}
}

// notice sends a session message to all frontends of the session.
func (s *Session) notice(kind, text string) {
	for _, c := range s.audience() {
		c.sink.Notice(kind, text)
	}
}

// left removes a channel that has ended or was not opened. When none is left, the session ends for the reason of the
// channel that ended last.
func (s *Session) left(c *Channel) {
	s.mu.Lock()
	delete(s.channels, c.n)
	if c.running {
		s.last = c
	}
	over := len(s.channels) == 0 && !s.over
	s.over = s.over || over
	last := s.last
	s.mu.Unlock()
	if over {
		s.cancel(context.Cause(last.ctx))
		close(s.empty)
	}
}

// endChannel ends one channel. If it is the last one, the session ends, and the device is told why. A channel that has
// already ended ends nothing, because its frontend may still be there while other channels run.
func (s *Session) endChannel(c *Channel, why *ending) {
	s.mu.Lock()
	alone := len(s.channels) == 1 && s.channels[c.n] == c
	s.mu.Unlock()
	if alone {
		s.cancel(why)
	} else {
		c.cancel(why)
	}
}
