package rendezvous

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/internal/wire"
)

// An owner who freezes, looks and thaws is heard each time; a device that does nothing else waits for later pings, since each
// is an event in the log. So is each change of what a device says is between it and the gateway.
const (
	flipBurst = 10
	flipEvery = 5 * time.Second
	fewFlips  = 256     // devices; with more of them, those that have been quiet are forgotten
	mostFlips = 1 << 14 // with as many that have not, another one waits too
)

// flips are how often devices have changed something to and fro lately. It is a device's, not its line's: a new line is quickly made.
type flips struct {
	mu    sync.Mutex // guards what follows
	all   map[wire.Hash]*rate.Limiter
	swept time.Time
}

func newFlips() *flips { return &flips{all: map[wire.Hash]*rate.Limiter{}} }

func (f *flips) allow(fp wire.Hash, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.all[fp]
	if l == nil {
		if f.forget(now); len(f.all) >= mostFlips {
			return false
		}
		l = rate.NewLimiter(rate.Every(flipEvery), flipBurst)
		f.all[fp] = l
	}
	return l.AllowN(now, 1)
}

// forget drops the devices whose burst is whole again: that makes no difference to them.
func (f *flips) forget(now time.Time) {
	if len(f.all) < fewFlips || now.Sub(f.swept) < flipEvery {
		return
	}
	f.swept = now
	for fp, l := range f.all {
		if l.TokensAt(now) >= flipBurst {
			delete(f.all, fp)
		}
	}
}
