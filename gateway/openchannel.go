package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// Limits on the channels of one session: open or waiting to be opened at once, and in all. The device has the second
// limit too.
const (
	maxChannels = 16
	maxNumbers  = wire.MaxChannel
)

// ChannelAsk is a request for one more channel in a running session. It must come from the sign-in or token that opened
// the session.
type ChannelAsk struct {
	Session id.Session
	Person  authz.Person // as they are now
	Key     string       // as of Ask
	Start   sessionline.Start
}

// AskChannel decides whether one more channel may be opened, and keeps the answer for OpenChannel. It returns the
// channel's number. The pass of the session must cover the channel, and the current policy must allow it. A refusal is
// an errkind.Denied. It is recorded, and the session continues.
func (b *Broker) AskChannel(ctx context.Context, a ChannelAsk) (uint32, error) {
	if err := checkStart(&a.Start); err != nil {
		return 0, err
	}
	if err := b.ground(); err != nil {
		return 0, err
	}
	s, err := b.running(a.Session, a.Key)
	if err != nil {
		return 0, err
	}
	c, err := s.wait(a.Start)
	if err != nil {
		return 0, err
	}
	d, refusal, err := b.decideChannel(ctx, c, a.Person)
	if err == nil {
		err = b.keepChannelDecision(ctx, c, a.Person, d, refusal)
	}
	if err == nil && refusal != nil {
		err = errors.Join(refusal, c.recordRefusal(refusal))
	}
	if err != nil {
		s.unwait(c.n)
		return 0, err
	}
	s.mu.Lock()
	c.allowed = true
	s.mu.Unlock()
	if d.Grant != "" && d.Grant != s.underGrant() {
		s.usedGrant(ctx, d.Grant)
	}
	return c.n, nil
}

// running finds a running session of a sign-in or token.
func (b *Broker) running(sid id.Session, key string) (*Session, error) {
	s := b.session(sid)
	if s == nil || s.ask.Key != key {
		return nil, errkind.New(errkind.Conflict, "this sign-in has no running session of that name").
			WithHint("A channel is opened by the sign-in that opened the session. `sallyport sessions list --mine --state live` shows what runs.")
	}
	return s, nil
}

// wait gives a new channel its number, and adds it to those that may be opened.
func (s *Session) wait(start sessionline.Start) (*Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.b.cfg.Now()
	for n, c := range s.waiting {
		if now.After(c.until) {
			delete(s.waiting, n)
		}
	}
	switch {
	case !s.live || s.over || s.ctx.Err() != nil:
		return nil, errNotRunning
	case len(s.channels)+len(s.waiting) >= maxChannels:
		return nil, errkind.New(errkind.TooMany, fmt.Sprintf("a session has at most %d channels at once", maxChannels)).
			WithHint("End one, or open another session.")
	case s.numbers >= maxNumbers:
		return nil, errkind.New(errkind.TooMany, fmt.Sprintf("a session opens at most %d channels", maxNumbers)).
			WithHint("Open another session.")
	}
	s.numbers++
	c := s.newChannel(s.numbers, start, authz.Action{})
	c.until = now.Add(s.b.cfg.AskTime)
	s.waiting[c.n] = c
	return c, nil
}

var errNotRunning = errkind.New(errkind.Conflict, "this session has ended or is still being opened").
	WithHint("Open another session.")

// unwait removes a channel that is not opened.
func (s *Session) unwait(n uint32) {
	s.mu.Lock()
	delete(s.waiting, n)
	s.mu.Unlock()
}

// decideChannel decides by the current policy, within the pass of the session. The device refuses what the pass does
// not name, too. An error means that nothing was decided.
func (b *Broker) decideChannel(ctx context.Context, c *Channel, who authz.Person) (d authz.Decision, refusal *errkind.Error, err error) {
	s := c.s
	dev, why := b.stillFit(ctx, s)
	switch {
	case why != nil:
		return d, nil, errkind.New(errkind.Denied, why.text)
	case dev == nil:
		return d, nil, errUndecided
	}
	snap, now, scope := b.cfg.Rules.Snapshot(), b.cfg.Now(), s.covered()
	q := authz.Request{Person: who, Device: target(s.ask.Device, *dev), Ticket: s.ask.Ticket,
		LiveSessions: b.LiveOn(s.ask.Device) - 1, Opened: s.started}
	covered := false
	action, ok := authz.ActionFor(program(s.ask.Login, &c.start), func(a authz.Action) bool {
		if !scope.Covers(a) {
			return false
		}
		covered, q.Action = true, a
		d = authz.Decide(snap, q, now)
		return d.Allowed
	})
	c.action = action
	switch {
	case ok:
		return d, nil, nil
	case !covered:
		return d, errkind.New(errkind.Denied, fmt.Sprintf("The grant of this session does not name %s.", action)).
			WithHint("Open another session for it."), nil
	}
	e := d.Explain()
	return d, errkind.New(errkind.Denied, e.Text).WithHint(e.Nearest), nil
}

// recordRefusal puts a refused channel into the record of its session.
func (c *Channel) recordRefusal(why *errkind.Error) error {
	text := fmt.Sprintf("channel %d was refused by the gateway: %s; asked for: %s", c.n, why.Text, c.start.Words())
	return c.recorded(c.s.rec.Note(format.Note{Kind: "refused", Text: text, Ch: &c.n}))
}

// OpenChannel redeems an answer of AskChannel: it opens the channel on the session line and starts its program.
func (b *Broker) OpenChannel(ctx context.Context, sid id.Session, n uint32, sink Sink) (*Channel, error) {
	if err := b.ground(); err != nil {
		return nil, err
	}
	c, err := b.takeChannel(sid, n, sink)
	if err != nil {
		return nil, err
	}
	opening, cancel := while(c.ctx, ctx)
	defer cancel()
	if err = b.stillMay(opening, c); err == nil {
		err = c.open(opening)
	}
	if err != nil {
		if cause := context.Cause(c.ctx); cause != nil {
			err = cause
		}
		err = forPeople(err)
		text, _, _ := errkind.ForPeople(err)
		c.cancel(ended("refused: "+text, text))
		c.noteNotOpened(text)
		c.s.left(c)
		close(c.done)
		return nil, err
	}
	go c.run()
	return c, nil
}

// noteNotOpened puts into the record why a channel that was allowed was not opened. Its start may be there already, and
// the device may have begun with it. Where the session ends as well, the close of the record says why.
func (c *Channel) noteNotOpened(text string) {
	if c.s.ctx.Err() != nil {
		return
	}
	text = fmt.Sprintf("channel %d was not opened: %s", c.n, text)
	note := format.Note{Kind: format.NoteChannelEnd, Text: text, Ch: &c.n}
	c.s.lastWord("why a channel was not opened", func() error { return c.s.rec.Note(note) })
}

// takeChannel makes an open channel of an answer. From then on it counts as a channel and can be ended.
func (b *Broker) takeChannel(sid id.Session, n uint32, sink Sink) (*Channel, error) {
	s := b.session(sid)
	if s == nil {
		return nil, errNotRunning
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.waiting[n]
	if c != nil && !c.allowed { // it is still being decided
		c = nil
	} else {
		delete(s.waiting, n)
	}
	switch {
	case s.over || s.ctx.Err() != nil:
		return nil, errNotRunning
	case c == nil || b.cfg.Now().After(c.until):
		return nil, errkind.New(errkind.Conflict, "this permission to open a channel was used already or is older than 30 s").
			WithHint("Ask for the channel again.")
	}
	c.sink = sink
	s.channels[n], s.starts[n] = c, c
	return c, nil
}

// open opens the channel on the session line. It returns when ctx ends, even if the device has not answered. SSH cannot
// cancel an open: a channel that opens afterwards is closed at once.
func (c *Channel) open(ctx context.Context) error {
	line, err := orEnd(ctx, func() (*sessionline.Channel, error) { return c.s.line.Open(ctx, c.n, c.start) },
		(*sessionline.Channel).Close)
	return c.opened(line, err)
}

// orEnd gives what open gives, or the cause of the end of ctx if that comes first. What open gives afterwards is
// dropped: whoever gets neither would leave it open.
func orEnd[T any](ctx context.Context, open func() (T, error), drop func(T)) (T, error) {
	type answer struct {
		v   T
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		v, err := open()
		answered <- answer{v, err}
	}()
	select {
	case a := <-answered:
		return a.v, a.err
	case <-ctx.Done():
		go func() {
			if a := <-answered; a.err == nil {
				drop(a.v)
			}
		}()
		var none T
		return none, context.Cause(ctx)
	}
}
