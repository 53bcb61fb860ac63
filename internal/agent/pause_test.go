package agent

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/wire"
)

// drawn gives the shortest and the longest of many waits.
func drawn(try int, err error) (least, most time.Duration) {
	least = time.Hour * 24
	for range 2000 {
		wait := pause(try, err)
		least, most = min(least, wait), max(most, wait)
	}
	return least, most
}

// TestDevicesDoNotComeBackTogether: a wait is anything below its bound, and what the gateway asks for comes on top.
func TestDevicesDoNotComeBackTogether(t *testing.T) {
	lost := errors.New("the line was lost")
	for try, bound := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 8: 3 * time.Minute, 1000: 3 * time.Minute} {
		if least, most := drawn(try, lost); least > bound/20 || most >= bound || most < bound*19/20 {
			t.Errorf("try %d: got waits from %s to %s, want anything below %s", try, least, most, bound)
		}
	}
	closed := func(code int, text string) error {
		return fmt.Errorf("line: %w", &websocket.CloseError{Code: code, Text: text})
	}
	for what, c := range map[string]struct {
		err        error
		from, upTo time.Duration
	}{
		"a gateway without a place, Retry-After 30": {fmt.Errorf("dial: %w", &wire.DialError{Status: 503, RetryAfter: 30 * time.Second}), 30 * time.Second, 31 * time.Second},
		"a gateway that restarts":                   {closed(1012, "retry-after=7"), 7 * time.Second, 8 * time.Second},
		"one that says so in no number":             {closed(1012, "retry-after=soon"), 0, time.Second},
		"one that would send it away for ever":      {closed(1012, "retry-after=99999999"), time.Hour, time.Hour + time.Second},
		"one that does not know it":                 {closed(wire.CloseUnknown, ""), 2 * time.Minute, 5 * time.Minute},
	} {
		least, most := drawn(0, c.err)
		if span := c.upTo - c.from; least < c.from || least > c.from+span/20 || most >= c.upTo || most < c.upTo-span/20 {
			t.Errorf("%s: got waits from %s to %s, want %s to %s", what, least, most, c.from, c.upTo)
		}
	}
}
