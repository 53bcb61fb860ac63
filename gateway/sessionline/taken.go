package sessionline

import (
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// taken answers a device that asks how much of its output the technician's connection has taken. A device sends at most
// a window ahead of the answer. Otherwise up to 2 MiB, SSH's own window, would wait in this process for each session
// whose client does not read.
type taken struct {
	mu      sync.Mutex // guards what follows
	bytes   uint64     // of both output streams that the sink has taken
	waiting request    // nil: no request waits
	until   uint64     // bytes at which it is answered
}

// request is the part of *ssh.Request that answers it.
type request interface {
	Reply(ok bool, payload []byte) error
}

// asks reports whether r is a request wire.TakenRequest. If so, it answers r now or later.
func (t *taken) asks(r *ssh.Request) bool {
	if r.Type != wire.TakenRequest {
		return false
	}
	t.ask(r, r.WantReply, r.Payload)
	return true
}

// ask answers a request as soon as the technician's connection has taken that many bytes of output. A device has one
// request pending. If a second one comes, ask refuses the first.
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

// add notes that n more bytes of output were taken.
func (t *taken) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bytes += uint64(n); t.bytes >= t.until {
		t.reply(true)
	}
}

// reply answers the pending request. The caller holds t.mu.
func (t *taken) reply(ok bool) {
	if t.waiting != nil {
		_ = t.waiting.Reply(ok, nil) // a broken line also fails on the streams
		t.waiting = nil
	}
}
