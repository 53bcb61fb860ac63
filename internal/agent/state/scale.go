//go:build !testclock

package state

import "time"

func bootScale(d time.Duration) time.Duration { return d }

// Wall is the machine's own clock. Only TLS looks at it, and the log.
func Wall() time.Time { return time.Now() }
