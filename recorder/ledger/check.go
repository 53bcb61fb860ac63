package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed head of the log (C2SP tlog-checkpoint): origin, size, root, and the note it came in.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
	Note   []byte
}

// MaxCheckpoint bounds a checkpoint's text.
const MaxCheckpoint = 4 << 10

func signCheckpoint(origin string, size uint64, root tlog.Hash, s note.Signer) (Checkpoint, error) {
	msg, err := note.Sign(&note.Note{Text: headText(origin, size, root)}, s)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("sign checkpoint: %w", err)
	}
	return Checkpoint{Origin: origin, Size: size, Root: root, Note: msg}, nil
}

// ParseCheckpoint checks a checkpoint under the log's verifier key and reads it. It wants exactly one signature: another
// one would be bytes that nothing fixes.
func ParseCheckpoint(text []byte, verifierKey string) (Checkpoint, error) {
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: log key: %w", err)
	}
	return parseCheckpoint(text, v)
}

func parseCheckpoint(text []byte, v note.Verifier) (Checkpoint, error) {
	if len(text) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("checkpoint: longer than %d bytes", MaxCheckpoint)
	}
	n, err := note.Open(text, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 || !bytes.Equal(text, oneNote(n.Text, n.Sigs[0])) {
		return Checkpoint{}, errors.New("checkpoint: want exactly one signature, in its one form")
	}
	cp, err := parseHead(n.Text)
	if err == nil && cp.Origin != v.Name() {
		err = errors.New("checkpoint: of another log than its signature")
	}
	cp.Note = text
	return cp, err
}

// oneNote is the only form we take. note.Open drops a repeated signature and takes base64 with stray bits: bytes that nothing fixes.
func oneNote(text string, s note.Signature) []byte {
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil {
		return nil
	}
	return []byte(text + "\n\u2014 " + s.Name + " " + base64.StdEncoding.EncodeToString(raw) + "\n")
}

// parseHead reads the signed text: origin, size and root, a line each, in the one form that signCheckpoint writes.
func parseHead(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" {
		return Checkpoint{}, errors.New("checkpoint: want origin, size and root, a line each")
	}
	size, err := strconv.ParseUint(lines[1], 10, 62)
	if err != nil {
		return Checkpoint{}, errors.New("checkpoint: size is not a number")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, errors.New("checkpoint: root is not a hash")
	}
	if headText(lines[0], size, root) != text {
		return Checkpoint{}, errors.New("checkpoint: not in its one form")
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

func headText(origin string, size uint64, root tlog.Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
}

// openCheckpoint reads one of our own: the signer knows its verifier's name and hash only, so the signature is made again
// and compared (Ed25519 signs the same text to the same bytes).
func openCheckpoint(text []byte, s note.Signer) (Checkpoint, error) {
	body, _, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		return Checkpoint{}, errors.New("checkpoint: not a note")
	}
	again, err := note.Sign(&note.Note{Text: body + "\n"}, s)
	if err != nil || string(again) != string(text) {
		return Checkpoint{}, errors.New("checkpoint: not signed by this log's key")
	}
	cp, err := parseHead(body + "\n")
	cp.Note = text
	return cp, err
}

// maxProof is more than the longest proof of a tree that fits a file system.
const maxProof = 64

// LeafHash is the hash of a leaf's bytes in the tree (RFC 6962 section 2.1).
func LeafHash(leaf []byte) [32]byte { return tlog.RecordHash(leaf) }

// CheckInclusion checks that a leaf stands at index in the tree of size and root.
func CheckInclusion(leaf []byte, index, size uint64, root [32]byte, proof [][32]byte) error {
	if index >= size || size > 1<<62 || len(proof) > maxProof {
		return errors.New("log: inclusion proof out of range")
	}
	if err := tlog.CheckRecord(tlogHashes(proof), int64(size), root, int64(index), tlog.RecordHash(leaf)); err != nil {
		return errors.New("log: the inclusion proof does not hold")
	}
	return nil
}

// CheckConsistency checks that the newer tree extends the older one. An empty older tree is extended by every tree.
func CheckConsistency(oldSize uint64, oldRoot [32]byte, newSize uint64, newRoot [32]byte, proof [][32]byte) error {
	switch {
	case len(proof) > maxProof || newSize > 1<<62:
		return errors.New("log: consistency proof out of range")
	case oldSize == 0:
		return nil
	case newSize < oldSize:
		return fmt.Errorf("log: it shrank from %d to %d entries", oldSize, newSize)
	case newSize == oldSize:
		if oldRoot != newRoot {
			return errors.New("log: two different trees of one size: it was rewritten or forked")
		}
		return nil
	}
	if err := tlog.CheckTree(tlogHashes(proof), int64(newSize), newRoot, int64(oldSize), oldRoot); err != nil {
		return errors.New("log: the consistency proof does not hold: it was rewritten or forked")
	}
	return nil
}

func tlogHashes(in [][32]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}
