package gateway

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// Reasons why sessions end, as rows, records and pages show them.
const (
	ByTechnician   = "technician"
	ByExit         = "exit"
	ByGrantEnd     = "grant ended"
	ByWithdrawal   = "withdrawn"
	ByLock         = "locked"
	ByRecorder     = "recorder failed"
	ByDeviceLost   = "device lost"
	ByDrain        = "drain"
	ByGatewayCrash = "gateway crashed"
	BySignOut      = "signed out"
	ByOwner        = "owner froze"
	ByOwnersRules  = "owner's rules"
	ByIdle         = "idle"
	ByDevice       = "device ended"
	ByBudget       = "recorded too much"
	ByStore        = "database failed"
)

// ending is the reason why a session ends, and the cancel cause of its context. The text is for the technician.
type ending struct {
	reason string
	text   string
}

func (e *ending) Error() string { return e.text }

func ended(reason, text string) *ending { return &ending{reason, text} }

// stop ends the session because of an error of the recorder or the line. The first cause wins.
func (s *Session) stop(err error) {
	var e *ending
	if errors.As(err, &e) {
		s.cancel(e)
		return
	}
	text, _, _ := errkind.ForPeople(err)
	if rerr := s.rec.Err(); rerr != nil {
		text, _, _ = errkind.ForPeople(rerr)
		reason := ByRecorder
		if errkind.KindOf(rerr) == errkind.TooMany {
			reason = ByBudget
		}
		s.cancel(ended(reason, text))
		return
	}
	s.cancel(ended(ByDeviceLost, text))
}

// run carries the session from its prompt to its end.
func (s *Session) run() {
	s.clock.arm(s)
	var all sync.WaitGroup
	running, over := context.WithCancel(s.ctx)
	all.Go(func() { s.announceProgress(running) })
	all.Go(func() { s.tellSlowed(running) })
	select {
	case <-s.empty:
	case <-s.ctx.Done():
		s.tellDevice()
	case <-s.rec.Failed():
		s.stop(s.rec.Err())
		s.tellDevice()
	}
	s.clock.disarm()
	over()
	s.line.Close() // what has arrived on its channels can still be read
	<-s.empty
	all.Wait()
	s.lastWord("what the device still told", func() error { <-s.listened; return nil })
	s.close()
}

// tellSlowed tells everybody at the session why it has become slow.
func (s *Session) tellSlowed(ctx context.Context) {
	select {
	case text := <-s.rec.Slowed():
		s.notice("slow", text)
	case <-ctx.Done():
	}
}

// tellDevice tells the device why the session ends, and gives it a moment to close the session line itself. If the
// gateway closed the line first, the device would only know that its line was lost.
func (s *Session) tellDevice() {
	s.b.cfg.Lines.End(s.device.FP, s.id, s.reason())
	select {
	case <-s.line.Gone():
	case <-time.After(ownClose):
	}
}

// ownClose is how long a device may take to end a session after it was told to.
const ownClose = 300 * time.Millisecond

// stuckDoor is how long an ended session waits for a frontend to take the last output.
const stuckDoor = 5 * time.Second

// reason says why the session ended.
func (s *Session) reason() string { return reasonOf(context.Cause(s.ctx)) }

func reasonOf(cause error) string {
	if e, ok := errors.AsType[*ending](cause); ok {
		return e.reason
	}
	return ByExit
}

// close ends record, log and row, in this order. It does so after every kind of end.
func (s *Session) close() {
	s.lastWord("what the device did not tell", s.silent)
	s.finish(s.reason())
	s.b.forget(s)
}

// lastWord records something at an end. The end does not wait for a disk that hangs. Then the write continues in the
// background, or fails when the recording is closed.
func (s *Session) lastWord(what string, write func() error) {
	wrote := make(chan error, 1)
	go func() { wrote <- write() }()
	err := error(errClosing)
	select {
	case err = <-wrote:
	case <-time.After(s.b.cfg.CloseTime):
	}
	if err != nil {
		s.b.cfg.Log.Warn("an end is not complete in the record", slog.String("session", s.id.String()), slog.String("what", what), slog.Any("error", err))
	}
}

// fail ends recording, log and row of a session that did not start.
func (s *Session) fail(err error) {
	text, _, _ := errkind.ForPeople(err)
	var e *ending
	reason := "refused: " + text
	if errors.As(err, &e) {
		reason = e.reason
	}
	if s.line != nil {
		s.line.Close()
	}
	s.b.cfg.Lines.End(s.device.FP, s.id, reason)
	if s.rec != nil {
		s.finish(reason)
	} else {
		s.b.cfg.Log.Info("a session was not started", slog.String("session", s.id.String()), slog.String("reason", reason))
		ctx, cancel := context.WithTimeout(context.Background(), s.b.cfg.CloseTime)
		defer cancel()
		now := s.b.cfg.Now()
		edit := func(row *store.Session) { row.State, row.Ended, row.EndReason = store.Refused, now, reason }
		s.b.settle(ctx, s.id, "that it was not started", func(ctx context.Context) error { return s.changeNow(ctx, edit) })
	}
	s.cancel(ended(reason, text))
	s.b.forget(s)
}

// forget removes a closed session from the live ones, and reports its end after that. A client that learns of the end
// and requests its next session at once must find the place free.
func (b *Broker) forget(s *Session) {
	b.mu.Lock()
	delete(b.live, s.id)
	b.mu.Unlock()
	close(s.done)
	b.ended.Done()
}
