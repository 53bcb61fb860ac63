package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
)

func sortStrings(s []string) { slices.Sort(s) }

// clean reports whether a name with slashes is in its canonical form.
func clean(name string) bool { return name == path.Clean(name) && !strings.ContainsAny(name, "\\\x00") }

// check refuses a manifest whose files could not have been written by a backup.
func (m *Manifest) check(set string) error {
	switch {
	case m.Kind != Gateway && m.Kind != Signer:
		return fmt.Errorf("%s: kind %.20q is not known", manifestName, m.Kind)
	case m.name() != set:
		return fmt.Errorf("%s: it was made at %s and is in %s", manifestName, m.name(), set)
	case len(m.Files) > maxFiles:
		return fmt.Errorf("%s: %d files, more than %d", manifestName, len(m.Files), maxFiles)
	}
	seen := make(map[string]bool, len(m.Files))
	for _, e := range m.Files {
		if e.Size < 0 || e.Plain < 0 || len(e.SHA256) != 2*sha256.Size || seen[e.Path] || !m.mayHold(set, e.Path) {
			return fmt.Errorf("%s: the entry %.200q is not one that a backup writes", manifestName, e.Path)
		}
		seen[e.Path] = true
	}
	if !seen[setsDir+"/"+set+"/"+secretsName] || m.Kind == Gateway && !seen[setsDir+"/"+set+"/"+databaseName] {
		return fmt.Errorf("%s: it lists no keys or no database", manifestName)
	}
	return nil
}

// mayHold reports whether a set may list a file of that name.
func (m *Manifest) mayHold(set, name string) bool {
	if !clean(name) || !filepath.IsLocal(filepath.FromSlash(name)) {
		return false
	}
	own := setsDir + "/" + set + "/"
	switch {
	case name == own+secretsName:
		return true
	case m.Kind != Gateway:
		return false
	case name == own+databaseName:
		return true
	}
	_, ok := recordingName(set, name)
	return ok
}

// recordingName gives the path below data_dir of a file of a set, if the file belongs to a recording.
func recordingName(set, name string) (string, bool) {
	name = strings.TrimPrefix(name, setsDir+"/"+set+"/"+openDir+"/")
	rule, ok := place{kind: Gateway, apart: true}.classify(name)
	return name, ok && rule.Class == Recording && strings.HasPrefix(name, recordingsDir+"/")
}

// Problem is one file of a backup that differs from its manifest.
type Problem struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// verify hashes every file of a set.
func (m *Manifest) verify(root *os.Root, tell Progress) []Problem {
	var out []Problem
	for i, e := range m.Files {
		if err := verifyFile(root, e); err != nil {
			out = append(out, Problem{e.Path, err.Error()})
		}
		tell.count("checked", i+1, len(m.Files))
	}
	return out
}

func verifyFile(root *os.Root, e Entry) error {
	f, size, err := openRegular(root, e.Path)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("it is missing")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if size != e.Size {
		return fmt.Errorf("it has %d bytes, the manifest says %d", size, e.Size)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, e.Size)); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != e.SHA256 {
		return errors.New("its bytes are not those that were written")
	}
	return nil
}

// problems joins them into one error.
func problems(dir string, all []Problem) error {
	if len(all) == 0 {
		return nil
	}
	text := fmt.Sprintf("the backup in %s is damaged: %s: %s", dir, all[0].Path, all[0].Text)
	if n := len(all) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return errkind.New(errkind.Conflict, text).
		WithHint("Nothing was put in place. `sallyport backup --check DIR` lists every damaged file. " +
			"An older set may be undamaged (--set).")
}

// Progress receives the progress of a backup or restore: the step, and that n of its files are done. of is 0 for a step
// without a count. It may be nil.
type Progress func(doing string, n, of int)

func (p Progress) count(doing string, n, of int) {
	if p != nil && (n%64 == 0 || n == of) {
		p(doing, n, of)
	}
}
