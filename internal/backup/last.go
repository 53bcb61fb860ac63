package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/internal/config"
)

// Last names the newest complete set of one archive. It lies beside the files that were backed up, because the
// configuration does not say where backups are. A restore leaves it out: nothing was backed up from there yet.
type Last struct {
	Made        time.Time `json:"made"`
	To          string    `json:"to"` // directory that --to named
	Set         string    `json:"set"`
	Fingerprint string    `json:"fingerprint"`
}

const lastName = "last-backup.json"

// lastPath is in the directory of the archive's own user, who makes the backup.
func (p place) lastPath() string {
	if p.kind == Signer {
		return filepath.Join(p.signerDir(), lastName)
	}
	return filepath.Join(p.dir, lastName)
}

// ReadLast gives the newest complete set of an archive, or nil if none was made since the directory was begun or
// restored.
func ReadLast(c *config.Config, kind Kind) (*Last, error) {
	p := gatewayPlace(c)
	if kind == Signer {
		p = signerPlace(c)
	}
	raw, err := os.ReadFile(p.lastPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var l Last
	if err == nil {
		err = json.Unmarshal(raw, &l)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.lastPath(), err)
	}
	return &l, nil
}

// Newest gives the time of the newest complete set of an archive in dir. Its manifest is checked, its files are not.
func Newest(dir string, kind Kind) (time.Time, error) {
	s, err := Open(dir, kind, "")
	if err != nil {
		return time.Time{}, err
	}
	return s.Manifest.Made, s.Close()
}

// note writes the set that was just made beside its source, for doctor and the metrics.
func (b *maker) note() error {
	to, err := filepath.Abs(b.o.To)
	if err != nil {
		return err
	}
	l := Last{Made: b.m.Made, To: to, Set: b.m.name(), Fingerprint: b.out.Fingerprint}
	if err := l.write(b.p.lastPath()); err != nil {
		return fmt.Errorf("the backup is complete, but doctor will not know of it: %w", err)
	}
	return nil
}

func (l Last) write(path string) error {
	raw, err := json.MarshalIndent(l, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), lastName+".*.new") // two backups to two places may end at the same time
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
