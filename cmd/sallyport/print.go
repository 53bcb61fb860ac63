package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/internal/plain"
)

// listing is what every listing takes.
type listing struct {
	JSON bool `name:"json" help:"Print a JSON array, newest first, for programs."`
}

// personColumns are the columns with names of people, which may be long. They may be cut, because no command takes
// such a name as an argument.
var personColumns = []string{"USER", "BY", "SHOWN-AS"}

// nameWidth is how many characters of such a name a terminal shows.
const nameWidth = 32

// show prints rows as JSON or as a table with the columns of head. Without rows it prints the sentence none to standard
// error instead of a table. On a terminal, names of people are cut to nameWidth, so that a row fits on one line.
func show[T any](a *app, l listing, rows []T, none, head string, line func(T) []string) error {
	if l.JSON {
		if rows == nil {
			rows = []T{}
		}
		return a.json(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.stderr, none)
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	columns, narrow := strings.Fields(head), isTerminal(a.stdout)
	fmt.Fprintln(w, strings.Join(columns, "\t"))
	for _, r := range rows {
		cells := line(r)
		for i := range cells {
			cells[i] = orDash(cell(cells[i]))
			if narrow && slices.Contains(personColumns, columns[i]) {
				cells[i] = clipped(cells[i])
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// json prints a value for programs.
func (a *app) json(v any) error {
	e := json.NewEncoder(plain.JSON(a.stdout))
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// field is one line of a page about one thing.
type field struct{ name, value string }

// page prints what is known of one thing; empty lines are left out.
func page(w io.Writer, fields []field) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, f := range fields {
		if f.value != "" {
			fmt.Fprintf(t, "%s\t%s\n", f.name, cell(f.value))
		}
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// at prints a time as people read it here; zero and nil are nothing.
func at(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// safe removes control characters, and characters that change the direction of writing, from text of other people.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return safeRune(r)
	}, s)
}

// cell makes text of other people fit into one line and one column. A command with a line break must not look like a
// second row.
func cell(s string) string {
	s = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(s)
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1 // an invisible character can make two names look alike
		}
		return safeRune(r)
	}, s)
}

// clipped cuts a name to nameWidth characters. It does not separate a letter from its combining marks.
func clipped(name string) string {
	r := []rune(name)
	if len(r) <= nameWidth {
		return name
	}
	n := nameWidth - 1
	for n > 0 && unicode.IsMark(r[n]) {
		n--
	}
	return strings.TrimRight(string(r[:n]), " ") + "…"
}

func safeRune(r rune) rune {
	switch {
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == unicode.ReplacementChar:
		return -1
	}
	return r
}

// sanitizer passes text on without what could drive a terminal. It works on bytes as they come: a rune that is cut by a
// write waits for its rest.
type sanitizer struct {
	w    io.Writer
	rest []byte
}

func (s *sanitizer) Write(p []byte) (int, error) {
	all := append(s.rest, p...)
	cut := wholeRunes(all)
	s.rest = append([]byte(nil), all[cut:]...)
	if _, err := io.WriteString(s.w, safe(strings.ToValidUTF8(string(all[:cut]), ""))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// wholeRunes gives how much of p ends at the end of a rune, looking back no more than a rune is long.
func wholeRunes(p []byte) int {
	for back := 1; back <= 3 && back <= len(p); back++ {
		b := p[len(p)-back]
		if b < 0x80 {
			return len(p)
		}
		if b >= 0xC0 { // the first byte of a rune
			want := 2
			if b >= 0xE0 {
				want = 3
			}
			if b >= 0xF0 {
				want = 4
			}
			if want > back {
				return len(p) - back
			}
			return len(p)
		}
	}
	return len(p)
}

// count is a number with its noun: "1 file", "2 files".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
