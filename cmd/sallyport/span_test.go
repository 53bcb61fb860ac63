package main

import (
	"testing"
	"time"
)

func TestALengthOfTimeIsReadAsPeopleWriteIt(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "7d": 7 * day, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute, "30d": 30 * day,
		"": 0, "d": 0, "-1d": 0, "1.5d": 0, "1d-1h": 0, "1dd": 0, "0d": 0, "0s": 0, "-1h": 0, "99999d": 0, "1d2562047h": 0, "7 d": 0, "+7d": 0,
	} {
		var s span
		err := s.UnmarshalText([]byte(text))
		if got := time.Duration(s); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}
