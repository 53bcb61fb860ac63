package authz

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// table reads the keys of one TOML table, remembers which keys it was asked for, and reports the rest. What
// names the table in problems: `allow "A1"`.
type table struct {
	out   *Problems
	file  string
	what  string
	n     *node
	known []string
}

func (t *table) problem(line int, write, format string, args ...any) {
	*t.out = append(*t.out, Problem{File: t.file, Line: line, Text: fmt.Sprintf(format, args...), Write: write})
}

func (t *table) key(key string) *node {
	t.known = append(t.known, key)
	return t.n.vals[key]
}

func (t *table) has(key string) bool { return t.n.vals[key] != nil }

// line gives the line of a key, or of the table where the key is absent.
func (t *table) line(key string) int {
	if v := t.n.vals[key]; v != nil {
		return v.line
	}
	return t.n.line
}

// must reports a key that is not there.
func (t *table) must(key, write string) bool {
	if t.n.vals[key] == nil {
		t.known = append(t.known, key)
		t.problem(t.n.line, write, "%s has no %q", t.what, key)
		return false
	}
	return true
}

// done reports the keys that were not read.
func (t *table) done() {
	for _, k := range t.n.keys {
		if slices.Contains(t.known, k) {
			continue
		}
		write := near(k, t.known)
		if write != "" {
			write = fmt.Sprintf("%s = …", write)
		} else {
			write = "one of " + strings.Join(t.known, ", ")
		}
		t.problem(t.n.vals[k].line, write, "%s: the key %q is not known", t.what, k)
	}
}

// str reads a string; "" if it is absent or wrong.
func (t *table) str(key, write string) string {
	n := t.key(key)
	if n == nil {
		return ""
	}
	if n.kind != unstable.String || n.text == "" {
		t.problem(n.line, write, "%s: %s wants a text in quotes", t.what, key)
		return ""
	}
	return n.text
}

// sentence reads a text for people: one line of at most 300 characters that show as themselves.
func (t *table) sentence(key, write string) string {
	s := t.str(key, write)
	if s != "" && (strings.TrimSpace(s) == "" || len([]rune(s)) > 300 || !plain(s)) {
		t.problem(t.line(key), "one line of up to 300 characters", "%s: %s is blank, too long or holds control characters", t.what, key)
		return ""
	}
	return strings.TrimSpace(s)
}

// plain reports text without control characters and without those that reorder or hide what is read.
func plain(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
	})
}

// words reads a list of strings. Empty lists and repeated words are refused: an empty list means nothing to
// one reader and everything to another.
func (t *table) words(key, write string) []*node {
	n := t.key(key)
	if n == nil {
		return nil
	}
	if n.kind != unstable.Array || len(n.list) == 0 {
		t.problem(n.line, write, "%s: %s wants a list with at least one entry", t.what, key)
		return nil
	}
	seen := map[string]bool{}
	var out []*node
	for _, c := range n.list {
		switch {
		case c.kind != unstable.String || c.text == "":
			t.problem(c.line, write, "%s: %s wants texts in quotes", t.what, key)
		case seen[c.text]:
			t.problem(c.line, "it once", "%s: %s names %q twice", t.what, key, c.text)
		default:
			seen[c.text] = true
			out = append(out, c)
		}
	}
	return out
}

func texts(ns []*node) []string {
	out := make([]string, len(ns))
	for i, n := range ns {
		out[i] = n.text
	}
	return out
}

// oneOf reads one of a few strings.
func (t *table) oneOf(key string, allowed ...string) string {
	s := t.str(key, strings.Join(allowed, " | "))
	if s != "" && !slices.Contains(allowed, s) {
		t.problem(t.line(key), strings.Join(allowed, " | "), "%s: %s does not know %q", t.what, key, clip(s))
		return ""
	}
	return s
}

// flag reads true or false.
func (t *table) flag(key string) bool {
	n := t.key(key)
	if n != nil && n.kind != unstable.Bool {
		t.problem(n.line, key+" = true or "+key+" = false, without quotes", "%s: %s wants true or false", t.what, key)
		return false
	}
	return n != nil && n.text == "true"
}

// number reads a whole number within bounds.
func (t *table) number(key string, low, high int64) int64 {
	n := t.key(key)
	if n == nil {
		return 0
	}
	if n.kind != unstable.Integer || n.num < low || n.num > high {
		t.problem(n.line, fmt.Sprintf("a number from %d to %d", low, high), "%s: %s = %s is not possible", t.what, key, clip(or(n.text, "…")))
		return 0
	}
	return n.num
}

const maxTime = 31 * 24 * time.Hour

// duration reads "30m", "4h" or "1h30m".
func (t *table) duration(key, write string) time.Duration {
	s := t.str(key, write)
	if s == "" {
		return 0
	}
	d, err := parseDuration(s)
	if err != nil || d < time.Second || d > maxTime {
		t.problem(t.line(key), write, "%s: %s = %q is not a length of time from 1s to 31d", t.what, key, clip(s))
		return 0
	}
	return d
}

// parseDuration also knows whole days: "7d".
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok && isNumber(days) && len(days) < 4 {
		h, err := time.ParseDuration(days + "h")
		return 24 * h, err
	}
	return time.ParseDuration(s)
}

// sub reads a table inside this one.
func (t *table) sub(key, what string) *table {
	n := t.key(key)
	if n == nil {
		return nil
	}
	if !n.isTable() {
		t.problem(n.line, fmt.Sprintf("%s = { … }", key), "%s: %s wants a table", t.what, key)
		return nil
	}
	return &table{out: t.out, file: t.file, what: what, n: n}
}

// subs reads a list of tables.
func (t *table) subs(key, what string) []*table {
	n := t.key(key)
	if n == nil {
		return nil
	}
	if n.kind != unstable.Array {
		t.problem(n.line, fmt.Sprintf("[[%s]]", key), "%s: %s wants a list of tables", t.what, key)
		return nil
	}
	var out []*table
	for _, c := range n.list {
		if !c.isTable() {
			t.problem(c.line, fmt.Sprintf("[[%s]]", key), "%s: %s wants tables", t.what, key)
			continue
		}
		out = append(out, &table{out: t.out, file: t.file, what: what, n: c})
	}
	return out
}
