package format

// Kind is a frame's kind, a letter.
type Kind byte

// Frame kinds. A reader refuses all others, because it must not accept what it cannot check.
const (
	KindOutput   Kind = 'o' // bytes that went to the technician
	KindSealed   Kind = 's' // input, under the seal key
	KindReveal   Kind = 'i' // input that the device said was typed in the open: a range of one earlier s
	KindClear    Kind = 'u' // input of a channel without a terminal, which nothing can hide
	KindResize   Kind = 'r'
	KindKeyframe Kind = 'K' // screen snapshot
	KindCommand  Kind = 'c'
	KindFile     Kind = 'f'
	KindForward  Kind = 'p'
	KindWeb      Kind = 'w'
	KindDesktop  Kind = 'd'
	KindNote     Kind = 'm'
	KindNotice   Kind = 'n'
	KindAnchor   Kind = 't'
	KindGap      Kind = 'g'
	KindExit     Kind = 'e'
	KindAttest   Kind = 'a' // the device's statement keys
)

// Stream is one of the byte streams of a channel.
type Stream uint8

// Streams of a channel. The table of frame kinds says which kinds of frames carry which of them.
const (
	StreamIn  Stream = 0 // what is typed
	StreamOut Stream = 1
	StreamErr Stream = 2
)

// kind has the properties of one kind of frame.
type kind struct {
	Kind
	most    int                // bytes of data
	streams []Stream           // if any, the data begins with channel, one of these and an offset, see parseHead
	check   func(*Frame) error // reads the data of a kind without a stream
	begun   bool               // see OfChannel
}

// frameKinds is the one list of all frame kinds with their properties. A test checks that every place that handles
// kinds has all of them: writer, verifier, timeline, replay and page.
var frameKinds = [...]kind{ // kind, most, streams, check, begun
	{KindOutput, MaxFrame, []Stream{StreamOut, StreamErr}, nil, true},
	{KindSealed, MaxFrame, []Stream{StreamIn}, nil, true},
	{KindReveal, MaxFrame, []Stream{StreamIn}, nil, true},
	{KindClear, MaxFrame, []Stream{StreamIn}, nil, true},
	{KindResize, MaxFrame, nil, func(f *Frame) error { _, _, _, err := f.Resize(); return err }, true},
	{KindCommand, MaxFrame, nil, func(f *Frame) error { _, err := f.Command(); return err }, false},
	{KindNote, MaxFrame, nil, func(f *Frame) error { _, err := f.Note(); return err }, false},
	{KindAnchor, MaxFrame, nil, func(f *Frame) error { _, err := f.Anchor(); return err }, false},
	{KindGap, MaxFrame, nil, func(f *Frame) error { _, err := f.Gap(); return err }, false},
	{KindExit, MaxFrame, nil, func(f *Frame) error { _, err := f.Exit(); return err }, true},
	{KindAttest, MaxFrame, nil, func(f *Frame) error { _, err := f.Attest(); return err }, false},
	{KindNotice, MaxFrame, nil, anyBytes, false},
	{KindKeyframe, MaxKeyframe, nil, anyBytes, false},
	{KindFile, MaxFrame, nil, anyBytes, false},
	{KindForward, MaxFrame, nil, anyBytes, false},
	{KindWeb, MaxFrame, nil, anyBytes, false},
	{KindDesktop, MaxFrame, nil, anyBytes, false},
}

// anyBytes accepts all data. The format does not define the data of these kinds.
func anyBytes(*Frame) error { return nil }

// byLetter finds a kind by its letter.
var byLetter = func() (out [256]*kind) {
	for i := range frameKinds {
		out[frameKinds[i].Kind] = &frameKinds[i]
	}
	return out
}()

// kindOf gives the properties of a kind; nil if it does not exist.
func kindOf(k Kind) *kind { return byLetter[k] }

// OfChannel reports whether frames of kind k belong to a channel. From version 2 on, the channel must have been
// started before them. A command does not belong to one. The device names its channel, and a device that lies must
// not be able to make a recording that does not verify.
func (k Kind) OfChannel() bool { return kindOf(k) != nil && kindOf(k).begun }

// Channel gives the channel that the frame belongs to. ok is false if it belongs to none, see OfChannel.
func (f *Frame) Channel() (ch uint32, ok bool) {
	switch f.Kind {
	case KindResize:
		ch, _, _, _ = f.Resize() // ParseFrame read it already, as it did the others
	case KindExit:
		e, _ := f.Exit()
		ch = e.Ch
	default:
		ch = f.Ch
	}
	return ch, f.Kind.OfChannel()
}

// Kinds gives every frame kind that exists.
func Kinds() []Kind {
	out := make([]Kind, len(frameKinds))
	for i, k := range frameKinds {
		out[i] = k.Kind
	}
	return out
}
