package api

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// How many answers one person has under way, and how many of their requests wait for a place. An answer is held in memory until its
// client has taken it, which it may never do; and a program may well ask for a hundred things at once, so that more of them wait.
const (
	mostUnderWay = 16
	mostWaiting  = 512
	placeTime    = 10 * time.Second
)

// underWay are the people to whom something is being answered.
type underWay struct {
	mu  sync.Mutex // guards all, and the counts in it
	all map[string]*places
}

type places struct {
	taken chan struct{}
	asked int // for a place or in one
}

// begin waits for a place; done gives it back.
func (u *underWay) begin(ctx context.Context, who string) (done func(), err error) {
	p, ok := u.ask(who)
	if !ok {
		return nil, errBusy
	}
	late := time.NewTimer(placeTime)
	defer late.Stop()
	select {
	case p.taken <- struct{}{}:
		return func() { <-p.taken; u.leave(who, p) }, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-late.C:
		err = errBusy
	}
	u.leave(who, p)
	return nil, err
}

var errBusy = errkind.New(errkind.TooMany, "too many of your requests are being answered").WithHint("Wait until some of them have their answer, and read those that are there.")

func (u *underWay) ask(who string) (*places, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.all[who]
	if p == nil {
		if u.all == nil {
			u.all = map[string]*places{}
		}
		p = &places{taken: make(chan struct{}, mostUnderWay)}
		u.all[who] = p
	}
	if p.asked >= mostUnderWay+mostWaiting {
		return nil, false
	}
	p.asked++
	return p, true
}

func (u *underWay) leave(who string, p *places) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if p.asked--; p.asked == 0 {
		delete(u.all, who)
	}
}
