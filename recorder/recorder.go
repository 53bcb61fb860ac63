// Package recorder is what the parts of a gateway know of recording: a [Recorder] begins the recording of a session, and
// a [Recording] takes in what a technician types and sees. A recording is a file that nobody can change afterwards
// without being found out, and that nobody can read without a key which the recording host does not have.
//
// Whoever records names this package for the interfaces and [format] for the values, and never the writer. Only what
// puts a process together names [writer], so that a test can record to something else.
//
// # Packages
//
//   - format: what is on disk, with every limit: header, chunks, frames, kinds, streams, keys, names, journal records.
//   - seal: frames into sealed chunks.
//   - writer: the node of a host, with journal, crash recovery and budgets. It is the Recorder of a gateway.
//   - scan: a container chunk by chunk, without a key.
//   - reader: frames in order, and verification at three levels.
//   - files: where the files of recordings are in a directory.
//   - archive, asciicast, bundle, ledger: what is made of recordings, and the log.
//
// Crash recovery has to find the last whole chunk of a recording, as a verifier does: scan is a package of its own so
// that writer and reader share it and do not know each other. For the same reason tests of the reader make their
// recordings with seal, and not with a node.
//
// # The container
//
// One part of a session is one append-only file, `<session>[.N].srec`: a header, then chunks, then a
// trailer. Each chunk is chained to all before it by SHA-256 and, where it carries session bytes,
// sealed with AES-256-GCM under a key of its segment; the chain state is the associated data, so
// that a chunk is good in one place only. docs/recording-format.md is the specification and holds the
// vectors; these packages are its reference.
//
// # Keys
//
// A part has two fresh secrets. RK opens the record; it is wrapped, in an ordinary age file beside the
// container, for the readers. SK opens what was typed where the terminal hid it; it is wrapped for the
// unsealing officers alone. The writer forgets both at once and keeps the two ladders that are derived
// from them, which only go forward: whoever takes the host learns the open segment and what comes, not
// what was. Input of a terminal is written sealed first (nobody knows yet whether it is a password) and
// revealed when the device says that the terminal showed it.
//
// [format]: https://pkg.go.dev/github.com/sallyport/sallyport/recorder/format
// [writer]: https://pkg.go.dev/github.com/sallyport/sallyport/recorder/writer
package recorder

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
)

// Recorder makes recordings. *writer.Node is one.
type Recorder interface {
	// Ready gives the reason, for people, why no new session may start; nil if one may.
	Ready() error
	// Create begins a part. When it returns, header and slots are durable.
	Create(ctx context.Context, c PartConfig) (Recording, error)
	// Ended reads how a part that began at start was closed, and the reason. The error is ErrOpen if it was not.
	Ended(session id.Session, part uint32, start time.Time) (Closed, string, error)
}

// Recording is one part of one session while it is recorded. Its methods may be called by several goroutines; those of
// one channel and stream should be called by one, or its bytes mix.
//
// A method that records returns nil only when what it was given is durable. After any error nothing of it may be
// forwarded or shown.
type Recording interface {
	// Start records what a device is about to be asked for a channel: the size of its terminal in columns and rows, 0
	// without one, and all the rest in one line of text. Nothing is shortened: what the record cannot hold is an error.
	Start(ch uint32, cols, rows uint16, text string) error
	// Output records bytes on their way to the technician. The stream is StreamOut or StreamErr.
	Output(ctx context.Context, ch uint32, stream format.Stream, p []byte) error
	// Input records bytes on their way to the device. They are sealed until a Verdict says that the terminal showed
	// them. Without a terminal nothing can hide them, so they are not sealed.
	Input(ctx context.Context, ch uint32, actor uint64, p []byte) error
	// Verdict says what the device's terminal did with n bytes of input from offset on: showed them, and they are
	// revealed to the readers of the record, or hid them. It waits for nothing.
	Verdict(ch uint32, offset, n uint64, hidden bool)
	// Resize records a new size of a channel's terminal.
	Resize(ch uint32, cols, rows uint16) error
	// Exit records the end of a channel's program.
	Exit(e format.Exit) error
	// Command records that a program started or ended. What is too long is shortened, and marked so.
	Command(c format.Command) error
	// Note records a marker, or a remark on the record itself. A text that is too long is shortened.
	Note(n format.Note) error
	// Notice records the log's answer to the open leaf.
	Notice(b []byte) error
	// Close ends the part for a reason. Of a recording that failed it gives what is durable, and why there is no more.
	Close(ctx context.Context, reason string) (Closed, error)

	// H0 is what the open leaf commits to: the chain state after the header.
	H0() [32]byte
	// SlotRK and SlotSK are the SHA-256 of the slot files of the readers and of the unsealing officers.
	SlotRK() [32]byte
	SlotSK() [32]byte
	// Started is when the part began, from its header. The place of its files follows from it.
	Started() time.Time
	// Failed is closed when the recording takes no more of the session; Err says why, for people.
	Failed() <-chan struct{}
	Err() error
	// Slowed gives once, in words for people, that more came than the session may record at full speed, and how fast it
	// goes on.
	Slowed() <-chan string
	// Progress gives what is durable, for the progress leaf.
	Progress() Closed
}
