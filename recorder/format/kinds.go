package format

// Kind is a frame's kind, a letter.
type Kind byte

// Frame kinds. Others do not exist in version 1: a reader refuses them, because what it cannot
// check it must not wave through.
const (
	KindOutput   Kind = 'o' // bytes that went to the technician
	KindSealed   Kind = 's' // input, under the seal key
	KindReveal   Kind = 'i' // input that the device said was typed in the open: a range of one earlier s
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

// kind is what the format says of one kind of frame.
type kind struct {
	Kind
	most    int                // bytes of data
	streams []Stream           // if any, the data begins with channel, one of these and an offset, see parseHead
	check   func(*Frame) error // reads the data of a kind without a stream
}

// frameKinds is the one list of the frame kinds that exist, with all that the format says of each. A test holds every place that has to handle a kind to it: writer,
// verifier, timeline, replay and page.
var frameKinds = [...]kind{
	{KindOutput, MaxFrame, []Stream{StreamOut, StreamErr}, nil},
	{KindSealed, MaxFrame, []Stream{StreamIn}, nil},
	{KindReveal, MaxFrame, []Stream{StreamIn}, nil},
	{KindResize, MaxFrame, nil, func(f *Frame) error { _, _, _, err := f.Resize(); return err }},
	{KindCommand, MaxFrame, nil, func(f *Frame) error { _, err := f.Command(); return err }},
	{KindNote, MaxFrame, nil, func(f *Frame) error { _, err := f.Note(); return err }},
	{KindAnchor, MaxFrame, nil, func(f *Frame) error { _, err := f.Anchor(); return err }},
	{KindGap, MaxFrame, nil, func(f *Frame) error { _, err := f.Gap(); return err }},
	{KindExit, MaxFrame, nil, func(f *Frame) error { _, err := f.Exit(); return err }},
	{KindAttest, MaxFrame, nil, func(f *Frame) error { _, err := f.Attest(); return err }},
	{KindNotice, MaxFrame, nil, anyBytes},
	{KindKeyframe, MaxKeyframe, nil, anyBytes},
	{KindFile, MaxFrame, nil, anyBytes},
	{KindForward, MaxFrame, nil, anyBytes},
	{KindWeb, MaxFrame, nil, anyBytes},
	{KindDesktop, MaxFrame, nil, anyBytes},
}

// anyBytes checks nothing: whoever writes these kinds defines their data.
func anyBytes(*Frame) error { return nil }

// byLetter finds a kind by its letter.
var byLetter = func() (out [256]*kind) {
	for i := range frameKinds {
		out[frameKinds[i].Kind] = &frameKinds[i]
	}
	return out
}()

// kindOf gives what the format says of a kind; nil if it does not exist.
func kindOf(k Kind) *kind { return byLetter[k] }

// Kinds gives every frame kind that exists.
func Kinds() []Kind {
	out := make([]Kind, len(frameKinds))
	for i, k := range frameKinds {
		out[i] = k.Kind
	}
	return out
}
