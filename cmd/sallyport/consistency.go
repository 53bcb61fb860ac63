package main

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

// checkpoint is what a signed note says of the log: a tree head. It is read here with the library alone, so that the client
// needs none of the log's own code to doubt it.
type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

func readCheckpoint(text []byte, key string) (checkpoint, error) {
	var c checkpoint
	v, err := note.NewVerifier(strings.TrimSpace(key))
	if err != nil {
		return c, fmt.Errorf("the log's key: %w", err)
	}
	n, err := note.Open(text, note.VerifierList(v))
	if err != nil {
		return c, err
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 {
		return c, fmt.Errorf("a checkpoint has three lines or more")
	}
	c.origin = lines[0]
	if c.size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.size < 0 {
		return c, fmt.Errorf("%q is not a size", lines[1])
	}
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(raw) != tlog.HashSize {
		return c, fmt.Errorf("%q is not a hash", lines[2])
	}
	copy(c.root[:], raw)
	return c, nil
}

// twoCheckpoints reads an earlier checkpoint and the one of now under the same key.
func twoCheckpoints(old, now []byte, key string) (was, is checkpoint, err error) {
	if was, err = readCheckpoint(old, key); err != nil {
		return was, is, errkind.New(errkind.Usage, "the file is not a checkpoint signed by the log's key: "+err.Error()).
			WithHint("`sallyport log checkpoint > FILE` saves one.")
	}
	if is, err = readCheckpoint(now, key); err != nil {
		return was, is, errkind.New(errkind.Unavailable, "the gateway's checkpoint is not signed by the log's key: "+err.Error()).
			WithHint("Keep your checkpoint and tell the compliance officer.")
	}
	return was, is, nil
}

// consistent checks that the later head extends the earlier one (RFC 6962 section 2.1.2).
func consistent(was, is checkpoint, p apitype.LogProof) error {
	switch {
	case was.origin != is.origin:
		return fmt.Errorf("the names differ: %q then, %q now", was.origin, is.origin)
	case was.size > is.size:
		return fmt.Errorf("it had %d leaves and has %d: it was cut", was.size, is.size)
	case was.size == is.size && was.root != is.root:
		return fmt.Errorf("the same size has another root: it was rewritten")
	case was.size == is.size || was.size == 0:
		return nil
	}
	proof := make(tlog.TreeProof, len(p.Proof))
	for i, text := range p.Proof {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) != tlog.HashSize {
			return fmt.Errorf("hash %d of the proof is none", i)
		}
		copy(proof[i][:], raw)
	}
	return tlog.CheckTree(proof, is.size, is.root, was.size, was.root)
}
