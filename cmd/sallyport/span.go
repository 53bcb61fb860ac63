package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// span is how long something is good, as people write it: 90m, 12h, 7d, 1d12h.
type span time.Duration

// UnmarshalText makes a flag of it.
func (s *span) UnmarshalText(text []byte) error {
	d, ok := parseSpan(string(text))
	switch {
	case !ok:
		return fmt.Errorf("%q is no length of time; write a number and its unit (m, h, d): 90m, 12h or 7d", text)
	case d <= 0:
		return fmt.Errorf("%q would have ended before it began; write a time above 0: 90m, 12h or 7d", text)
	}
	*s = span(d)
	return nil
}

// parseSpan reads a duration, which may begin with whole days of 24 h.
func parseSpan(text string) (time.Duration, bool) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		return d, err == nil
	}
	n, err := strconv.ParseUint(days, 10, 15)
	if err != nil || rest == "" {
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || d > math.MaxInt64/2 {
		return 0, false
	}
	return time.Duration(n)*24*time.Hour + d, true
}

func (s span) seconds() int64 { return int64(time.Duration(s) / time.Second) }
