package node

import (
	"context"
	"os"
	"runtime/debug"
	"time"
)

// With many lines nearly all of the heap is what waits and hardly changes. To let as much garbage pile up beside it, as Go does,
// is memory for nothing; a gateway of few lines has a small heap, in which the same thrift would cost more than it saves.
// With many live sessions the heap is what their buffers hold, and floods make garbage as fast as the device sends.
const (
	manyLines   = 4000
	manyLive    = 16
	leanGarbage = 50 // per cent of what lives
	usual       = 100
	leanEvery   = time.Second
	freeEvery   = 10 * time.Second
)

// lean lets less garbage pile up while there are many lines or live sessions, and with many live sessions gives back
// what floods have left: a session that stands still makes no garbage, so nothing else would collect it. An operator's
// own GOGC stands.
func lean(ctx context.Context, lines, live func() int) error {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(leanEvery)
	defer tick.Stop()
	defer debug.SetGCPercent(usual)
	now, freed := usual, time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if want := garbage(lines(), live()); want != now {
			debug.SetGCPercent(want)
			now = want
		}
		if live() >= manyLive && time.Since(freed) >= freeEvery {
			debug.FreeOSMemory()
			freed = time.Now()
		}
	}
}

func garbage(lines, live int) int {
	if lines >= manyLines || live >= manyLive {
		return leanGarbage
	}
	return usual
}
