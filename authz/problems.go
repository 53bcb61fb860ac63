package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong in a file: where, what, and what to write instead.
type Problem struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Text  string `json:"text"`
	Write string `json:"write,omitempty"`
}

func (p Problem) String() string {
	s := fmt.Sprintf("%s:%d: %s.", p.File, p.Line, strings.TrimSuffix(p.Text, "."))
	if p.Write != "" {
		s += " Write " + strings.TrimSuffix(p.Write, ".") + "."
	}
	return s
}

// Problems are all that is wrong, in the order of files and lines.
type Problems []Problem

// Error gives one line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sort(files []File) {
	order := map[string]int{}
	for i, f := range files {
		order[f.Name] = i
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line))
	})
}

// nearest gives "; did you mean X?" for a word that is nearly one of the known, else nothing.
func nearest(word string, known []string) string {
	if n := near(word, known); n != "" {
		return fmt.Sprintf("; did you mean %q?", n)
	}
	return ""
}

// near gives the known word within two edits of word, or sharing its letters but for case; else "".
func near(word string, known []string) string {
	best, far := "", 3
	for _, k := range known {
		d := distance(strings.ToLower(word), strings.ToLower(k))
		if d < far && d < max(len(k), 2)-1 {
			best, far = k, d
		}
	}
	return best
}

// distance is that of Levenshtein, on bytes: good enough for a suggestion. Long words are not compared.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 99
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// list joins words: "a", "a and b", "a, b and c".
func list(words []string, last string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " " + last + " " + words[n-1]
	}
}

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(out, ", ")
}
