package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Restored is the result of a restore.
type Restored struct {
	Kind        Kind      `json:"kind"`
	Dir         string    `json:"dir"`                // directory that the files were put into
	Set         string    `json:"set"`                // name of the set
	Fingerprint string    `json:"fingerprint"`        // of the set, see Set
	Made        time.Time `json:"made"`               // time of the backup
	Files       int       `json:"files"`              // files put in place
	LogSize     uint64    `json:"log_size"`           // entries in the log when the backup was made
	Log         uint64    `json:"log,omitempty"`      // entries of the log that was put in place
	LogFrom     string    `json:"log_from,omitempty"` // directory of the copy that it was restored from
	LeftOut     []Problem `json:"left_out,omitempty"` // damaged files of recordings: the restore is not whole
}

// Target is where a restore writes.
type Target struct {
	Config  *config.Config // names the directories
	LogFrom string         // directory of a copy of the log; empty: [ledger] second_copy

	// WithoutDamaged leaves out damaged files of recordings instead of refusing the whole set. Damage to any other file is
	// refused all the same.
	WithoutDamaged bool
}

// Restore puts sets in place: the gateway's, the signer's, or both where they are one process. ids open the sealed
// files. The directory must exist and be empty. Restore checks everything before it writes anything, and gives the
// files their names last. A damaged set, another gateway's set, or a log copy that is too short is an error of kind
// errkind.Conflict.
func (t Target) Restore(ctx context.Context, ids []age.Identity, tell Progress, all ...*Set) ([]Restored, error) {
	places := make([]place, len(all))
	for i, s := range all {
		if places[i] = gatewayPlace(t.Config); s.Manifest.Kind == Signer {
			places[i] = signerPlace(t.Config)
		}
		if err := t.fits(s, places[i]); err != nil {
			return nil, err
		}
	}
	for _, s := range all {
		if err := t.judge(s, s.Manifest.verify(s.root, tell)); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(places[0].dir, restoring)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	out := make([]Restored, len(all))
	for i, s := range all {
		var err error
		if out[i], err = t.stage(ctx, s, places[i], dir, ids); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	return out, settle(dir)
}

// fits refuses a set that does not match the configuration.
func (t Target) fits(s *Set, p place) error {
	m := s.Manifest
	switch {
	case m.Origin != t.Config.Ledger.Origin:
		return errkind.New(errkind.Conflict, fmt.Sprintf("the backup is of the log %s, the configuration names %s",
			m.Origin, t.Config.Ledger.Origin)).
			WithHint("Restore with the configuration of that gateway, or name its log in [ledger] origin.")
	case m.Kind == Signer && t.logFrom() == "":
		return errkind.New(errkind.Usage,
			"[ledger] second_copy is missing, and a log is never restored from a backup, "+
				"so there is no log to go on with").
			WithHint("Name a copy with --log-from: the second copy, or the `log` directory from the signer's old " +
				"disk. If there is none, the log is lost. " +
				"A later release adds `log restart`, which begins another one.")
	}
	return empty(p.dir)
}

func (t Target) logFrom() string {
	if t.LogFrom != "" {
		return t.LogFrom
	}
	return t.Config.Ledger.SecondCopy
}

// stage puts a set's files below dir.
func (t Target) stage(ctx context.Context, s *Set, p place, dir string, ids []age.Identity) (Restored, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Restored{}, err
	}
	defer root.Close()
	out := Restored{Kind: p.kind, Dir: p.dir, Set: s.Name(), Fingerprint: s.Fingerprint, Made: s.Manifest.Made,
		LogSize: s.Checkpoint.Size, LeftOut: s.leftOut}
	secrets, _ := s.entry(secretsName)
	err = s.unseal(secrets, ids, func(r io.Reader) error {
		return s.names().unpack(r, func(name string, raw []byte) error {
			out.Files++
			return write(root, p.unpacked(name), strings.NewReader(string(raw)))
		})
	})
	if err != nil {
		return out, err
	}
	if p.kind == Gateway {
		return out, s.stageGateway(ctx, root, dir, ids, &out)
	}
	return out, t.stageLog(s, p, dir, &out)
}

// stageGateway puts the database and the recordings in place.
func (s *Set) stageGateway(ctx context.Context, root *os.Root, dir string, ids []age.Identity, out *Restored) error {
	e, _ := s.entry(databaseName)
	if err := s.unseal(e, ids, func(r io.Reader) error { return write(root, "gateway.db", r) }); err != nil {
		return err
	}
	if err := sqlite.CheckFile(ctx, filepath.Join(dir, "gateway.db")); err != nil {
		return err
	}
	since, err := s.since(ctx, filepath.Join(dir, "gateway.db"))
	if err != nil {
		return err
	}
	out.Files++
	for _, e := range s.Manifest.Files {
		name, ok := recordingName(s.Name(), e.Path)
		if !ok || s.without[e.Path] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := s.copy(root, e, name); err != nil {
			return err
		}
		out.Files++
	}
	return s.note(dir, since)
}

// since gives the index of the first entry of the log whose row the database may lack. What the manifest says is only
// believed if the database is as new: its writer may have joined an older database with it.
func (s *Set) since(ctx context.Context, database string) (uint64, error) {
	newest, err := sqlite.NewestLeaf(ctx, database)
	return min(s.Manifest.Since, newest-min(newest, rowsLate)), err
}

// copy puts one recording's file in place. It hashes again what it copies: the backup may change between two readings.
func (s *Set) copy(root *os.Root, e Entry, name string) error {
	f, _, err := openRegular(s.root, e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if err := write(root, name, io.TeeReader(io.LimitReader(f, e.Size), h)); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != e.SHA256 {
		return problems(s.dir, []Problem{{e.Path, "its bytes changed while it was restored"}})
	}
	return nil
}

// stageLog puts the log in place from a copy of it. The keys that were restored must have signed it.
func (t Target) stageLog(s *Set, p place, dir string, out *Restored) error {
	staged := place{kind: Signer, dir: dir, apart: p.apart}.signerDir()
	key, err := signer.LogKey(staged)
	if err != nil {
		return fmt.Errorf("the backup's keys: %w", err)
	}
	if key != s.Manifest.LogKey {
		return errkind.New(errkind.Conflict, "the log key in the backup is not the one that its manifest names")
	}
	head, err := ledger.Restore(t.logFrom(), filepath.Join(staged, "log"), key, s.Checkpoint)
	if err != nil {
		return err
	}
	out.Log, out.LogFrom = head.Size, t.logFrom()
	return s.note(staged, 0)
}

// note writes the checkpoint that the next start compares the log with, and the entry from which the gateway reads it.
func (s *Set) note(dir string, since uint64) error {
	r := &signer.Restored{Made: s.Manifest.Made, At: time.Now().UTC().Truncate(time.Second),
		Checkpoint: s.Manifest.Checkpoint, Since: since}
	for _, p := range s.leftOut {
		name, _ := recordingName(s.Name(), p.Path)
		r.LeftOut = append(r.LeftOut, name)
	}
	return r.Write(dir)
}

// write creates a new file and its parent directories.
func write(root *os.Root, name string, from io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// settle makes everything below dir durable and moves it up into the directory itself.
func settle(dir string) error {
	if err := syncAll(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	up := filepath.Dir(dir)
	for _, e := range entries {
		if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(up, e.Name())); err != nil {
			return err
		}
	}
	return errors.Join(os.Remove(dir), syncDir(up))
}
