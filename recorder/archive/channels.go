package archive

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder/format"
)

// FirstChannel is the number of the channel that a session begins with.
const FirstChannel uint32 = 1

// maxNumbers bounds the channels that are remembered of a record. A gateway opens at most 1024.
const maxNumbers = maxEntries

// channelOf gives the channel that the gateway recorded a frame for. What a device tells, as in a command, is none of
// those frames: a device could make up as many channels as it likes.
func channelOf(m Moment) (ch uint32, ok bool) {
	if m.Kind == format.KindNote {
		n, err := m.Note()
		return channelOfStart(n, err)
	}
	return m.Channel()
}

// channelOfStart gives the channel of a start. In version 1 of recordings it may be in the text alone.
func channelOfStart(n format.Note, err error) (ch uint32, ok bool) {
	switch {
	case err != nil || n.Kind != format.NoteStart:
		return 0, false
	case n.Ch != nil:
		return *n.Ch, true
	}
	s, ok := n.Start()
	return s.Ch, ok
}

// channelOfNote gives the channel that a note is about, which may be the device's word; 0: the session.
func channelOfNote(n format.Note) uint32 {
	if ch, ok := channelOfStart(n, nil); ok {
		return ch
	}
	if n.Ch != nil {
		return *n.Ch
	}
	return 0
}

// chosen is the one channel that is read, and which others were met.
type chosen struct {
	n    uint32
	seen map[uint32]struct{}
}

// choose gives the channel of a number; 0 is the first.
func choose(n uint32) *chosen {
	if n == 0 {
		n = FirstChannel
	}
	return &chosen{n: n, seen: map[uint32]struct{}{}}
}

// hides reports whether a frame belongs to another channel.
func (c *chosen) hides(m Moment) bool {
	ch, ok := channelOf(m)
	if !ok {
		return false
	}
	if ch == c.n || len(c.seen) < maxNumbers {
		c.seen[ch] = struct{}{}
	}
	return ch != c.n
}

// missing gives the error of a channel that a record does not have, once all of it was read. The first is in each.
func (c *chosen) missing(end End) error {
	if _, ok := c.seen[c.n]; ok || c.n == FirstChannel {
		return nil
	}
	text := fmt.Sprintf("the record has no channel %d; it has %s", c.n, c.names())
	if end.Cut != "" {
		text += ", and ends early: " + end.Cut
	}
	return errkind.New(errkind.NotFound, text).WithHint("`sallyport sessions channels` lists the channels of a session with what ran on each.")
}

// maxNamed bounds the channels that an error names.
const maxNamed = 20

// names lists the channels that were met: "channel 1", "channels 1, 2 and 4".
func (c *chosen) names() string {
	c.seen[FirstChannel] = struct{}{}
	all := slices.Sorted(maps.Keys(c.seen))
	words := make([]string, 0, maxNamed)
	for _, n := range all[:min(len(all), maxNamed)] {
		words = append(words, fmt.Sprint(n))
	}
	last := words[len(words)-1]
	switch {
	case len(all) > maxNamed:
		return fmt.Sprintf("channels %s and %d more", strings.Join(words, ", "), len(all)-maxNamed)
	case len(all) == 1:
		return "channel " + last
	}
	return "channels " + strings.Join(words[:len(words)-1], ", ") + " and " + last
}
