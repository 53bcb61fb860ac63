package signer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Restored describes the restore of a directory from a backup. It is stored there as restored.json, by the signer and
// by the gateway. The log must never be shorter than the one that the backup saw.
type Restored struct {
	Made       time.Time `json:"made"`           // time of the backup
	At         time.Time `json:"at"`             // time of the restore
	Checkpoint []byte    `json:"checkpoint"`     // signed head of the log when the backup was made
	Since      uint64    `json:"since"`          // gateway: index of the first entry whose row the backup may lack
	Leaf       *uint64   `json:"leaf,omitempty"` // signer: index of the log's entry about the restore

	// Files of recordings, below data_dir, that were damaged in the backup and left out.
	LeftOut []string `json:"left_out,omitempty"`

	// The gateway sets these at its first start after the restore: sessions and devices that only the log has.
	Examined uint64   `json:"examined,omitempty"` // size of the log then; 0: the gateway has not started yet
	Sessions []string `json:"sessions,omitempty"` // ids
	Devices  []string `json:"devices,omitempty"`  // names
}

const (
	restoredName = "restored.json"
	maxRestored  = 64 << 20 // it lists sessions
)

// ReadRestored reads restored.json in dir. It returns nil without an error if dir was not restored.
func ReadRestored(dir string) (*Restored, error) {
	path := filepath.Join(dir, restoredName)
	raw, err := readfile.Regular(path, maxRestored)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var r Restored
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

// Write stores r durably as restored.json in dir.
func (r *Restored) Write(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeDurable(filepath.Join(dir, restoredName), append(raw, '\n'))
}

// noteRestore writes a restore into the log, once, so that readers of the log see where it happened. Id tokens that
// were issued before it are refused.
func (s *Service) noteRestore(ctx context.Context) error {
	r, err := ReadRestored(s.cfg.Dir)
	if err != nil || r == nil {
		return err
	}
	// The backup does not know which sign-ins were closed after it was made.
	s.restoredAt = r.At
	if r.Leaf != nil {
		return nil
	}
	leaf, err := s.event(ctx, "restore", "", map[string]string{"made": r.Made.UTC().Format(time.RFC3339),
		"at": r.At.UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	r.Leaf = &leaf.Index
	return r.Write(s.cfg.Dir)
}

// NotLost returns an error of kind errkind.Conflict if a key or the log is missing in dir although the signer has run
// before. dir is the signer's directory, second the directory of the log's second copy or "". New keys would be another
// identity: devices, verifiers and the second copy know the old ones, and a new file would keep the old one from being
// put back.
func NotLost(dir, second string) error {
	begun, signs := "", []string{filepath.Join(dir, "bundle.json"), filepath.Join(dir, "log", "log.data")}
	if second != "" {
		signs = append(signs, ledger.CopyFiles(second)...)
	}
	for _, path := range signs {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			begun = path
		}
	}
	if begun == "" {
		return nil
	}
	for _, name := range keyFiles {
		path := filepath.Join(dir, "keys", name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return errkind.New(errkind.Conflict,
				fmt.Sprintf("%s is missing, although this signer has run before: %s is there",
					path, begun)).
				WithHint("Put the signer's backup back: " +
					"`sallyport restore --signer --config FILE --from DIR --identity KEY`. " +
					"For a new installation, use empty directories.")
		}
	}
	data := filepath.Join(dir, "log", "log.data")
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) && begun == filepath.Join(dir, "bundle.json") {
		return errkind.New(errkind.Conflict, fmt.Sprintf("%s is missing, although this signer has run before. "+
			"Another log under the same key would be a second history", data)).
			WithHint("`sallyport restore --log --config FILE`, as the signer's user, puts the log back from a copy.")
	}
	return nil
}

// keyFiles are the names of all keys.
var keyFiles = []string{"root.key", "session-ca.key", "log.key", "site.key"}

// LogKey gives the verifier key, in the format of C2SP signed-note, of the log of the signer in dir. The caller must be
// able to read the signer's keys.
func LogKey(dir string) (string, error) {
	path := filepath.Join(dir, "keys", "log.key")
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	_, verifier, ok := strings.Cut(strings.TrimSpace(string(raw)), "\n")
	if !ok {
		return "", fmt.Errorf("%s: want a signer key and a verifier key, a line each", path)
	}
	return verifier, nil
}
