package reader

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/recorder/format"
)

// channels follows the channels of a part of version 2: none has anything in the record before its start, and none
// takes input after the end of its input. Both are the gateway's own notes, so a recording that breaks them was not
// made by a gateway that keeps to its order.
type channels struct {
	ended  map[uint32]bool        // by each channel that was started: its input has ended
	typed  map[uint32]format.Kind // by each channel with input or a terminal: how its input is recorded, sealed or clear
	strays int                    // commands on channels that were not started
}

func newChannels() *channels {
	return &channels{ended: map[uint32]bool{}, typed: map[uint32]format.Kind{}}
}

// add takes in the next frame.
func (c *channels) add(f *format.Frame) error {
	switch f.Kind {
	case format.KindNote:
		n, _ := f.Note() // ParseFrame has read it, as the command below
		return c.note(&n)
	case format.KindCommand:
		cmd, _ := f.Command()
		if _, started := c.ended[cmd.Ch]; !started {
			c.strays++
		}
		return nil
	}
	ch, ok := f.Channel()
	if !ok {
		return nil
	}
	ended, started := c.ended[ch]
	switch {
	case !started:
		return fmt.Errorf("a frame %q of channel %d, which was not started before", byte(f.Kind), ch)
	case ended && (f.Kind == format.KindSealed || f.Kind == format.KindClear):
		return fmt.Errorf("input of channel %d after the end of its input", ch)
	}
	return c.input(ch, f.Kind)
}

// input demands that a channel's input is sealed, as at a terminal, or in the clear, and never both. Only a terminal has a
// size.
func (c *channels) input(ch uint32, k format.Kind) error {
	if k == format.KindResize {
		k = format.KindSealed
	}
	if k != format.KindSealed && k != format.KindClear {
		return nil
	}
	if before, known := c.typed[ch]; known && before != k {
		return fmt.Errorf("channel %d has input in the clear, and a terminal or sealed input", ch)
	}
	c.typed[ch] = k
	return nil
}

// note takes in a start or an end of input. Other notes say nothing about a channel.
func (c *channels) note(n *format.Note) error {
	if n.Kind != format.NoteStart && n.Kind != format.NoteInputEnd {
		return nil
	}
	if n.Ch == nil || n.At != 0 || n.N != 0 {
		return fmt.Errorf("a note %s names a channel and no range", n.Kind)
	}
	_, started := c.ended[*n.Ch]
	switch {
	case n.Kind == format.NoteStart && started:
		return fmt.Errorf("channel %d is started twice", *n.Ch)
	case n.Kind == format.NoteStart && len(c.ended) == format.MaxChannels:
		return errors.New("too many channels")
	case n.Kind == format.NoteInputEnd && !started:
		return fmt.Errorf("the input of channel %d ends, which was not started before", *n.Ch)
	}
	c.ended[*n.Ch] = n.Kind == format.NoteInputEnd
	return nil
}
