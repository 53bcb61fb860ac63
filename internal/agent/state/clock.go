package state

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/wire"
)

// Boot reads CLOCK_BOOTTIME: it goes on while the machine sleeps, and nobody can set it.
func Boot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return bootScale(time.Duration(ts.Nano()))
}

// Clock is a device's idea of the time, from one signed status and CLOCK_BOOTTIME alone. Wall clocks of devices are
// wrong, and can be set by whoever wants an expired pass to be good again.
type Clock struct {
	Status time.Time     // as signed
	Sent   time.Duration // boot time when the nonce that it answers was sent
	Got    time.Duration // boot time when it came
}

// NewClock begins at a status that has just come.
func NewClock(st wire.Status, sent time.Duration) Clock {
	return Clock{Status: time.UnixMilli(st.Time), Sent: sent, Got: Boot()}
}

// At gives the interval that the true time lies in. It was signed somewhere between the nonce's sending and the
// answer's coming.
func (c Clock) At(boot time.Duration) (low, high time.Time) {
	return c.Status.Add(boot - c.Got), c.Status.Add(boot - c.Sent)
}

// Now is At the present.
func (c Clock) Now() (low, high time.Time) { return c.At(Boot()) }

// Known reports whether a status ever came.
func (c Clock) Known() bool { return !c.Status.IsZero() }
