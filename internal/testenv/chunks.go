package testenv

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
)

// Chunks remembers every sealed chunk it was shown. The number of a chunk is its nonce, and its session and part name
// the ladder of its keys, so two chunks of one name that differ were sealed under one nonce. The layouts are read here by
// hand, from docs/recording-format.md, and not with the code that wrote them.
type Chunks map[chunkName][32]byte

type chunkName struct {
	session id.Session
	part    uint32
	seq     uint32
}

// File takes in a container.
func (c Chunks) File(path string) (format.Header, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return format.Header{}, err
	}
	var h format.Header
	if len(raw) < 12 {
		return h, fmt.Errorf("%s: %d bytes are no recording", path, len(raw))
	}
	at := min(12+int(binary.LittleEndian.Uint32(raw[8:])), len(raw))
	if err := cbor.Unmarshal(raw[12:at], &h); err != nil {
		return h, fmt.Errorf("%s: %w", path, err)
	}
	return h, c.add(path, h.Session, h.Part, raw[at:])
}

// Journal takes in every entry that stands in a journal, also those of an earlier use of its halves.
func (c Chunks) Journal(path string) error {
	entries, err := journalEntries(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.add(path, e.session, e.part, e.bytes); err != nil {
			return err
		}
	}
	return nil
}

// add takes chunks that stand end to end.
func (c Chunks) add(path string, s id.Session, part uint32, raw []byte) error {
	last := uint32(0)
	for len(raw) >= 16 && string(raw[:8]) != "SLYEND1\n" {
		n := 16 + int(binary.LittleEndian.Uint32(raw))
		seq := binary.LittleEndian.Uint32(raw[4:]) & (1<<28 - 1)
		if n > len(raw) {
			return nil // torn
		}
		if seq <= last {
			return fmt.Errorf("%s: chunk %d of %s follows chunk %d", path, seq, s, last)
		}
		last = seq
		name, sum := chunkName{s, part, seq}, sha256.Sum256(raw[:n])
		if other, ok := c[name]; ok && other != sum {
			return fmt.Errorf("%s: chunk %d of %s part %d was sealed twice, with different bytes", path, seq, s, part)
		}
		c[name] = sum
		raw = raw[n:]
	}
	return nil
}

type journalEntry struct {
	session id.Session
	part    uint32
	offset  int64
	epoch   uint64
	at      int // in the journal
	bytes   []byte
}

func journalEntries(path string) ([]journalEntry, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []journalEntry
	for at := 0; ; at++ {
		i := bytes.Index(raw[at:], []byte("ENT1"))
		if i < 0 {
			return out, nil
		}
		at += i
		if len(raw) < at+48 {
			return out, nil
		}
		h := raw[at : at+48]
		n := int(binary.LittleEndian.Uint32(h[4:]))
		if n > len(raw)-at-48 {
			continue
		}
		table := crc32.MakeTable(crc32.Castagnoli)
		if crc32.Update(crc32.Checksum(h[:44], table), table, raw[at+48:at+48+n]) != binary.LittleEndian.Uint32(h[44:]) {
			continue
		}
		out = append(out, journalEntry{id.Session(h[8:24]), binary.LittleEndian.Uint32(h[24:]), int64(binary.LittleEndian.Uint64(h[28:])),
			binary.LittleEndian.Uint64(h[36:]), at, raw[at+48 : at+48+n]})
	}
}

// CutToJournal does to the recordings of a dead gateway what a power failure may do: of the bytes that recovery finds
// in the journal none stands in a container any more.
func CutToJournal(dir string) error {
	path := filepath.Join(dir, "journal")
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	entries, err := journalEntries(path)
	if err != nil {
		return err
	}
	half := len(raw) / 2
	from := map[string]int64{}
	for _, e := range entries {
		if head := raw[e.at/half*half:]; string(head[:8]) != "SLYJNL1\n" || binary.LittleEndian.Uint64(head[8:]) != e.epoch {
			continue // left from an earlier use of the half
		}
		name, err := files.Locate(dir, format.FileName(e.session, e.part), time.Time{})
		if err != nil {
			return err
		}
		if at, ok := from[name]; !ok || e.offset < at {
			from[name] = e.offset
		}
	}
	for name, at := range from {
		if _, err := os.Stat(strings.TrimSuffix(name, ".srec") + ".cut"); err == nil {
			continue // settled: recovery does not write it
		}
		if err := os.Truncate(name, at); err != nil {
			return err
		}
	}
	return nil
}
