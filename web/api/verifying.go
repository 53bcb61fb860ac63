package api

import (
	"sync"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
)

// mostVerifying is how many records are verified at once. Each reads and hashes whole recordings, and may ask the signer for
// tens of thousands of entries while sessions wait for it; and everybody may have their own verified.
const mostVerifying = 4

// verifying are the people for whom a record is verified now: one each.
type verifying struct {
	mu  sync.Mutex // guards who
	who map[id.Principal]struct{}
}

func (v *verifying) begin(p id.Principal) (done func(), err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, already := v.who[p]; already {
		return nil, errkind.New(errkind.TooMany, "a record is being verified for you already").WithHint("Wait until that has its answer.")
	}
	if len(v.who) >= mostVerifying {
		return nil, errkind.New(errkind.Unavailable, "as many records as this gateway can take at once are being verified").WithHint("Try again in a few seconds.")
	}
	if v.who == nil {
		v.who = map[id.Principal]struct{}{}
	}
	v.who[p] = struct{}{}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.who, p)
	}, nil
}
