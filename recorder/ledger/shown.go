package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
)

// shownTail is how much of the end of a damaged data file is searched for checkpoints: more than one batch.
const shownTail = 1 << 20

// Shown gives the checkpoints that the log in dir has signed, as far as they can still be read: the published one and
// the newest of its data file. The data file may be damaged, and dir may be missing. A log that replaces this one must
// continue each of them. Otherwise it would sign other content for entries that were signed already.
func Shown(dir, verifierKey string) ([]Checkpoint, error) {
	out, err := published(dir, verifierKey)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", dir, err)
	}
	f, err := os.Open(filepath.Join(dir, dataFile))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	newest, err := newestIn(f, verifierKey)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", dir, err)
	}
	if newest.Size > 0 {
		out = append(out, newest)
	}
	return out, nil
}

// newestIn finds the largest checkpoint at the end of a file, wherever records begin there.
func newestIn(f *os.File, verifierKey string) (newest Checkpoint, err error) {
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return newest, fmt.Errorf("log key: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return newest, err
	}
	raw, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-shownTail), shownTail))
	for mark := []byte(v.Name() + "\n"); err == nil; raw = raw[len(mark):] {
		i := bytes.Index(raw, mark)
		if i < 0 {
			break
		}
		raw = raw[i:]
		if cp, ok := checkpointAt(raw, v); ok && cp.Size > newest.Size {
			newest = cp
		}
	}
	return newest, err
}

// checkpointAt reads the checkpoint that raw begins with. Its end is where its signature holds.
func checkpointAt(raw []byte, v note.Verifier) (Checkpoint, bool) {
	for end := 1; end <= min(len(raw), MaxCheckpoint); end++ {
		if raw[end-1] != '\n' {
			continue
		}
		if cp, err := parseCheckpoint(raw[:end], v); err == nil {
			return cp, true
		}
	}
	return Checkpoint{}, false
}
