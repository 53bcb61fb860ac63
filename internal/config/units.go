package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as "20GiB".
type Size int64

var sizeUnits = []struct {
	word string
	n    int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// UnmarshalText reads a whole number and a unit.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		if num, ok := strings.CutSuffix(string(text), u.word); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 32)
			if err == nil && n >= 0 {
				*s = Size(n * u.n)
				return nil
			}
		}
	}
	return fmt.Errorf("%q is not a size; write it as 500MiB or 20GiB", text)
}

// String writes the largest unit that divides it.
func (s Size) String() string {
	for i := len(sizeUnits) - 1; i >= 0; i-- {
		if u := sizeUnits[i]; int64(s) >= u.n && int64(s)%u.n == 0 {
			return fmt.Sprintf("%d%s", int64(s)/u.n, u.word)
		}
	}
	return fmt.Sprintf("%d bytes", int64(s))
}

// Duration is a length of time, written as "400d", "12h" or "30m".
type Duration time.Duration

// UnmarshalText reads what String writes, and Go's own form.
func (d *Duration) UnmarshalText(text []byte) error {
	t := string(text)
	if num, ok := strings.CutSuffix(t, "d"); ok {
		if n, err := strconv.Atoi(num); err == nil && n >= 0 && n < 36500 {
			*d = Duration(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(t)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a length of time; write it as 400d, 12h or 30m", t)
	}
	*d = Duration(v)
	return nil
}

// String writes days where it is whole days.
func (d Duration) String() string {
	t := time.Duration(d)
	if day := 24 * time.Hour; t >= day && t%day == 0 {
		return fmt.Sprintf("%dd", t/day)
	}
	return t.String()
}
