package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// micros is a time as it is stored: microseconds since 1970, NULL for never.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

type timeColumn struct{ to *time.Time }

func (c timeColumn) Scan(v any) error {
	switch n := v.(type) {
	case nil:
		*c.to = time.Time{}
	case int64:
		*c.to = time.UnixMicro(n).UTC()
	default:
		return fmt.Errorf("a time is stored as %T", v)
	}
	return nil
}

func at(t *time.Time) timeColumn { return timeColumn{t} }

// jsonColumn keeps small lists and maps; nil is kept as null.
type jsonColumn struct{ v any }

func asJSON(v any) jsonColumn { return jsonColumn{v} }

func (c jsonColumn) Value() (driver.Value, error) {
	raw, err := json.Marshal(c.v)
	return string(raw), err
}

func (c jsonColumn) Scan(v any) error {
	switch raw := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(raw), c.v)
	case []byte:
		return json.Unmarshal(raw, c.v)
	}
	return fmt.Errorf("JSON is stored as %T", v)
}

// fixedColumn reads a blob into an array and refuses any other length.
type fixedColumn struct{ to []byte }

func fixed(to []byte) fixedColumn { return fixedColumn{to} }

func (c fixedColumn) Scan(v any) error {
	raw, ok := v.([]byte)
	if !ok || len(raw) != len(c.to) {
		return fmt.Errorf("want a blob of %d bytes", len(c.to))
	}
	copy(c.to, raw)
	return nil
}

// sessionColumn keeps a session's id as its text; empty for none.
type sessionColumn struct{ to *id.Session }

func (c sessionColumn) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("a session id is stored as %T", v)
	}
	if text == "" {
		*c.to = id.Session{}
		return nil
	}
	return c.to.UnmarshalText([]byte(text))
}

func sessionText(s id.Session) string {
	if s.IsZero() {
		return ""
	}
	return s.String()
}

// where collects the terms of a filter.
type where struct {
	terms []string
	args  []any
}

func (w *where) add(term string, args ...any) {
	w.terms, w.args = append(w.terms, term), append(w.args, args...)
}

// in admits any of values; an empty list admits nothing, so that a filter cannot widen by being empty.
func in[T ~string](w *where, column string, values []T) {
	if len(values) == 0 {
		w.add("0")
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = string(v)
	}
	w.add(column+" IN (?"+strings.Repeat(",?", len(values)-1)+")", args...)
}

// text admits rows where one of the columns has s in it, letter case aside.
func (w *where) text(s string, columns ...string) {
	pattern := "%" + literal(s) + "%"
	var terms []string
	for _, c := range columns {
		terms = append(terms, c+` LIKE ? ESCAPE '\'`)
		w.args = append(w.args, pattern)
	}
	w.terms = append(w.terms, "("+strings.Join(terms, " OR ")+")")
}

// literal is text inside a pattern of LIKE, with a backslash as its escape.
func literal(s string) string { return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) }

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

func limit(n int) int {
	if n <= 0 {
		return 100
	}
	return min(n, 1000)
}
