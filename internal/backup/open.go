package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Set is a complete set of an archive, opened for reading.
type Set struct {
	Manifest    *Manifest
	Fingerprint string            // hexadecimal SHA-256 of the manifest's file
	Checkpoint  ledger.Checkpoint // of the manifest, with its signature checked under the manifest's own log key
	dir         string
	root        *os.Root
	leftOut     []Problem       // damaged files of recordings that a restore goes on without
	without     map[string]bool // their paths
}

// Open opens a set of the archive of one kind in dir, the directory given to `sallyport backup --to`: the named set, or
// the newest if set is empty. It checks the manifest, but not the files. A missing set is an error of kind
// errkind.NotFound, and a damaged manifest is errkind.Conflict. The caller closes the set.
func Open(dir string, kind Kind, set string) (*Set, error) {
	archive := archiveDir(dir, kind)
	root, err := openArchive(dir, kind, false)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noBackup(dir, kind)
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, errkind.New(errkind.Usage, archive+" cannot be opened by the user that this runs as").
			WithHint("The gateway's user and the signer's user write into directories of their own: " +
				"name the one that `sallyport backup --to` was given for the " + string(kind) + ".")
	}
	if err != nil {
		return nil, err
	}
	s, err := open(root, archive, kind, set)
	if err != nil {
		root.Close()
		return nil, err
	}
	return s, nil
}

func open(root *os.Root, dir string, kind Kind, set string) (*Set, error) {
	all, err := sets(root)
	if err != nil {
		return nil, err
	}
	switch {
	case len(all) == 0:
		return nil, noBackup(dir, kind)
	case set == "":
		set = all[len(all)-1]
	case !slices.Contains(all, set):
		return nil, errkind.New(errkind.NotFound, fmt.Sprintf("there is no complete set %.100q in %s", set, dir)).
			WithHint("Sets there: " + strings.Join(all, ", "))
	}
	m, raw, err := readManifest(root, set)
	if err == nil && m.Kind != kind {
		err = fmt.Errorf("%s: it belongs to the %s", manifestName, m.Kind)
	}
	var cp ledger.Checkpoint
	if err == nil {
		cp, err = ledger.ParseCheckpoint(m.Checkpoint, m.LogKey)
	}
	if err != nil {
		return nil, problems(dir, []Problem{{setsDir + "/" + set, err.Error()}})
	}
	sum := sha256.Sum256(raw)
	return &Set{Manifest: m, Fingerprint: hex.EncodeToString(sum[:]), Checkpoint: cp, dir: dir, root: root}, nil
}

// Close releases the archive's directory.
func (s *Set) Close() error { return s.root.Close() }

// Name is the name of the set's directory: the time of the backup in UTC.
func (s *Set) Name() string { return s.Manifest.name() }

// Check compares every file with the manifest and gives those that differ. If none differs and there are identities, it
// also opens the sealed files. The error is of kind errkind.Denied if no identity opens them.
func (s *Set) Check(_ context.Context, ids []age.Identity, tell Progress) ([]Problem, error) {
	out := s.Manifest.verify(s.root, tell)
	if len(ids) == 0 || len(out) > 0 {
		return out, nil
	}
	for _, name := range []string{secretsName, databaseName} {
		e, ok := s.entry(name)
		if !ok {
			continue
		}
		read := func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }
		if name == secretsName {
			read = func(r io.Reader) error {
				return s.names().unpack(r, func(string, []byte) error { return nil })
			}
		}
		if err := s.unseal(e, ids, read); err != nil {
			if errkind.KindOf(err) == errkind.Denied {
				return out, err
			}
			out = append(out, Problem{e.Path, err.Error()})
		}
	}
	return out, nil
}

func (s *Set) entry(name string) (Entry, bool) {
	want := setsDir + "/" + s.Name() + "/" + name
	i := slices.IndexFunc(s.Manifest.Files, func(e Entry) bool { return e.Path == want })
	if i < 0 {
		return Entry{}, false
	}
	return s.Manifest.Files[i], true
}

// names are the rules for names in a sealed archive, which are those of a separate signer.
func (s *Set) names() place { return place{kind: s.Manifest.Kind, apart: true} }

// unseal opens a sealed file of the set.
func (s *Set) unseal(e Entry, ids []age.Identity, read func(io.Reader) error) error {
	f, _, err := openRegular(s.root, e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unseal(f, ids, e.Plain, read)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return errkind.New(errkind.Denied, fmt.Sprintf("the identity given does not open %s", e.Path)).
			WithHint("Give the private half of a key that [backup] recipients named when the backup was made, with " +
				"--identity.").Because(err)
	}
	return err
}

// ReadIdentities reads a file of age identities, one a line. Its errors are of kind errkind.Usage.
func ReadIdentities(path string) ([]age.Identity, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("--identity: %v", err))
	}
	ids, err := age.ParseIdentities(bytes.NewReader(raw))
	if err != nil {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("--identity %s: %v", path, err)).
			WithHint("It must hold lines that begin with AGE-SECRET-KEY-, as age-keygen writes them.")
	}
	return ids, nil
}
