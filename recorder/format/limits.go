// Package format has the recording format of docs/recording-format.md as Go values: header, chunks, frames with their
// kinds and streams, events, keys and labels, slots, names of files, journal records, and every limit. Both the writing
// and the reading packages use it.
//
// It encodes and decodes bytes and opens no file. It may decode bytes that an attacker has written to the disk. So it
// compares each length with its limit before it allocates anything, and each value has one encoding.
package format

// Versions of the container format. Recordings are written in the newest version. Every version is read forever,
// because evidence outlives the program that wrote it. A rule that a version adds applies to that version and later
// ones.
const (
	Version1 = 1
	Version2 = 2 // the first entry of each channel is a note that starts it
	Version  = Version2
)

// Limits of the format (docs/recording-format.md, "Limits"). A reader refuses values beyond them before it allocates.
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

// Limits on the sealed input that a reader remembers. A reveal must come while its s frame is among the last of them.
// The recorder gets verdicts within seconds and delays input without one, so it never comes near these limits.
const (
	RevealFrames = 1 << 16  // s frames
	RevealBytes  = 64 << 20 // of input in them
	RevealParts  = 4096     // unrevealed ranges of one s frame
	RevealSplits = 1 << 20  // unrevealed ranges of all s frames
	MaxStreams   = 1 << 16  // channels and streams of a part
	MaxChannels  = 1 << 16  // that are started in a part
)

// MaxSlot bounds a slot file; one with a hundred recipients is far below it.
const MaxSlot = 64 << 10
