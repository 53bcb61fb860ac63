package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// stampWait bounds how long the published checkpoint may lag behind the snapshot.
const stampWait = 10 * time.Second

// rowsLate bounds how many entries the log may gain before the row of an earlier entry is stored.
const rowsLate = 1000

// since records the log's size before the snapshot. The snapshot may lack the entries that the log gains during the
// backup. A restore applies all entries from this size on. Otherwise it would undo a revocation made during the backup.
func (b *maker) since(ctx context.Context) error {
	if b.p.kind != Gateway {
		return nil
	}
	note, key, err := b.head(ctx)
	if err != nil {
		return err
	}
	cp, err := ledger.ParseCheckpoint(note, key)
	b.m.Since = cp.Size - min(cp.Size, rowsLate)
	return err
}

// stamp writes the log's signed head into the manifest. It reads the head after the snapshot, so a log that is shorter
// than the stamp lacks signed entries.
func (b *maker) stamp(ctx context.Context) error {
	b.o.Progress.say("log")
	least := uint64(0)
	if b.temp.dir != "" {
		var err error
		if least, err = sqlite.NewestLeaf(ctx, filepath.Join(b.temp.dir, "gateway.db")); err != nil {
			return err
		}
	}
	for end := time.Now().Add(stampWait); ; time.Sleep(50 * time.Millisecond) {
		note, key, err := b.head(ctx)
		if err != nil {
			return err
		}
		cp, err := ledger.ParseCheckpoint(note, key)
		if err != nil {
			return err
		}
		if cp.Size >= least {
			b.m.Checkpoint, b.m.LogKey, b.out.LogSize = note, key, cp.Size
			return nil
		}
		if time.Now().After(end) {
			return errkind.New(errkind.Conflict,
				fmt.Sprintf("the log has %d entries, and the database knows its entry %d",
					cp.Size, least-1)).
				WithHint("The log was rolled back, or its checkpoint cannot be published: " +
					"`sallyport doctor --config FILE` says more.")
		}
	}
}

// head gives the log's newest checkpoint and its verifier key: from the signer, or from its files if they belong to
// this user.
func (b *maker) head(ctx context.Context) (note []byte, key string, err error) {
	if b.p.kind == Gateway && b.p.apart {
		s := signer.NewClient(b.c.Signer.Socket)
		keys, err := s.Keys(ctx)
		if err != nil {
			return nil, "", err
		}
		note, err := s.Head(ctx)
		return note, keys.LogKey, err
	}
	dir := b.p.signerDir()
	if key, err = signer.LogKey(dir); err != nil {
		return nil, "", err
	}
	note, err = published(ctx, filepath.Join(dir, "log", "checkpoint"))
	if err == nil && len(note) == 0 {
		err = errors.New("the published checkpoint is empty; start the signer once")
	}
	return note, key, err
}

// published reads a log's checkpoint. A log publishes a moment after it has written, so the first checkpoint is waited
// for, up to stampWait.
func published(ctx context.Context, path string) (note []byte, err error) {
	for end := time.Now().Add(stampWait); ; {
		note, err = os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) || time.Now().After(end) {
			return note, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
