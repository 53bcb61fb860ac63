// Package recorder writes and reads the record of a session: a file that shows what a
// technician typed and saw, that nobody can change afterwards without being found out, and that
// nobody can read without a key which the recording host does not have.
//
// # The container
//
// One part of a session is one append-only file, `<session>[.N].srec`: a header, then chunks, then a
// trailer. Each chunk is chained to all before it by SHA-256 and, where it carries session bytes,
// sealed with AES-256-GCM under a key of its segment; the chain state is the associated data, so
// that a chunk is good in one place only. docs/recording-format.md is the specification and holds the
// vectors; this package is its reference.
//
// # Keys
//
// A part has two fresh secrets. RK opens the record; it is wrapped, in an ordinary age file beside the
// container, for the readers. SK opens what was typed where the terminal hid it; it is wrapped for the
// unsealing officers alone. The writer forgets both at once and keeps the two ladders that are derived
// from them, which only go forward: whoever takes the host learns the open segment and what comes, not
// what was. Input is written sealed first (nobody knows yet whether it is a password) and revealed
// when the device says that the terminal showed it.
//
// # Durability
//
// [Node] owns one journal for all sessions of a host. Output and Input return nil only when their
// bytes are in the journal and the disk has said so, so what the device executed and the technician
// saw is never missing from the record. Those who arrive while a sync runs share the next one; there is
// no timer. Session files are filled behind the journal and checkpointed before it is reused;
// recovery copies bytes and encrypts nothing, so no nonce is ever used twice, and a recording cut by
// a crash is never written to again.
//
// # Reading
//
// [Verify] checks a container at three levels: without a key, with RK, with RK and SK. [OpenReader]
// reads frames from any segment on. Both take every length as hostile: limits come before
// allocation.
package recorder

// Version is the version of the container format that this package writes and reads.
const Version = 1

// Limits of the format (docs/recording-format.md, "Limits"). A reader refuses what is beyond them
// before it allocates.
const (
	maxHeader       = 4 << 10
	maxChunk        = 256 << 10 // ct_len: the body of a chunk
	maxSegmentPlain = 1<<20 + maxKeyframe
	maxSegmentBody  = 4 << 20 // the sum of ct_len in a segment
	maxKeyframe     = 512 << 10
	maxFrame        = 72 << 10 // data of any frame but K
	maxStatement    = 32 << 10
	maxIndex        = 4096 // entries of the close record's segment index
	maxSeq          = 1<<28 - 1
	maxWindow       = 128 << 10
)

// What the writer keeps to, inside those limits.
const (
	segmentPlain  = 1 << 20
	segmentBody   = 3 << 20
	segmentTimeUs = 60_000_000
	chunkPlain    = 128 << 10 // frame bytes gathered into one chunk
	piece         = 32 << 10  // stream bytes in one frame
	padding       = 32
)

const (
	labelPrefix = "sallyport/rec/v1/"
	labelChain  = "sallyport/rec/v1\x00"
	labelSealed = "sallyport/rec/v1/s\x00"
	// PurposeClose is the purpose of the signature over a close record.
	PurposeClose = "sallyport/v1/close"
)
