package gateway

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/argv"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// compare records a note if the device says that it started another program than the gateway requested. The record has
// the gateway's request as the start of the channel, and the device's claim as a command.
func (s *Session) compare(e wire.Event) error {
	if e.Source != wire.SourceExec || e.Ended {
		return nil
	}
	s.mu.Lock()
	c := s.starts[e.Channel]
	delete(s.starts, e.Channel)
	s.mu.Unlock()
	said := "the device says that it started: " + short(e.Argv)
	switch {
	case c == nil:
		return s.differs(e.Channel, "the gateway asked for nothing, or for nothing more; "+said)
	case !c.isWhat(e.Argv):
		return s.differs(e.Channel, "the gateway asked for "+c.wanted()+"; "+said)
	}
	return nil
}

// silent notes the channels whose program the device never named. It is called when all events have been read.
func (s *Session) silent() error {
	s.mu.Lock()
	var left []uint32
	for n, c := range s.starts {
		if c.running {
			left = append(left, n)
		}
	}
	s.mu.Unlock()
	slices.Sort(left)
	for _, n := range left {
		if err := s.differs(n, "the device did not say what it started"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) differs(channel uint32, text string) error {
	return s.rec.Note(format.Note{Kind: format.NoteDiffers, Text: fmt.Sprintf("channel %d: %s", channel, text), Ch: &channel})
}

// mostNamed is how many words of a command a device names.
const mostNamed = 1000

// isWhat reports whether the words are those of the program that the gateway requested. A shell may have any name.
func (c *Channel) isWhat(words []string) bool {
	want := c.start.Argv
	switch {
	case c.action.Kind == authz.Run:
		return slices.Equal(words, want[:min(len(want), mostNamed)])
	case len(want) > 0:
		return len(words) == 3 && words[1] == "-c" && words[2] == argv.Line(want)
	}
	return len(words) == 1 && strings.HasPrefix(words[0], "-")
}

func (c *Channel) wanted() string {
	switch {
	case c.action.Kind == authz.Run:
		return "exactly the command: " + short(c.start.Argv)
	case len(c.start.Argv) > 0:
		return "a shell with the command: " + short(c.start.Argv)
	}
	return "a shell"
}

// mostQuoted bounds one command in a note, in bytes. The start and the command beside the note have all of it.
const mostQuoted = 1500

func short(words []string) string {
	s := argv.Line(words)
	if len(s) > mostQuoted {
		s = strings.ToValidUTF8(s[:mostQuoted], "") + "…"
	}
	return s
}
