package ledger

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/internal/errkind"
)

// The data file: magic, then records of u32le length | u8 kind | u32le CRC-32C of kind and content | content. The CRC finds a
// torn write; what protects the content is the tree.
const (
	dataFile         = "log.data"
	recordEntry      = 1
	recordCheckpoint = 2
	recordHead       = 9
	maxRecord        = 128 << 10
)

var (
	dataMagic = []byte("SLYLOG1\n")
	castagn   = crc32.MakeTable(crc32.Castagnoli)
)

func appendRecord(dst []byte, kind byte, content []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(content)))
	dst = append(dst, kind)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Update(crc32.Checksum([]byte{kind}, castagn), castagn, content))
	return append(dst, content...)
}

var errTorn = errors.New("record is torn")

// readRecord reads one record. io.EOF: none is left; errTorn: what is left is not a whole one.
func readRecord(r io.Reader) (kind byte, content []byte, size int64, err error) {
	var head [recordHead]byte
	n, err := io.ReadFull(r, head[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, nil, 0, io.EOF
	}
	length := binary.LittleEndian.Uint32(head[:])
	if err != nil || length > maxRecord {
		return 0, nil, 0, errTorn
	}
	content = make([]byte, length)
	if _, err := io.ReadFull(r, content); err != nil {
		return 0, nil, 0, errTorn
	}
	kind = head[4]
	if crc32.Update(crc32.Checksum([]byte{kind}, castagn), castagn, content) != binary.LittleEndian.Uint32(head[5:]) {
		return 0, nil, 0, errTorn
	}
	return kind, content, recordHead + int64(length), nil
}

// encodeEntry is u32be length | leaf | nonce | body.
func encodeEntry(leaf []byte, nonce [16]byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(leaf)))
	out = append(out, leaf...)
	out = append(out, nonce[:]...)
	return append(out, body...)
}

func decodeEntry(raw []byte) (leaf []byte, nonce [16]byte, body []byte, err error) {
	if len(raw) < 4 {
		return nil, nonce, nil, errTorn
	}
	n := int64(binary.BigEndian.Uint32(raw))
	if raw = raw[4:]; int64(len(raw)) < n+16 {
		return nil, nonce, nil, errTorn
	}
	copy(nonce[:], raw[n:])
	return raw[:n], nonce, raw[n+16:], nil
}

// load reads the data file, builds the tree and cuts off what was never signed.
func (l *Log) load() error {
	var err error
	path := filepath.Join(l.dir, dataFile)
	if l.file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	c, err := scanData(l.file)
	if err == nil {
		err = l.settle(c)
	}
	if err != nil {
		l.file.Close()
		return fmt.Errorf("log: %s: %w", path, err)
	}
	return nil
}

// contents is a data file as far as a checkpoint covers it.
type contents struct {
	offsets []int64
	hashes  []tlog.Hash
	end     int64  // after the last checkpoint
	last    []byte // that checkpoint
	rest    []byte // what follows it
}

// maxTail bounds what may follow the last checkpoint: one batch that was being written.
const maxTail = 64 << 20

// scanData walks a data file. It stops at the first record that is not whole; settle decides what that means.
func scanData(f io.ReaderAt) (*contents, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<62), 1<<20)
	magic := make([]byte, len(dataMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != string(dataMagic) {
		return nil, errors.New("not a log: the magic is not SLYLOG1")
	}
	var all, signed contents // all records, and those under a checkpoint
	all.end = int64(len(dataMagic))
	for {
		kind, content, size, err := readRecord(in)
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := all.take(kind, content); err != nil {
			return nil, fmt.Errorf("record at %d: %w", all.end, err)
		}
		all.end += size
		if kind == recordCheckpoint {
			signed = all
			signed.last = content
		}
	}
	if signed.last == nil {
		return nil, errors.New("no checkpoint")
	}
	rest, err := io.ReadAll(io.NewSectionReader(f, signed.end, maxTail+1))
	if err == nil && len(rest) > maxTail {
		err = fmt.Errorf("more than %d bytes after the last whole checkpoint at %d", maxTail, signed.end)
	}
	signed.rest = rest
	return &signed, err
}

func (c *contents) take(kind byte, content []byte) error {
	switch kind {
	case recordCheckpoint:
		return nil
	case recordEntry:
	default:
		return fmt.Errorf("kind %d is not known", kind)
	}
	leaf, _, _, err := decodeEntry(content)
	if err != nil {
		return err
	}
	more, err := tlog.StoredHashes(int64(len(c.offsets)), leaf, hashReader(c.hashes))
	if err != nil {
		return err
	}
	c.hashes, c.offsets = append(c.hashes, more...), append(c.offsets, c.end)
	return nil
}

// rootAt is the root of the first size entries.
func rootAt(size uint64, hashes []tlog.Hash) ([32]byte, error) {
	if size == 0 {
		return sha256.Sum256(nil), nil // RFC 6962 section 2.1
	}
	return tlog.TreeHash(int64(size), hashReader(hashes))
}

var errChanged = errors.New("somebody or something changed it; do not go on: compare it with the copies that others hold")

// settle compares the tree with its last checkpoint and truncates what was never signed.
func (l *Log) settle(c *contents) error {
	cp, err := openCheckpoint(c.last, l.signer)
	if err != nil {
		return err
	}
	root, err := rootAt(uint64(len(c.offsets)), c.hashes)
	if err != nil {
		return err
	}
	if cp.Size != uint64(len(c.offsets)) || cp.Root != root {
		return fmt.Errorf("its %d entries do not give its own checkpoint of size %d: %w", len(c.offsets), cp.Size, errChanged)
	}
	if l.signedBeyond(c.rest, cp.Size) {
		return fmt.Errorf("a record after offset %d is damaged and signed entries follow it: %w", c.end, errChanged)
	}
	l.offsets, l.hashes, l.end, l.head, l.origin = c.offsets, c.hashes, c.end, cp, cp.Origin
	if len(c.rest) == 0 {
		return nil
	}
	if err := l.file.Truncate(c.end); err != nil {
		return err
	}
	return l.file.Sync()
}

// signedBeyond looks into what follows the last checkpoint that the log's own file gives.
func (l *Log) signedBeyond(rest []byte, size uint64) bool {
	read := func(text []byte) (Checkpoint, error) { return openCheckpoint(text, l.signer) }
	return signedBeyond(rest, l.signer.Name(), size, read)
}

// signedBeyond reports whether a damaged stretch is followed by more than the one batch that a crash can tear. A disk may
// keep the end of a write and lose its middle, so one checkpoint at the very end may be of that batch; nobody was given
// it. The function read checks and reads a checkpoint of the log with this origin.
func signedBeyond(rest []byte, origin string, size uint64, read func([]byte) (Checkpoint, error)) bool {
	mark := []byte(origin + "\n")
	for at := 0; ; {
		i := bytes.Index(rest[at:], mark)
		if i < 0 {
			return false
		}
		at += i
		for end := at + len(mark); end <= min(len(rest), at+MaxCheckpoint); end++ {
			if rest[end-1] != '\n' {
				continue
			}
			if cp, err := read(rest[at:end]); err == nil && cp.Size > size && end != len(rest) {
				return true
			}
		}
		at += len(mark)
	}
}

// agrees compares what was published in a directory with the log. A log that is shorter than what it has shown was
// rolled back, as by a restored backup; it would sign a second history.
func (l *Log) agrees(dir string) error {
	raw, err := readSmall(filepath.Join(dir, "checkpoint"), MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(raw) == 0 { // not synced, so a crash may leave it empty
		return nil
	}
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return l.has(dir, raw)
}

// has checks that the log goes on from a checkpoint that was found in dir.
func (l *Log) has(dir string, raw []byte) error {
	cp, err := openCheckpoint(raw, l.signer)
	if err != nil {
		return fmt.Errorf("log: %s/checkpoint: %w", dir, err)
	}
	if cp.Size > l.head.Size {
		return rolledBack(dir, cp.Size, l.head.Size)
	}
	root, err := rootAt(cp.Size, l.hashes)
	if err == nil && root != cp.Root {
		err = fmt.Errorf("log: %s shows another tree of size %d: %w", dir, cp.Size, errChanged)
	}
	return err
}

func rolledBack(dir string, has, own uint64) error {
	return errkind.New(errkind.Conflict,
		fmt.Sprintf("the log was rolled back, perhaps by restoring a backup: %s has %d entries, the log itself "+
			"only %d. The log must not continue under this key", dir, has, own)).
		WithHint("`sallyport restore --log --config FILE`, as the signer's user, sets the short log aside and " +
			"puts the log back from [ledger] second_copy.")
}

// writeDurable writes a new file by rename and syncs it and its directory.
func writeDurable(path string, raw []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
