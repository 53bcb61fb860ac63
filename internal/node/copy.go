package node

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
)

// checkCopy wants the directory of the log's second copy to be there: made here, it would lie on the disk that the copy
// is to outlive, below a mount point that is not mounted.
func checkCopy(c *config.Config) error {
	dir := c.Ledger.SecondCopy
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	if err != nil {
		return errkind.New(errkind.Usage, fmt.Sprintf("[ledger] second_copy: %v", err)).
			WithHint("Mount it, or make it for the user that the signer runs as. It is not made here, so that a disk that is not mounted shows.")
	}
	return nil
}

// copyEvery is how often the copies are looked at.
const copyEvery = 15 * time.Second

// watchCopy says when a copy falls behind and when it has caught up. Sessions go on: the log itself has everything.
func watchCopy(ctx context.Context, s *signer.Service, log *slog.Logger) error {
	tick := time.NewTicker(copyEvery)
	defer tick.Stop()
	behind := false
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		err := s.Behind()
		if err != nil && !behind {
			log.Error("a copy of the log is behind", slog.Any("error", err))
		}
		if err == nil && behind {
			log.Info("the copies of the log have everything again")
		}
		behind = err != nil
	}
}
