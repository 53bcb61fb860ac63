package store

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// OnlineWatch is a person's wish to be told once when a device is online again.
type OnlineWatch struct {
	FP      [32]byte // of the device's SSH host key
	Who     id.Principal
	Created time.Time
}
