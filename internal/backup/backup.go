// Package backup makes backups of a gateway and of its signer, checks them, and puts them back.
//
// # Two archives
//
// The gateway's user makes one, the signer's user the other; where both are one process, one call makes both. Keys,
// secrets, the database and the provider's people are sealed with age to [backup] recipients, and are never in a
// backup in the clear. Recordings are sealed already and are copied as they are.
//
// # What is not in it
//
// The log: a log from a backup would be shorter than the one that devices and outsiders have seen, and would sign a
// second history. It is restored from [ledger] second_copy. The journal: its bytes belong to running recordings.
// Sign-ins: restored, they would undo every sign-out since. rules.go classifies every file; a file without a rule is
// reported.
//
// # Against whom
//
// A crash: a set is written under another name and renamed once it is complete and checked. A thief of the backup, who
// must not be able to open it. A reader of recordings, who must not become the gateway by the same key. A writer to the
// backup's disk: a restore treats every name, size and hash in a backup as untrusted input. Such a writer can still
// forge a set, because public keys are public; the fingerprint that each backup prints, kept elsewhere, reveals that.
package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
)

// Kind tells the archive of the gateway from that of the signer.
type Kind string

// The two archives.
const (
	Gateway Kind = "gateway"
	Signer  Kind = "signer"
)

// Names below an archive's directory.
const (
	setsDir       = "sets"
	recordingsDir = "recordings"
	openDir       = "open"
	manifestName  = "manifest.json"
	databaseName  = "database.age"
	secretsName   = "secrets.age"
	lockName      = "lock"
	partSuffix    = ".part"
	setTime       = "20060102T150405.000Z"
)

// Entry is one file of a set.
type Entry struct {
	Path     string    `json:"path"`              // relative to the archive's directory, with slashes
	Size     int64     `json:"size"`              // bytes
	SHA256   string    `json:"sha256"`            // hexadecimal
	Modified time.Time `json:"modified,omitzero"` // of the source: an unchanged recording is not copied again
	Plain    int64     `json:"plain,omitempty"`   // bytes of a sealed file once it is opened
}

// Manifest lists the files of a set, and says which log the set belongs to.
type Manifest struct {
	Format     int       `json:"format"`     // 1
	Kind       Kind      `json:"kind"`       // of the archive
	Site       string    `json:"site"`       // address of the gateway
	Origin     string    `json:"origin"`     // name of the log
	Made       time.Time `json:"made"`       // when the backup began, in milliseconds; it names the set
	Checkpoint []byte    `json:"checkpoint"` // signed head of the log after the snapshot
	LogKey     string    `json:"log_key"`    // the log's verifier key
	Since      uint64    `json:"since"`      // index in the log: the database has every row of the entries before it
	Files      []Entry   `json:"files"`      // of the set, and the recordings that it shares with other sets
}

const manifestFormat = 1

// Limits on reading a backup, which is untrusted input.
const (
	maxManifest = 1 << 30
	maxFiles    = 20_000_000
	maxSecret   = 64 << 20 // one file of keys or state
	maxSecrets  = 4 << 30  // all of them
)

// name is a set's directory.
func (m *Manifest) name() string { return m.Made.UTC().Format(setTime) }

// place is the source or the target of an archive's files.
type place struct {
	kind  Kind
	dir   string // data_dir, or the signer's directory
	apart bool
}

func gatewayPlace(c *config.Config) place {
	return place{Gateway, c.Site.DataDir, c.Signer.Socket != ""}
}

// signerPlace is where the signer's archive has its files: paths in it are relative to the signer's own directory,
// except for the provider's people, which are beside it if the signer is part of the gateway.
func signerPlace(c *config.Config) place {
	if c.Signer.Socket != "" {
		return place{Signer, c.Signer.Dir, true}
	}
	return place{Signer, c.Site.DataDir, false}
}

// packed gives the name of a file in a sealed archive. Names are those of a separate signer, so that one kind of
// installation can restore the archive of the other.
func (p place) packed(name string) string {
	if p.kind == Signer && !p.apart {
		return strings.TrimPrefix(name, "signer/")
	}
	return name
}

// unpacked is the name below a place's directory.
func (p place) unpacked(name string) string {
	if p.kind == Signer && !p.apart && !strings.HasPrefix(name, "idp/") {
		return "signer/" + name
	}
	return name
}

// signerDir is the signer's directory.
func (p place) signerDir() string {
	if p.apart {
		return p.dir
	}
	return filepath.Join(p.dir, "signer")
}

// readManifest reads a set's manifest and checks its form.
func readManifest(root *os.Root, set string) (*Manifest, []byte, error) {
	raw, err := readRegular(root, setsDir+"/"+set+"/"+manifestName, maxManifest)
	if err != nil {
		return nil, nil, err
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Format != manifestFormat {
		return nil, nil, fmt.Errorf("%s: format %d is not known; this program reads %d", manifestName, m.Format, manifestFormat)
	}
	return &m, raw, m.check(set)
}

// openRegular opens a regular file and follows no link.
func openRegular(root *os.Root, name string) (*os.File, int64, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO may have taken its place
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func readRegular(root *os.Root, name string, most int64) ([]byte, error) {
	f, size, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > most {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, size, most)
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// sets lists the complete sets of an archive, the oldest first.
func sets(root *os.Root) ([]string, error) {
	dir, err := openDirectory(root, setsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if _, err := time.Parse(setTime, e.Name()); err == nil && e.IsDir() {
			out = append(out, e.Name())
		}
	}
	sortStrings(out)
	return out, nil
}

func noBackup(dir string, kind Kind) error {
	return errkind.New(errkind.NotFound, fmt.Sprintf("there is no complete backup of the %s in %s", kind, dir)).
		WithHint("Name the directory that `sallyport backup --to` was given. A set whose name ends in .part was not " +
			"finished.")
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncAll makes all files of a file system durable: one call instead of one for each recording.
func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
