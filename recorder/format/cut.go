package format

import (
	"errors"
	"fmt"
)

// ErrCut is what a *Cut is: errors.Is(err, ErrCut). A scan returns it at the end of a recording that has no close.
var ErrCut = errors.New("recording is cut")

// Cut says that a recording ends without its close, as it does after a crash and while it is still
// being written. What came before it holds.
type Cut struct {
	File   string
	Offset int64 // behind the last whole chunk
	Torn   int64 // bytes of an unfinished chunk behind it
	Why    string
}

func (c *Cut) Error() string {
	return fmt.Sprintf("%s, offset %d: the recording is cut: %s", c.File, c.Offset, c.Why)
}

// Is makes a Cut an ErrCut.
func (c *Cut) Is(target error) bool { return target == ErrCut }
