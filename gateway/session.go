package gateway

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
)

// Session is one technician on one device. Its methods may be called by several goroutines.
type Session struct {
	b       *Broker
	id      id.Session
	ask     Ask
	device  store.Device
	action  string
	sink    Sink
	started time.Time     // as until, under b.mu while it opens: others look at it
	until   time.Time     // hard stop: the pass's
	opened  signer.Opened // what announced it

	ctx    context.Context // cancelled with the reason why the session ends
	cancel context.CancelCauseFunc

	rec    *recorder.Recording
	leaf   *uint64 // of the open leaf
	line   *SessionLine
	events ssh.Channel
	ch     ssh.Channel
	reqs   <-chan *ssh.Request

	in       sync.Mutex // guards inEnded and the order of typed bytes: recorded and forwarded in the same order
	inEnded  bool       // the end of input was sent
	bytesIn  atomic.Int64
	bytesOut atomic.Int64
	hidden   atomic.Int64
	taken    taken

	exit    recorder.Exit // set by the requests' goroutine before it ends
	exited  bool
	outcome Outcome
	done    chan struct{}
}

// Outcome says how a session ended. Status is nil where no program ended by itself.
type Outcome struct {
	Status *int
	Signal string
	Reason string
}

// ID names the session.
func (s *Session) ID() id.Session { return s.id }

// Until is the hard stop.
func (s *Session) Until() time.Time {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	return s.until
}

// Wait returns once the session is closed: all output was given to the sink, the record is closed and announced.
func (s *Session) Wait() Outcome {
	<-s.done
	return s.outcome
}

// Done is closed when Wait would return.
func (s *Session) Done() <-chan struct{} { return s.done }

// maxTyped bounds one Write, so that a paste does not wait for one huge sync.
const maxTyped = 16 << 10

// Write takes typed bytes: each stretch is in the record, and durable, before it goes to the device.
func (s *Session) Write(p []byte) (int, error) {
	s.in.Lock()
	defer s.in.Unlock()
	return s.write(p)
}

// write is Write. The caller holds s.in.
func (s *Session) write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		part := p[:min(len(p), maxTyped)]
		if err := s.thawed(); err != nil {
			return n, err
		}
		if err := s.rec.Input(s.ctx, channel, 0, part); err != nil {
			s.stop(err)
			return n, err
		}
		if err := context.Cause(s.ctx); err != nil { // ended while the disk was busy: recorded, not forwarded
			return n, err
		}
		if _, err := s.ch.Write(part); err != nil {
			return n, errkind.New(errkind.Unavailable, "the machine no longer takes input").Because(err)
		}
		s.bytesIn.Add(int64(len(part)))
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

// endOfFile is what a terminal takes for the end of what is typed (termios VEOF).
const endOfFile = 4

// CloseInput says that nothing more is typed: the program reads an end of file. At a terminal that is a character like any
// other: were it the device that typed it, the program would receive a byte that the record has not. The record has the
// end before it leaves, with and without a terminal. Only the first call does anything.
func (s *Session) CloseInput() error {
	s.in.Lock()
	defer s.in.Unlock()
	if s.inEnded {
		return nil
	}
	if s.ask.PTY != nil {
		if _, err := s.write([]byte{endOfFile}); err != nil {
			return err
		}
	}
	if err := s.thawed(); err != nil {
		return err
	}
	if err := s.rec.Note(recorder.Note{Kind: recorder.NoteInputEnd, Text: "the end of input was sent"}); err != nil {
		s.stop(err)
		return err
	}
	if err := context.Cause(s.ctx); err != nil { // ended while the disk was busy
		return err
	}
	s.inEnded = true
	return s.ch.CloseWrite()
}

// Stretches of output. What comes while the disk is busy is read at once after, so a flood needs as few syncs as it
// has large stretches; a prompt needs no more than the least.
const (
	leastOutput = 4 << 10
	mostOutput  = 128 << 10
	maxShown    = 32 << 10 // given to a sink at once
	calm        = 32       // small reads in a row, after which a large buffer is given back
)

// pump carries one output stream: durable first, shown after. It returns at the stream's end.
func (s *Session) pump(r io.Reader, stream uint8) error {
	buf, small := make([]byte, leastOutput), 0
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if werr := s.show(stream, buf[:n]); werr != nil {
				return werr
			}
		}
		switch small++; {
		case n == len(buf) && n < mostOutput:
			buf, small = make([]byte, 2*n), 0
		case n > leastOutput:
			small = 0
		case small >= calm && len(buf) > leastOutput:
			buf = make([]byte, leastOutput)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *Session) show(stream uint8, p []byte) error {
	if err := s.rec.Output(s.ctx, channel, stream, p); err != nil {
		return err
	}
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	s.bytesOut.Add(int64(len(p)))
	for len(p) > 0 {
		part := p[:min(len(p), maxShown)]
		if err := s.sink.Output(stream, part); err != nil {
			return err
		}
		p = p[len(part):]
		s.taken.add(len(part))
	}
	return nil
}
