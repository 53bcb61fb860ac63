package node

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// watchdog pats the service manager's watchdog, if one is set, as long as the gateway does its work. While it starts it
// may wait for its signer as long as it takes.
type watchdog struct{ of atomic.Pointer[Gateway] }

func (w *watchdog) run(ctx context.Context, tell func(string)) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	for {
		if g := w.of.Load(); g == nil || g.Alive(ctx) == nil {
			tell(daemon.SdNotifyWatchdog)
		}
		<-tick.C // also while it drains: the process ends this
	}
}
