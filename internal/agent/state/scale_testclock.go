//go:build testclock

package state

import (
	"os"
	"strconv"
	"time"
)

// A binary built for tests can be told to let time pass faster, and to have a wrong wall clock. No other has this code.
func bootScale(d time.Duration) time.Duration {
	if n, err := strconv.Atoi(os.Getenv("SALLYPORT_TEST_SPEED")); err == nil && n > 0 {
		return d * time.Duration(n)
	}
	return d
}

// Wall is the machine's own clock, as the test wants it: seconds, or a file of them, whose content the test changes.
func Wall() time.Time {
	text := os.Getenv("SALLYPORT_TEST_WALL")
	if raw, err := os.ReadFile(text); err == nil {
		text = string(raw)
	}
	if s, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(s, 0)
	}
	return time.Now()
}
