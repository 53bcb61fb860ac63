package proc

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/internal/wire"
)

// Survivor is a process that runs on when everything of its session should have ended.
type Survivor struct {
	PID  int
	Name string // as the kernel has it: any bytes that the process chose, at most 15
}

// String gives the name and the process id, safe to be shown: a name that is not plain text is quoted.
func (s Survivor) String() string {
	name := s.Name
	if !wire.PlainText(name, 15) {
		name = strconv.QuoteToASCII(name)
	}
	return fmt.Sprintf("%s (%d)", name, s.PID)
}

// listSize bounds, in bytes, the names that List gives. It leaves room for the words around them in one report.
const listSize = 200

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
