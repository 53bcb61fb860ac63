package cedar

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// stretch is one window of real time.
type stretch struct{ from, to time.Time }

// reach is how many days from a world's moment the stretches of its hours are written out, near how many questions are asked.
const reach, near = 9, 4

// stretches writes hours out as what they are near a moment: from then to then, one for each day. Cedar knows neither
// weeks nor zones.
func (h hours) stretches(t testing.TB, around time.Time) []stretch {
	t.Helper()
	zone, err := time.LoadLocation(h.Zone)
	if err != nil {
		t.Fatal(err)
	}
	y, m, d := around.In(zone).Date()
	var out []stretch
	for ahead := -reach; ahead <= reach; ahead++ {
		date := time.Date(y, m, d+ahead, 0, 0, 0, 0, time.UTC)
		if !slices.Contains(h.Days, strings.ToLower(date.Weekday().String()[:3])) {
			continue
		}
		last := date
		if h.To <= h.From {
			last = date.AddDate(0, 0, 1)
		}
		s := stretch{comes(zone, date, h.From), comes(zone, last, h.To)}
		if s.from.Before(s.to) {
			out = append(out, s)
		}
	}
	return out
}

type moment struct{ zone, date, clock string }

var came = map[moment]time.Time{}

// comes finds the first quarter of an hour at which clocks in a zone have reached a time of day, by looking at one after the
// other. Hours here begin and end on quarters, and clocks change on them.
func comes(zone *time.Location, date time.Time, clock string) time.Time {
	k := moment{zone.String(), date.Format(time.DateOnly), clock}
	if at, ok := came[k]; ok {
		return at
	}
	var hour, minute int
	fmt.Sscanf(clock, "%d:%d", &hour, &minute)
	wanted := date.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
	at := date.Add(-38 * time.Hour)
	for shown(at.In(zone)).Before(wanted) {
		at = at.Add(15 * time.Minute)
	}
	came[k] = at
	return at
}

// shown is what a clock shows, as if it stood in Greenwich.
func shown(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC)
}

// cedar is a condition that holds within the hours.
func (h hours) cedar(t testing.TB, around time.Time) string {
	var out []string
	for _, s := range h.stretches(t, around) {
		out = append(out, fmt.Sprintf("context.now >= %s && context.now < %s", moments(s.from), moments(s.to)))
	}
	return or(out)
}

func moments(at time.Time) string {
	return fmt.Sprintf("datetime(%q)", at.UTC().Format("2006-01-02T15:04:05.000Z"))
}
