package recorder

import (
	"errors"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
)

// PartConfig names a part of a session. Zero budgets mean the recorder's.
type PartConfig struct {
	Session  id.Session
	Part     uint32
	PrevHead [32]byte // HFinal of the part before
	DeviceFP [32]byte

	Burst, Rate, Most int64
}

// Closed says how a part ended. Of a recording that failed it says what was durable.
type Closed struct {
	HFinal [32]byte
	Seq    uint32
	Bytes  int64
	Totals format.Totals
	Hidden int // stretches of input that the device called hidden
}

// Interrupted is a part that has no close and never will: its recorder crashed, or its recording failed. What
// is whole of it stays as it is, for good.
type Interrupted struct {
	Session id.Session
	Part    uint32
	File    string    // relative to the directory of recordings
	Started time.Time // as its header says; zero if that cannot be read
	H0      [32]byte
	Head    [32]byte // chain state after the last whole chunk
	Seq     uint32   // of that chunk
	Bytes   int64    // up to there
	Torn    int64    // bytes of an unfinished chunk that were cut off
	Fault   string   // why the file does not hold beyond Bytes; then nothing was cut off
}

// ErrOpen is returned by Ended for a part that has no close.
var ErrOpen = errors.New("the recording has no close")
