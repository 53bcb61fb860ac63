package archive

import (
	"cmp"
	"slices"

	"github.com/sallyport/sallyport/recorder/format"
)

// Channel is one program of a session, as the gateway recorded it. Times are seconds since the session began.
type Channel struct {
	Ch       uint32
	Program  string // "shell" or "command"; empty: the record does not say
	Command  string // the command line that the device was asked to run; control characters as ^X
	Login    string
	Terminal bool
	Began    float64
	Ended    *float64 // nil: the record has no end of it
	Status   *int     // nil: a signal ended it, or it has no end
	Signal   string
	BytesOut uint64
	Idle     []Span // in which nothing was typed or shown on it
}

// census counts the channels of a session.
type census struct {
	channels []Channel
	active   []uint64 // when something last happened on each, in microseconds
	place    map[uint32]int
	idle     int // spans, of all channels
}

// add takes in a frame of a channel. text bounds what is kept of a command line.
func (c *census) add(ch uint32, m Moment, text func(string) string) {
	i, ok := c.place[ch]
	if !ok {
		if len(c.channels) >= maxNumbers {
			return
		}
		i = len(c.channels)
		c.place[ch] = i
		c.channels, c.active = append(c.channels, Channel{Ch: ch, Began: seconds(m.At)}), append(c.active, 0)
	}
	c.pause(i, m.At)
	of := &c.channels[i]
	switch m.Kind {
	case format.KindOutput:
		of.BytesOut += m.Len()
	case format.KindResize:
		of.Terminal = true // only a terminal has a size
	case format.KindExit:
		of.end(m)
	case format.KindNote:
		of.start(m, text)
	}
}

func (of *Channel) start(m Moment, text func(string) string) {
	n, err := m.Note()
	s, ok := n.Start()
	if err != nil || !ok {
		return
	}
	of.Program, of.Login = "command", text(s.Login)
	if of.Command = text(s.Command); s.Shell {
		of.Program = "shell"
	}
}

func (of *Channel) end(m Moment) {
	e, err := m.Exit()
	if err != nil {
		return
	}
	at, status := seconds(m.At), int(e.Status)
	of.Ended, of.Status, of.Signal = &at, &status, e.Signal
	if e.Signal != "" {
		of.Status = nil
	}
}

// pause notes what was idle on a channel before now.
func (c *census) pause(i int, at uint64) {
	if at-c.active[i] >= uint64(idleAfter.Microseconds()) && c.idle < maxEntries {
		c.channels[i].Idle = append(c.channels[i].Idle, Span{seconds(c.active[i]), seconds(at)})
		c.idle++
	}
	c.active[i] = at
}

// end gives the channels by number. The pauses of a channel that is alone are those of the session.
func (c *census) end(length uint64) []Channel {
	for i := range c.channels {
		c.pause(i, length)
		if len(c.channels) == 1 {
			c.channels[i].Idle = nil
		}
	}
	slices.SortFunc(c.channels, func(a, b Channel) int { return cmp.Compare(a.Ch, b.Ch) })
	return c.channels
}
