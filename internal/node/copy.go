package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
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

// notLost refuses a start that would make new keys or another log in place of lost ones. It runs before a start makes
// any file, because the restore that the refusal names needs an empty directory.
func notLost(c *config.Config) error {
	if err := checkCopy(c); err != nil {
		return err
	}
	return signer.NotLost(SignerDir(c), c.Ledger.SecondCopy)
}

// checkLog compares the signer's log with what the database has seen of it. A log that is shorter was rolled back, or is
// another one: it would sign a second history, and the devices would refuse it one by one.
func (g *Gateway) checkLog(ctx context.Context) error {
	head, err := g.Signer.Head(ctx)
	if err != nil {
		return err
	}
	size, err := headSize(head)
	if err != nil {
		return err
	}
	seen, err := g.DB.AuditEvents(ctx, store.AuditFilter{Limit: 100}) // rows of one moment may have changed places
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for _, e := range seen {
		if e.Leaf >= size {
			return errkind.New(errkind.Conflict, fmt.Sprintf("the log has %d entries, and the database knows its entry %d: the log was rolled back, or it is another one, so the gateway does not serve", size, e.Leaf)).
				WithHint(putLogBack)
		}
	}
	return g.checkRestored(ctx, head)
}

// headSize reads the size from a checkpoint's second line.
func headSize(note []byte) (uint64, error) {
	lines := strings.SplitN(string(note), "\n", 3)
	if len(lines) < 3 {
		return 0, errors.New("log: no checkpoint")
	}
	return strconv.ParseUint(lines[1], 10, 64)
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
