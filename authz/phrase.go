package authz

import (
	"fmt"
	"strings"
	"time"
)

// terms says what a request costs: "ticket, one shift lead, up to 4 h".
func (a *ask) terms() string {
	var parts []string
	for _, f := range a.askFor {
		if f != "reason" || !a.emergency {
			parts = append(parts, f)
		}
	}
	for _, ap := range a.agree {
		parts = append(parts, ap.text())
	}
	if len(a.agree) == 0 && !a.emergency {
		parts = append(parts, "nobody has to agree")
	}
	parts = append(parts, "up to "+span(a.atMost))
	if a.emergency {
		parts = append(parts, fmt.Sprintf("%s told, reviewed within %s", list(names(a.tell), "and"), span(a.reviewWithin)))
	}
	return strings.Join(parts, ", ")
}

// text says who agrees: "one shift lead", "two shift leads", "the owner".
func (ap approval) text() string {
	if ap.from == "@owner" {
		if ap.count == 1 {
			return "the owner"
		}
		return number(ap.count) + " owners"
	}
	return count(ap.count, singular(ap.from))
}

func names(who []string) []string {
	out := make([]string, len(who))
	for i, w := range who {
		out[i] = w
		if w == "@owner" {
			out[i] = "the owner"
		}
	}
	return out
}

// singular makes one member out of a group's name where English lets it: shift-leads, a shift lead. Other
// names become "member of it-security".
func singular(group string) string {
	words := strings.ReplaceAll(group, "-", " ")
	switch {
	case strings.HasSuffix(words, "ies") && len(words) > 4:
		return words[:len(words)-3] + "y"
	case strings.HasSuffix(words, "s") && !strings.HasSuffix(words, "ss"):
		return words[:len(words)-1]
	}
	return "member of " + group
}

func plural(noun string) string {
	switch {
	case strings.HasPrefix(noun, "member of "):
		return "members" + strings.TrimPrefix(noun, "member")
	case strings.HasSuffix(noun, "y") && len(noun) > 1 && !strings.ContainsRune("aeiou", rune(noun[len(noun)-2])):
		return noun[:len(noun)-1] + "ies"
	}
	return noun + "s"
}

// count says a number of things: "one session", "two sessions".
func count(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return number(n) + " " + plural(noun)
}

func number(n int) string {
	words := []string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}
	if n >= 0 && n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}

func is(n int) string {
	if n == 1 {
		return "is one"
	}
	return "are " + number(n)
}

// span says a length of time: "4 h", "1 h 30 min", "20 s", "7 d".
func span(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d d", d/day)
	}
	var out []string
	for _, u := range []struct {
		unit time.Duration
		word string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.unit; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, u.word))
			d -= n * u.unit
		}
	}
	return or(strings.Join(out, " "), "0 s")
}

// weekTime says a moment in a window's zone: "Mon 07:00".
func weekTime(t time.Time, w *window) string { return t.In(w.zone).Format("Mon 15:04") }

// moment says an end in the zone of the window it comes from, as far as that is known.
func (d *Decision) moment(t time.Time) string {
	if r := d.snap.Policy.byID[d.Rule]; r != nil && r.open != nil {
		return t.In(r.open.zone).Format("Mon 15:04 (MST)")
	}
	return t.Format("Mon 15:04 (MST)")
}
