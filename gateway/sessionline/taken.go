package sessionline

import (
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// taken answers a device that asks how far its output has been handed to the technician's connection. A device sends
// no more than a window ahead of the answer: what it sends beyond would wait in this process, 2 MiB of it, the window
// of SSH, for each session whose client does not read.
type taken struct {
	mu      sync.Mutex // guards what follows
	bytes   uint64     // of both output streams, handed to the sink
	waiting request    // nil: no request waits
	until   uint64     // bytes at which it is answered
}

// request is the part of *ssh.Request that answers it.
type request interface {
	Reply(ok bool, payload []byte) error
}

// asks reports whether a request is this question, and then sees to its answer.
func (t *taken) asks(r *ssh.Request) bool {
	if r.Type != wire.TakenRequest {
		return false
	}
	t.ask(r, r.WantReply, r.Payload)
	return true
}

// ask answers a request as soon as so many bytes of output were handed to the technician's connection. A device has one
// request under way; a second one refuses the first.
func (t *taken) ask(r request, wanted bool, payload []byte) {
	var m struct{ Bytes uint64 }
	malformed := ssh.Unmarshal(payload, &m) != nil
	if !wanted {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reply(false)
	t.waiting, t.until = r, m.Bytes
	if malformed {
		t.reply(false)
	} else if t.bytes >= t.until {
		t.reply(true)
	}
}

// add notes that n bytes of output were handed on.
func (t *taken) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bytes += uint64(n); t.bytes >= t.until {
		t.reply(true)
	}
}

// reply answers what waits. The caller holds t.mu.
func (t *taken) reply(ok bool) {
	if t.waiting != nil {
		_ = t.waiting.Reply(ok, nil) // an error shows on the streams as well
		t.waiting = nil
	}
}
