package proc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Survivor is a process that runs on when everything of its session should have ended.
type Survivor struct {
	PID  int
	Name string // as the kernel has it: any bytes that the process chose, at most 15
}

// String gives the name and the process id, safe to be shown. A name that is more than one plain word is quoted: as
// "sshd (812), x" it would read as two processes, of which the first is another one.
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

// listSize bounds, in bytes, the names that List gives before the last one. A report with two lists and the words around
// them is within wire.MaxGrantText, or the gateway would not take it.
const listSize = 90

// List names processes for people, in the order of their ids. After listSize bytes it only counts the rest.
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
