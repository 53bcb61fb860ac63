package format

import (
	"errors"
	"fmt"
)

// ErrCut matches every *Cut by errors.Is. A scan returns a *Cut at the end of a recording that has no close.
var ErrCut = errors.New("recording is cut")

// Cut says that a recording ends without a close, as after a crash or while it is still being written. Everything
// before Offset is valid.
type Cut struct {
	File   string
	Offset int64 // end of the last whole chunk
	Torn   int64 // bytes of an unfinished chunk after it
	Why    string
}

func (c *Cut) Error() string {
	return fmt.Sprintf("%s, offset %d: the recording is cut: %s", c.File, c.Offset, c.Why)
}

// Is makes a Cut an ErrCut.
func (c *Cut) Is(target error) bool { return target == ErrCut }
