// Package format is the recording format of docs/recording-format.md as values: header, chunks, frames with their kinds
// and streams, events, keys and labels, slots, names of files, journal records, and every limit. Whoever records names
// its types, and both the writing and the reading packages stand on it.
//
// It encodes and decodes bytes and opens no file. What it decodes comes from a disk that an attacker may have written
// to: each length is compared with its limit before anything is allocated for it, and each value has one encoding.
package format

// Versions of the container format. Recordings are written in the newest; every one is read for ever, because evidence
// outlives the program that wrote it. A rule that a version adds holds for recordings of that version and later ones.
const (
	Version1 = 1
	Version2 = 2 // a channel begins with a note before anything of it
	Version  = Version2
)

// Limits of the format (docs/recording-format.md, "Limits"). A reader refuses what is beyond them
// before it allocates.
const (
	MaxHeader       = 4 << 10
	MaxChunk        = 256 << 10 // ct_len: the body of a chunk
	MaxSegmentPlain = 1<<20 + MaxKeyframe
	MaxSegmentBody  = 4 << 20 // the sum of ct_len in a segment
	MaxKeyframe     = 512 << 10
	MaxFrame        = 72 << 10 // data of any frame but K
	MaxStatement    = 32 << 10
	MaxIndex        = 4096 // entries of the close record's segment index
	MaxSeq          = 1<<28 - 1
	MaxWindow       = 128 << 10
	Padding         = 32
)

// Limits of what a reader remembers of sealed input. A reveal must come while its s frame is among the
// last of them; the recorder judges within seconds and holds up input that is not judged, so it never
// comes near.
const (
	RevealFrames = 1 << 16  // s frames
	RevealBytes  = 64 << 20 // of input in them
	RevealParts  = 4096     // stretches that are left of one s frame
	RevealSplits = 1 << 20  // of all of them
	MaxStreams   = 1 << 16  // channels and streams of a part
	MaxChannels  = 1 << 16  // that are started in a part
)

// MaxSlot bounds a slot file; one with a hundred recipients is far below it.
const MaxSlot = 64 << 10
