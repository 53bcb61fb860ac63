package format

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// PartID names a container.
type PartID struct {
	Session id.Session
	Part    uint32
}

// FileName is the name of a part's container. The first part has no number.
func FileName(s id.Session, part uint32) string { return stem(s, part) + ".srec" }

// SlotNames are the names of a part's slot files, for readers and for unsealing officers.
func SlotNames(s id.Session, part uint32) (rk, sk string) {
	return stem(s, part) + ".rk.age", stem(s, part) + ".sk.age"
}

func stem(s id.Session, part uint32) string {
	if part == 0 {
		return s.String()
	}
	return fmt.Sprintf("%s.%d", s, part)
}

// Day gives the directory of the parts that began at t, as a path relative to the directory of recordings. The day is
// that of t in UTC.
func Day(t time.Time) string { return filepath.FromSlash(t.UTC().Format("2006/01/02")) }

// Place gives the path of a part's container, relative to the directory of recordings. start is the time in the
// container's header.
func Place(s id.Session, part uint32, start time.Time) string {
	return filepath.Join(Day(start), FileName(s, part))
}

// ParseName parses a container's name, without a directory. ok is false if the name is not in the form of FileName.
func ParseName(name string) (p PartID, ok bool) {
	stem, ok := strings.CutSuffix(name, ".srec")
	text, number, numbered := strings.Cut(stem, ".")
	if !ok {
		return PartID{}, false
	}
	s, err := id.ParseSession(text)
	if err != nil {
		return PartID{}, false
	}
	var part uint64
	if numbered {
		if part, err = strconv.ParseUint(number, 10, 32); err != nil {
			return PartID{}, false
		}
	}
	return PartID{s, uint32(part)}, FileName(s, uint32(part)) == name
}

// MarkerName gives the name of the file beside a container that says that its interruption is in the log.
func MarkerName(name string) string { return strings.TrimSuffix(name, ".srec") + ".cut" }
