package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Restore puts the log into dir from a copy that Open wrote, or from a log's own old directory, and gives its head. It
// checks the whole copy: the signature of its last checkpoint under verifierKey, every entry, and the body that each
// entry commits to. The copy must continue every checkpoint in atLeast, and the checkpoint that it has published
// itself. If it does not, the error is of kind errkind.Conflict. dir must hold no log.
func Restore(copyDir, dir, verifierKey string, atLeast ...Checkpoint) (Checkpoint, error) {
	f, err := openCopyData(copyDir)
	if err != nil {
		return Checkpoint{}, err
	}
	defer f.Close()
	c, head, err := checkCopyData(f, verifierKey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("log copy %s: %w", copyDir, err)
	}
	shown, err := published(copyDir, verifierKey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("log copy %s: %w", copyDir, err)
	}
	whole := &Copy{Head: head, hashes: c.hashes}
	for _, held := range append(shown, atLeast...) {
		if err := whole.Extends(held); err != nil {
			return Checkpoint{}, errkind.New(errkind.Conflict,
				fmt.Sprintf("the copy of the log in %s cannot be used: %v",
					copyDir, err)).
				WithHint("Look for a newer copy of the log: " +
					"the signer's old disk, or a backup of the second copy's disk.")
		}
	}
	return head, place(f, c.end, dir)
}

// Check checks the log or the copy in dir as Restore does, without atLeast, and gives its head.
func Check(dir, verifierKey string) (Checkpoint, error) {
	f, err := openCopyData(dir)
	if err != nil {
		return Checkpoint{}, err
	}
	defer f.Close()
	_, head, err := checkCopyData(f, verifierKey)
	return head, err
}

func openCopyData(copyDir string) (*os.File, error) {
	path := mirrorPath(copyDir)
	info, err := os.Lstat(path)
	if own := filepath.Join(copyDir, dataFile); errors.Is(err, fs.ErrNotExist) {
		if there, oerr := os.Lstat(own); oerr == nil {
			path, info, err = own, there, nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errkind.New(errkind.Conflict,
			fmt.Sprintf("%s is missing, and only this file can restore the log", path)).
			WithHint("Mount the disk that [ledger] second_copy names. A copy made by an older release holds only " +
				"the leaves, which verifiers read.")
	case err != nil:
		return nil, fmt.Errorf("log copy: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("log copy: %s is not a regular file", path)
	}
	return os.Open(path)
}

// checkCopyData checks a data file against its last checkpoint, and every body against its leaf.
func checkCopyData(f *os.File, verifierKey string) (*contents, Checkpoint, error) {
	c, err := scanData(f)
	if err != nil {
		return nil, Checkpoint{}, err
	}
	head, err := ParseCheckpoint(c.last, verifierKey)
	if err != nil {
		return nil, head, err
	}
	root, err := rootAt(uint64(len(c.offsets)), c.hashes)
	if err != nil || uint64(len(c.offsets)) != head.Size || root != head.Root {
		return nil, head, fmt.Errorf("its entries do not match its checkpoint of size %d: "+
			"an entry was changed, added or removed", head.Size)
	}
	for i, at := range c.offsets {
		if err := checkBody(f, at, c.end); err != nil {
			return nil, head, fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return c, head, nil
}

func checkBody(f *os.File, at, end int64) error {
	_, raw, _, err := readRecord(io.NewSectionReader(f, at, end-at))
	if err != nil {
		return err
	}
	text, nonce, body, err := decodeEntry(raw)
	if err != nil {
		return err
	}
	leaf, err := ParseLeaf(text)
	if err == nil && Commit(nonce, body) != leaf.Commit {
		err = errors.New("the leaf does not commit to the body beside it")
	}
	return err
}

// published reads the checkpoint that a copy shows to outsiders, if it has one.
func published(dir, verifierKey string) ([]Checkpoint, error) {
	raw, err := readSmall(filepath.Join(dir, "checkpoint"), MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(raw) == 0 { // not synced, so a crash may leave it empty
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	cp, err := ParseCheckpoint(raw, verifierKey)
	return []Checkpoint{cp}, err
}

// place writes the first n bytes of a data file into dir, by rename.
func place(f *os.File, n int64, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	path := filepath.Join(dir, dataFile)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errkind.New(errkind.Conflict,
			fmt.Sprintf("%s is there already; a log is never overwritten", path)).Because(err)
	}
	to, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	_, err = io.Copy(to, io.NewSectionReader(f, 0, n))
	if err = errors.Join(err, to.Sync(), to.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// CopyFiles gives the files in a copy's directory that show, if one of them is not empty, that a log has begun. The
// published checkpoint is not synced, so a crash may leave it empty or missing beside entries.
func CopyFiles(dir string) []string {
	return []string{filepath.Join(dir, "checkpoint"), mirrorPath(dir)}
}

// notShown refuses to begin a log if a copy already contains one: its entries would be signed a second time.
func notShown(s note.Signer, copies []string) error {
	for _, dir := range copies {
		for _, path := range CopyFiles(dir) {
			info, err := os.Lstat(path)
			if err != nil || info.Size() == 0 {
				continue
			}
			return errkind.New(errkind.Conflict,
				fmt.Sprintf("there is no log here, but the copy in %s holds the log %s", dir,
					s.Name())).
				WithHint("`sallyport restore --log --config FILE`, as the signer's user, restores the log from that copy. " +
					"For a new installation, use an empty directory.")
		}
	}
	return nil
}
