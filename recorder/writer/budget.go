package writer

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// keystroke is the largest input that never waits for the budget, because the key that stops a flood must not wait
// behind it. It is still counted.
const keystroke = 1 << 10

// budget limits how much one session may record: a burst, then a steady rate, and a maximum that ends the session.
// Without it one endless output would fill the disk, and no session could start.
type budget struct {
	burst, rate, most int64
	level             float64   // bytes that may be written now; negative: the writer must wait
	at                time.Time // when level held
	spent             int64
}

func newBudget(burst, rate, most int64, now time.Time) budget {
	return budget{burst: burst, rate: rate, most: most, level: float64(burst), at: now}
}

// spend takes n bytes from the budget and says how long the writer must wait. over means that they exceed the maximum
// and were not taken.
func (b *budget) spend(now time.Time, n int64) (wait time.Duration, over bool) {
	if b.most > 0 && b.spent+n > b.most {
		return 0, true
	}
	b.spent += n
	if b.rate <= 0 {
		return 0, false
	}
	b.level = min(float64(b.burst), b.level+now.Sub(b.at).Seconds()*float64(b.rate))
	b.at = now
	b.level -= float64(n)
	if b.level >= 0 {
		return 0, false
	}
	return time.Duration(-b.level / float64(b.rate) * float64(time.Second)), false
}

// refund gives back bytes that were not written.
func (b *budget) refund(n int64) {
	b.spent -= n
	b.level += float64(n)
}

// afford takes n bytes from the session's budget and blocks until the budget allows them. That also slows the device,
// because nothing reads its session line meanwhile.
func (r *Recording) afford(ctx context.Context, n int, patient bool) error {
	r.mu.Lock()
	wait, over := r.budget.spend(r.n.cfg.Now(), int64(n))
	most := r.budget.most
	r.mu.Unlock()
	if over {
		return r.end(errkind.New(errkind.TooMany, fmt.Sprintf("this session has recorded %s, the most that one session may, so it ends", sizeText(most))).
			WithHint("Open another session. Copy large files in several sessions, or ask the gateway's operator for a larger budget."))
	}
	if wait <= 0 || !patient {
		return nil
	}
	r.tellSlowed()
	return r.pause(ctx, wait, n)
}

// tellSlowed tells the first wait for the budget.
func (r *Recording) tellSlowed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slow {
		return
	}
	r.slow = true
	r.slowed <- fmt.Sprintf("this session goes on at %s a second: at full speed one may record %s",
		sizeText(r.budget.rate), sizeText(r.budget.burst))
}

func (r *Recording) pause(ctx context.Context, wait time.Duration, n int) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	var err error
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-r.stopped:
		err = r.stopError()
	}
	r.mu.Lock()
	r.budget.refund(int64(n))
	r.mu.Unlock()
	return err
}
