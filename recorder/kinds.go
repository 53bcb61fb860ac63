package recorder

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

// Streams of a channel.
const (
	StreamIn  uint8 = 0
	StreamOut uint8 = 1
	StreamErr uint8 = 2
)

// kind is what the format says of one kind of frame.
type kind struct {
	Kind
	most   int                // bytes of data
	stream bool               // the data begins with channel, stream and offset, see parseHead
	check  func(*Frame) error // reads the data of a kind without a stream
}

// frameKinds is the one list of the frame kinds that exist. A test holds every place that has to handle a kind to it: writer,
// verifier, timeline, replay and page.
var frameKinds = [...]kind{
	{KindOutput, maxFrame, true, nil},
	{KindSealed, maxFrame, true, nil},
	{KindReveal, maxFrame, true, nil},
	{KindResize, maxFrame, false, func(f *Frame) error { _, _, _, err := f.Resize(); return err }},
	{KindCommand, maxFrame, false, func(f *Frame) error { _, err := f.Command(); return err }},
	{KindNote, maxFrame, false, func(f *Frame) error { _, err := f.Note(); return err }},
	{KindAnchor, maxFrame, false, func(f *Frame) error { _, err := f.Anchor(); return err }},
	{KindGap, maxFrame, false, func(f *Frame) error { _, err := f.Gap(); return err }},
	{KindExit, maxFrame, false, func(f *Frame) error { _, err := f.Exit(); return err }},
	{KindAttest, maxFrame, false, func(f *Frame) error { _, err := f.Attest(); return err }},
	{KindNotice, maxFrame, false, anyBytes},
	{KindKeyframe, maxKeyframe, false, anyBytes},
	{KindFile, maxFrame, false, anyBytes},
	{KindForward, maxFrame, false, anyBytes},
	{KindWeb, maxFrame, false, anyBytes},
	{KindDesktop, maxFrame, false, anyBytes},
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
