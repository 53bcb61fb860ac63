package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Copy is a log that somebody else wrote, read whole and checked against its own checkpoint: either the data file, which
// has nonces and bodies too, or the published tiles, which have leaves only.
type Copy struct {
	Head   Checkpoint
	Bodies bool // what the leaves commit to is there as well
	leaves [][]byte
	hashes []tlog.Hash
	bodies []bodied
}

type bodied struct {
	nonce [16]byte
	body  []byte
}

// maxCopy bounds what is read into memory.
const maxCopy = 1 << 24

// OpenCopy reads the copy in dir. It fails when the leaves do not give the checkpoint.
func OpenCopy(dir, verifierKey string) (*Copy, error) {
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	c := &Copy{}
	path := filepath.Join(dir, dataFile)
	info, err := os.Stat(path)
	var f *os.File
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("log copy %s: %s is not a regular file", dir, dataFile)
	case err == nil:
		f, err = os.Open(path)
	}
	switch {
	case err == nil:
		defer f.Close()
		err = c.readData(f, v)
	case errors.Is(err, fs.ErrNotExist):
		err = c.readTiles(dir, v)
	}
	if err != nil {
		return nil, fmt.Errorf("log copy %s: %w", dir, err)
	}
	root, err := rootAt(c.Head.Size, c.hashes)
	if err != nil || uint64(len(c.leaves)) != c.Head.Size || root != c.Head.Root {
		return nil, fmt.Errorf("log copy %s: its entries do not give its checkpoint of size %d: an entry was changed, added or taken away", dir, c.Head.Size)
	}
	return c, nil
}

func (c *Copy) readData(f *os.File, v note.Verifier) error {
	in, damaged, err := c.scan(f, v)
	if err == nil && damaged { // unless the log was written to between the two reads of the file
		end := in.end
		if in, damaged, err = c.scan(f, v); err == nil && damaged && in.end == end {
			err = fmt.Errorf("a record after offset %d is damaged and signed entries follow it: %w", end, errChanged)
		}
	}
	if err != nil {
		return err
	}
	c.Bodies, c.hashes = true, in.hashes
	for i, at := range in.offsets {
		_, raw, _, err := readRecord(io.NewSectionReader(f, at, in.end-at))
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		leaf, nonce, body, err := decodeEntry(raw)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		c.leaves, c.bodies = append(c.leaves, leaf), append(c.bodies, bodied{nonce, body})
	}
	return nil
}

// scan reads a data file up to its last checkpoint. It reports whether signed entries follow a record that is not whole.
func (c *Copy) scan(f *os.File, v note.Verifier) (in *contents, damaged bool, err error) {
	if in, err = scanData(f); err != nil {
		return nil, false, err
	}
	if c.Head, err = parseCheckpoint(in.last, v); err != nil {
		return nil, false, err
	}
	read := func(text []byte) (Checkpoint, error) { return parseCheckpoint(text, v) }
	return in, signedBeyond(in.rest, v.Name(), c.Head.Size, read), nil
}

func (c *Copy) readTiles(dir string, v note.Verifier) error {
	raw, err := readSmall(filepath.Join(dir, "checkpoint"), MaxCheckpoint)
	if err != nil {
		return err
	}
	if c.Head, err = parseCheckpoint(raw, v); err != nil {
		return err
	}
	if c.Head.Size > maxCopy {
		return fmt.Errorf("%d entries, more than %d", c.Head.Size, maxCopy)
	}
	for n := int64(0); uint64(n)<<tileHeight < c.Head.Size; n++ {
		width := int(min(c.Head.Size-uint64(n)<<tileHeight, 1<<tileHeight))
		raw, err := readEntries(dir, n, width)
		if err != nil {
			return err
		}
		if err := c.addTile(raw, width); err != nil {
			return fmt.Errorf("%s: %w", entriesPath(tlog.Tile{H: tileHeight, N: n, W: 1 << tileHeight}), err)
		}
	}
	return nil
}

// maxTile bounds the leaves under one tile.
const maxTile = 1 << tileHeight * (2 + maxLeaf)

// readSmall reads a regular file of at most most bytes. A copy comes from somebody else: it may hold a pipe, or zeros without end.
func readSmall(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s is not a regular file of at most %d bytes", path, most)
	}
	return os.ReadFile(path)
}

// readEntries reads the bundle of a tile. The log may have gone on since its checkpoint was read: then a wider one serves.
func readEntries(dir string, n int64, width int) ([]byte, error) {
	full := filepath.Join(dir, filepath.FromSlash(entriesPath(tlog.Tile{H: tileHeight, N: n, W: 1 << tileHeight})))
	if raw, err := readSmall(full, maxTile); err == nil {
		return raw, nil
	}
	partial, err := os.ReadDir(full + ".p")
	if err != nil {
		return nil, err
	}
	var wide []int
	for _, e := range partial {
		if w, err := strconv.Atoi(e.Name()); err == nil && w >= width {
			wide = append(wide, w)
		}
	}
	if len(wide) == 0 {
		return nil, fmt.Errorf("%s: no entries of width %d or more", full+".p", width)
	}
	return readSmall(filepath.Join(full+".p", strconv.Itoa(slices.Min(wide))), maxTile)
}

func (c *Copy) addTile(raw []byte, width int) error {
	for range width {
		if len(raw) < 2 {
			return errors.New("entries are missing")
		}
		n := int(raw[0])<<8 | int(raw[1])
		if raw = raw[2:]; len(raw) < n {
			return errors.New("an entry is cut off")
		}
		more, err := tlog.StoredHashes(int64(len(c.leaves)), raw[:n], hashReader(c.hashes))
		if err != nil {
			return err
		}
		c.leaves, c.hashes, raw = append(c.leaves, raw[:n]), append(c.hashes, more...), raw[n:]
	}
	return nil
}

// Leaf gives an entry's leaf.
func (c *Copy) Leaf(index uint64) []byte { return c.leaves[index] }

// Body gives what a leaf commits to, checked against it; ok is false where the copy has leaves only.
func (c *Copy) Body(index uint64) (nonce [16]byte, body []byte, ok bool) {
	if !c.Bodies {
		return nonce, nil, false
	}
	b := c.bodies[index]
	return b.nonce, b.body, true
}

// Extends checks that the copy goes on from a checkpoint that somebody else holds.
func (c *Copy) Extends(held Checkpoint) error {
	switch {
	case held.Origin != c.Head.Origin:
		return fmt.Errorf("log: the checkpoint is of the log %q, the copy of %q", held.Origin, c.Head.Origin)
	case held.Size > c.Head.Size:
		return fmt.Errorf("log: it shrank, or the copy was made before the checkpoint: "+
			"the checkpoint names %d entries, there are %d", held.Size, c.Head.Size)
	}
	root, err := rootAt(held.Size, c.hashes)
	if err != nil {
		return err
	}
	if root != held.Root {
		return fmt.Errorf("log: it was rewritten or forked: its first %d entries are not those that a checkpoint names", held.Size)
	}
	return nil
}
