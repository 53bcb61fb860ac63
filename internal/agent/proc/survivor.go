package proc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Survivor is a process that still runs after its session's end, or that a dead supervisor left.
type Survivor struct {
	PID  int
	Name string // comm of proc(5): at most 15 bytes, which the process chooses
}

// String returns the name and the process id in a form that is safe to show. A name that is more than one plain word is
// quoted. Otherwise a process named "sshd (812), x" would read as two processes.
func (s Survivor) String() string {
	name := s.Name
	if name == "" || strings.ContainsFunc(name, notOfWord) {
		name = strconv.QuoteToASCII(name)
	}
	return fmt.Sprintf("%s (%d)", name, s.PID)
}

func notOfWord(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:/@+", r)
}

// listSize is the number of bytes after which List adds no more names. A report with two lists and the words around
// them must fit into wire.MaxGrantText, because the gateway refuses a longer one.
const listSize = 90

// List names survivors for people, in the order of their process ids. After listSize bytes it only counts the rest.
func List(all []Survivor) string {
	all = slices.SortedFunc(slices.Values(all), func(a, b Survivor) int { return cmp.Compare(a.PID, b.PID) })
	var out strings.Builder
	for i, s := range all {
		if out.Len() > listSize {
			return fmt.Sprintf("%s and %d more", out.String(), len(all)-i)
		}
		if i > 0 {
			out.WriteString(", ")
		}
		out.WriteString(s.String())
	}
	return out.String()
}
