package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// EventsChannel is the type of the channel on which a device sends its events. The gateway opens it once, within 5 s.
// The device answers no other channel before it.
const EventsChannel = "events@sallyport"

// MaxEvent bounds one event.
const MaxEvent = 64 << 10

// EventKind says what an event tells.
type EventKind uint

// Events from the device. They name a channel by the number with which the gateway opened it (SessionChannel).
const (
	EventVerdict   EventKind = 1 // a range of input was typed in the clear or at a hidden prompt
	EventCommand   EventKind = 2 // a process was started or ended, and how that is known
	EventSurvivors EventKind = 3 // processes that outlived the session
	// A channel or request was refused by pass or owner's rules. From SourceExec it failed, from SourceRequest it was
	// wrong.
	EventRefused EventKind = 4
	EventNotice  EventKind = 5 // a text for the record
)

// Event is addressed by channel, stream and offset, never by when it arrives.
type Event struct {
	Kind    EventKind `cbor:"1,keyasint"`
	Channel uint32    `cbor:"2,keyasint"`
	Stream  uint8     `cbor:"3,keyasint,omitempty"` // 0 in, 1 out, 2 err
	Offset  uint64    `cbor:"4,keyasint,omitempty"`
	Len     uint64    `cbor:"5,keyasint,omitempty"`
	Hidden  bool      `cbor:"6,keyasint,omitempty"`
	Source  string    `cbor:"7,keyasint,omitempty"` // agent.exec, pty, exec.kernel, …
	Argv    []string  `cbor:"8,keyasint,omitempty"`
	PID     uint32    `cbor:"9,keyasint,omitempty"`
	Ended   bool      `cbor:"10,keyasint,omitempty"`
	Status  uint32    `cbor:"11,keyasint,omitempty"`
	Signal  string    `cbor:"12,keyasint,omitempty"`
	Text    string    `cbor:"13,keyasint,omitempty"`
}

// Sources of events.
const (
	SourceExec    = "agent.exec"    // what the agent started itself, or could not start
	SourceRequest = "agent.request" // a request that is wrong in itself, whatever pass and owner's rules allow
)

// WriteEvent writes u32be length and the event's CBOR.
func WriteEvent(w io.Writer, e Event) error {
	body, err := MarshalCBOR(e)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	if len(body) > MaxEvent {
		return fmt.Errorf("event of %d bytes, at most %d", len(body), MaxEvent)
	}
	_, err = w.Write(LP(make([]byte, 0, 4+len(body)), body))
	return err
}

// ReadEvent reads what WriteEvent writes.
func ReadEvent(r io.Reader) (Event, error) {
	var e Event
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return e, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > MaxEvent {
		return e, fmt.Errorf("event of %d bytes, at most %d", n, MaxEvent)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return e, io.ErrUnexpectedEOF
	}
	return e, UnmarshalCBOR(body, &e)
}
