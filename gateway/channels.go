package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
)

// channel is the number of a session's only channel: the first that the gateway opens beside the events.
const channel uint32 = 1

// openChannels opens the device's events beside the terminal or the command: far away, each answer is worth not waiting for.
// Meanwhile the record takes in what the device will then be asked.
func (s *Session) openChannels(ctx context.Context) error {
	recorded := beside(s.recordStart)
	events := beside(func() error {
		ch, reqs, err := s.line.Conn.OpenChannel(wire.EventsChannel, nil)
		if err != nil {
			return err
		}
		go ssh.DiscardRequests(reqs)
		s.events = ch
		return nil
	})
	ch, reqs, err := s.line.Conn.OpenChannel("session", nil)
	err = errors.Join(events(), err)
	if unrecorded := recorded(); unrecorded != nil {
		return unrecorded
	}
	if err != nil {
		return deviceSays(err)
	}
	s.ch, s.reqs = ch, reqs
	if err := s.prepare(); err != nil {
		return err
	}
	kind, payload := "shell", []byte(nil)
	if len(s.ask.Argv) > 0 {
		kind, payload = "exec", ssh.Marshal(struct{ Command string }{shellQuote(s.ask.Argv)})
	}
	if err := ctx.Err(); err != nil { // ended meanwhile: nothing starts any more
		return err
	}
	ok, err := ch.SendRequest(kind, true, payload)
	if err != nil {
		return fmt.Errorf("start %s: %w", kind, err)
	}
	if !ok {
		return s.notStarted(kind)
	}
	return nil
}

// notStarted gives the reason that the device told before it answered, and puts it into the record. A program that could not
// be started is no refusal by anybody.
func (s *Session) notStarted(kind string) error {
	heard := make(chan wire.Event, 1)
	go func() {
		defer close(heard)
		for {
			e, err := wire.ReadEvent(s.events)
			if err != nil {
				return
			}
			if e.Kind == wire.EventRefused {
				heard <- e
				return
			}
		}
	}()
	var e wire.Event
	select {
	case e = <-heard:
	case <-time.After(ownClose):
	}
	if err := s.rec.Note(recorder.Note{Kind: "refused", Text: e.Text}); err != nil {
		return err
	}
	text := fmt.Sprintf("%s did not start the %s as %s: ", s.ask.Device, kind, s.ask.Login) + told(e.Text, wire.MaxGrantText, "no reason was given")
	switch e.Source {
	case wire.SourceExec:
		return errkind.New(errkind.Unavailable, text).WithHint("Whoever looks after the machine can mend that; nothing here forbids it.")
	case wire.SourceRequest:
		return errkind.New(errkind.Usage, text).WithHint(askPlainly)
	}
	return errkind.New(errkind.Denied, text).WithHint(askOwner)
}

// prepare sends what belongs before the start; a device that cannot do it refuses the start.
func (s *Session) prepare() error {
	for _, v := range s.ask.Env {
		if _, err := s.ch.SendRequest("env", false, ssh.Marshal(v)); err != nil {
			return err
		}
	}
	p := s.ask.PTY
	if p == nil {
		return nil
	}
	_, err := s.ch.SendRequest("pty-req", false, ssh.Marshal(struct {
		Term                      string
		Cols, Rows, Width, Height uint32
		Modes                     string
	}{p.term(), uint32(p.Cols), uint32(p.Rows), 0, 0, "\x00"}))
	return err
}

// What to do about what a machine, or the size of a terminal, does not allow.
const (
	askOwner  = "The pass or the rules of the machine's owner do not allow it; ask them."
	fitWindow = "Make the window smaller, or work without a terminal: `sallyport shell -T`."
	// askPlainly answers a device that takes less than this gateway: its agent may be older or newer.
	askPlainly = "Set TERM=" + wire.DefaultTerm + " and LANG=" + wire.DefaultLocale + ", without LC_*, and try again."
)

// deviceSays turns a refused channel into what a person reads.
func deviceSays(err error) error {
	var refused *ssh.OpenChannelError
	if !errors.As(err, &refused) {
		return fmt.Errorf("open channel: %w", err)
	}
	text := strings.ToValidUTF8(refused.Message, "?")
	if !wire.PlainText(text, wire.MaxGrantText) {
		text = "no reason was given"
	}
	return errkind.New(errkind.Denied, "the machine refused: "+text).WithHint(askOwner)
}

// Resize tells record and device about a new size.
func (s *Session) Resize(cols, rows int) error {
	if s.ask.PTY == nil {
		return nil
	}
	if cols < 1 || cols > 500 || rows < 1 || rows > 300 {
		return errkind.New(errkind.Usage, "a terminal has 1 to 500 columns and 1 to 300 rows").WithHint(fitWindow)
	}
	if err := s.rec.Resize(channel, uint16(cols), uint16(rows)); err != nil {
		s.stop(err)
		return err
	}
	_, err := s.ch.SendRequest("window-change", false, ssh.Marshal(struct{ Cols, Rows, Width, Height uint32 }{uint32(cols), uint32(rows), 0, 0}))
	return err
}

// signals are the names of RFC 4254 section 6.10.
const signals = " ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2 "

// Signal sends a signal, named without SIG, to what runs, once the record has it.
func (s *Session) Signal(name string) error {
	if name == "" || strings.Contains(name, " ") || !strings.Contains(signals, " "+name+" ") {
		return errkind.New(errkind.Usage, fmt.Sprintf("%.20q is not a signal; the names are%s", name, strings.TrimRight(signals, " ")))
	}
	if err := s.rec.Note(recorder.Note{Kind: "signal", Text: name + " was sent to what runs"}); err != nil {
		s.stop(err)
		return err
	}
	if err := context.Cause(s.ctx); err != nil { // ended while the disk was busy
		return err
	}
	_, err := s.ch.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{name}))
	return err
}
