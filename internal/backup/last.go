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
	"github.com/sallyport/sallyport/internal/readfile"
)

// Last names the newest complete set of one archive. It is stored as last-backup.json beside the files that were backed
// up, because the configuration does not say where backups are. It is not part of a backup: a restored directory has
// not been backed up yet.
type Last struct {
	Made        time.Time `json:"made"`        // when the backup began
	To          string    `json:"to"`          // absolute path of the directory given to --to
	Set         string    `json:"set"`         // name of the set
	Fingerprint string    `json:"fingerprint"` // of the set, see Set
}

const lastName = "last-backup.json"

// lastPath gives the path of last-backup.json: in a directory that the user who makes the backup can write.
func (p place) lastPath() string {
	if p.kind == Signer {
		return filepath.Join(p.signerDir(), lastName)
	}
	return filepath.Join(p.dir, lastName)
}

// ReadLast gives the newest complete set of an archive by last-backup.json. It returns nil without an error if no
// backup was made since the directory was created or restored. A file that cannot be read or parsed is an error.
func ReadLast(c *config.Config, kind Kind) (*Last, error) {
	p := gatewayPlace(c)
	if kind == Signer {
		p = signerPlace(c)
	}
	raw, err := readfile.Regular(p.lastPath(), readfile.Most)
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

// Newest gives the time at which the newest complete set of an archive in dir was made. dir is the directory given to
// `sallyport backup --to`. It checks the manifest, but not the files. Its errors are those of Open.
func Newest(dir string, kind Kind) (time.Time, error) {
	s, err := Open(dir, kind, "")
	if err != nil {
		return time.Time{}, err
	}
	return s.Manifest.Made, s.Close()
}

// note writes last-backup.json for the new set, which doctor and the metrics read.
func (b *maker) note() error {
	to, err := filepath.Abs(b.o.To)
	if err != nil {
		return err
	}
	l := Last{Made: b.m.Made, To: to, Set: b.m.name(), Fingerprint: b.out.Fingerprint}
	if err := l.write(b.p.lastPath()); err != nil {
		return fmt.Errorf("the backup is complete, but last-backup.json cannot be written, so doctor and the metrics "+
			"do not show it: %w", err)
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
