package supervise

import (
	"io"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// askAfter is how much output is sent before the device asks again how much of it was taken.
const askAfter = wire.OutputWindow / 4

// outflow limits a channel's output to a window beyond what the technician's connection has taken. With SSH's own
// window alone, the gateway would hold 2 MiB for each session whose client does not read. If the gateway refuses the
// request, SSH's window alone counts.
type outflow struct {
	ch ssh.Channel

	mu     sync.Mutex // guards what follows
	moved  *sync.Cond
	sent   uint64 // bytes of both streams
	taken  uint64 // of them
	asking bool
	off    bool // the gateway does not answer
}

func newOutflow(ch ssh.Channel) *outflow {
	o := &outflow{ch: ch}
	o.moved = sync.NewCond(&o.mu)
	return o
}

// to gives a writer to one of the channel's streams.
func (o *outflow) to(stream io.Writer) io.Writer { return &outstream{o, stream} }

type outstream struct {
	*outflow
	to io.Writer
}

func (s *outstream) Write(p []byte) (int, error) {
	s.reserve(uint64(len(p)))
	n, err := s.to.Write(p)
	s.ask()
	return n, err
}

// reserve waits until n more bytes fit into the window. One write is smaller than the window.
func (o *outflow) reserve(n uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.off && o.sent-o.taken+n > wire.OutputWindow {
		o.moved.Wait()
	}
	o.sent += n
}

// ask asks the gateway, unless a request is pending or little was sent since the last answer.
func (o *outflow) ask() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asking || o.off || o.sent-o.taken < askAfter {
		return
	}
	o.asking = true
	go o.question(o.sent)
}

// question waits for the answer that all output up to upto was taken.
func (o *outflow) question(upto uint64) {
	ok, err := o.ch.SendRequest(wire.TakenRequest, true, ssh.Marshal(struct{ Bytes uint64 }{upto}))
	o.mu.Lock()
	o.asking = false
	if o.off = err != nil || !ok; !o.off {
		o.taken = upto
	}
	o.moved.Broadcast()
	o.mu.Unlock()
	o.ask()
}
