package authz

import (
	"fmt"
	"strings"
	"time"
)

// window is a weekly window of time in a zone: on these days, from a wall-clock time to another, into the
// next day where the end is not after the start.
//
// Clocks that change are read so that a window is one stretch of real time with one beginning and one end:
// a wall-clock time that comes twice means its first coming, one that is skipped means the moment of the skip.
type window struct {
	name     string
	zone     *time.Location
	days     [7]bool // by time.Weekday
	from, to int     // minutes after midnight, to in (0, 1440]
}

const day = 24 * time.Hour

// contains reports whether now is inside, and when the stretch that now lies in ends. Windows that touch (to
// 24:00 and from 00:00) are one stretch, up to a week.
func (w *window) contains(now time.Time) (until time.Time, inside bool) {
	end, ok := w.stretch(now)
	for i := 0; ok && i < 8; i++ {
		until, inside = end, true
		end, ok = w.stretch(end)
		ok = ok && end.After(until)
	}
	return until, inside
}

// stretch finds the one window around now: it began today or yesterday.
func (w *window) stretch(now time.Time) (time.Time, bool) {
	local := now.In(w.zone)
	y, m, d := local.Date()
	today := local.Weekday()
	steady := w.steady(local)
	for back := 0; back < 2; back++ {
		if !w.days[(int(today)+7-back)%7] || back == 1 && w.to > w.from {
			continue
		}
		start, end := w.bounds(y, m, d-back, steady)
		if !now.Before(start) && now.Before(end) {
			return end, true
		}
	}
	return time.Time{}, false
}

// steady reports that no clock change is within two days, which spares the exact arithmetic.
func (w *window) steady(local time.Time) bool {
	start, end := local.ZoneBounds()
	return (start.IsZero() || local.Sub(start) > 2*day) && (end.IsZero() || end.Sub(local) > 2*day)
}

func (w *window) bounds(y int, m time.Month, d int, steady bool) (start, end time.Time) {
	next := d
	if w.to <= w.from {
		next++
	}
	if steady {
		return time.Date(y, m, d, 0, w.from, 0, 0, w.zone), time.Date(y, m, next, 0, w.to, 0, 0, w.zone)
	}
	return wall(y, m, d, w.from, w.zone), wall(y, m, next, w.to, w.zone)
}

// wall finds the moment at which clocks in zone show that time.
func wall(y int, m time.Month, d, minute int, zone *time.Location) time.Time {
	asUTC := time.Date(y, m, d, 0, minute, 0, 0, time.UTC)
	_, before := asUTC.Add(-day).In(zone).Zone()
	_, after := asUTC.Add(day).In(zone).Zone()
	early := asUTC.Add(-time.Duration(max(before, after)) * time.Second).In(zone)
	late := asUTC.Add(-time.Duration(min(before, after)) * time.Second).In(zone)
	switch {
	case shows(early, asUTC):
		return early
	case shows(late, asUTC):
		return late
	}
	skip, _ := late.ZoneBounds()
	return skip
}

func shows(t, asUTC time.Time) bool {
	return t.Hour() == asUTC.Hour() && t.Minute() == asUTC.Minute() && t.Day() == asUTC.Day()
}

// opens gives the next moment the window begins after now, within eight days.
func (w *window) opens(now time.Time) (time.Time, bool) {
	y, m, d := now.In(w.zone).Date()
	for ahead := 0; ahead <= 8; ahead++ {
		start, _ := w.bounds(y, m, d+ahead, false)
		if w.days[start.In(w.zone).Weekday()] && start.After(now) {
			return start, true
		}
	}
	return time.Time{}, false
}

var dayWords = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// String says the window in words: "mon to fri 07:00 to 19:00 (Europe/Berlin)".
func (w *window) String() string {
	return fmt.Sprintf("%s %s to %s (%s)", w.dayList(), clock(w.from), clock(w.to), w.zone)
}

// dayList names runs of days from Monday on.
func (w *window) dayList() string {
	var out []string
	for i := 1; i <= 7; i++ {
		if !w.days[i%7] {
			continue
		}
		j := i
		for j < 7 && w.days[(j+1)%7] {
			j++
		}
		switch {
		case i == 1 && j == 7:
			return "every day"
		case j-i >= 2:
			out = append(out, dayWords[i%7]+" to "+dayWords[j%7])
		default:
			for k := i; k <= j; k++ {
				out = append(out, dayWords[k%7])
			}
		}
		i = j
	}
	return strings.Join(out, ", ")
}

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// readWindow reads [hours.NAME] of a policy and [hours] of an owner.
func readWindow(t *table, name string) *window {
	w := &window{name: name}
	ok := t.must("zone", `zone = "Europe/Berlin"`) && t.must("days", `days = ["mon", "tue", "wed", "thu", "fri"]`) &&
		t.must("from", `from = "07:00"`) && t.must("to", `to = "19:00"`)
	w.zone = readZone(t)
	for _, n := range t.words("days", `days = ["mon", "tue", "wed", "thu", "fri"]`) {
		i := dayIndex(n.text)
		if i < 0 {
			t.problem(n.line, "mon, tue, wed, thu, fri, sat or sun", "%s: %q is not a day", t.what, clip(n.text))
			continue
		}
		w.days[i] = true
	}
	w.from, w.to = readClock(t, "from", 0), readClock(t, "to", 1)
	if ok && w.from == w.to {
		t.problem(t.line("to"), `hours = "always" in the rule, or two different times`, "%s: from and to are the same", t.what)
	}
	return w
}

func dayIndex(word string) int {
	for i, d := range dayWords {
		if d == word {
			return i
		}
	}
	return -1
}

// readZone takes a place, never "Local": two machines must read one policy alike.
func readZone(t *table) *time.Location {
	name := t.str("zone", `zone = "Europe/Berlin"`)
	if name == "" {
		return time.UTC
	}
	z, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		t.problem(t.line("zone"), `a place as in "Europe/Berlin", or "UTC"`, "%s: the zone %q is not known", t.what, clip(name))
		return time.UTC
	}
	return z
}

func readClock(t *table, key string, least int) int {
	s := t.str(key, key+` = "07:00"`)
	if s == "" {
		return 0
	}
	var h, m int
	if len(s) == 5 && s[2] == ':' && isNumber(s[:2]) && isNumber(s[3:]) {
		h, m = int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
		if at := h*60 + m; m < 60 && at <= 1440 && (at < 1440 || least == 1) {
			if at == 0 && least == 1 {
				at = 1440 // to midnight
			}
			return at
		}
	}
	t.problem(t.line(key), key+` = "07:00"`, "%s: %s = %q is not a time of day", t.what, key, clip(s))
	return 0
}
