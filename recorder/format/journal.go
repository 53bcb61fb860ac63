package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/sallyport/sallyport/internal/id"
)

// The journal is one file with chunks of all recordings of a node, so that one sync makes a keystroke of five hundred
// sessions durable. It is filled with zeros in advance, so a sync writes only bytes and no metadata. It has two halves,
// which are used in turn:
//
//	JOURNAL  half | half                              each a multiple of 4096 bytes
//	HALF     "SLYJNL1\n" | u64le epoch | u32le crc | 12 zeros | batch*
//	BATCH    entry* | zeros to a multiple of 4096     one write, one sync; never touched again
//	ENTRY    "ENT1" | u32le len | session[16] | u32le part | u64le offset | u64le epoch | u32le crc | len bytes
//
// An entry has bytes of a part's file and their offset in it. Its crc (CRC-32C) covers everything in the entry before
// the crc, and the bytes. The epoch rises by one at each change of half. An entry with another epoch than its half is
// left over from an earlier use, so the half ends there.
const (
	JournalName  = "journal"
	JournalBlock = 4096
	HalfHeadLen  = 32
	EntryHeadLen = 48
	entryMagic   = 0x31544e45 // "ENT1"
	MaxEntry     = 2 << 20    // bytes of one entry: a recording's share of a batch, and its close
)

var (
	halfMagic  = [8]byte{'S', 'L', 'Y', 'J', 'N', 'L', '1', '\n'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// AppendHalfHead writes the head of a half in use for an epoch.
func AppendHalfHead(b []byte, epoch uint64) []byte {
	at := len(b)
	b = append(b, halfMagic[:]...)
	b = binary.LittleEndian.AppendUint64(b, epoch)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
	return append(b, make([]byte, HalfHeadLen-20)...)
}

// ReadHalfHead gives a half's epoch; 0 if no epoch was begun, or if its first write was torn.
func ReadHalfHead(src io.ReaderAt, at int64) (uint64, error) {
	head := make([]byte, HalfHeadLen)
	if err := ReadFull(src, head, at); err != nil {
		return 0, fmt.Errorf("read journal at %d: %w", at, err)
	}
	epoch := binary.LittleEndian.Uint64(head[8:])
	if !bytes.Equal(head, AppendHalfHead(nil, epoch)) {
		return 0, nil
	}
	return epoch, nil
}

// PutEntryHead writes the head of an entry into the first bytes of b. The rest of b are the bytes that stand in the
// container of p from offset on.
func PutEntryHead(b []byte, p PartID, offset int64, epoch uint64) {
	binary.LittleEndian.PutUint32(b, entryMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-EntryHeadLen))
	copy(b[8:24], p.Session[:])
	binary.LittleEndian.PutUint32(b[24:], p.Part)
	binary.LittleEndian.PutUint64(b[28:], uint64(offset))
	binary.LittleEndian.PutUint64(b[36:], epoch)
	binary.LittleEndian.PutUint32(b[44:], entrySum(b))
}

func entrySum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:44], castagnoli), castagnoli, b[EntryHeadLen:])
}

// ParseEntryHead gives the number of bytes that an entry announces. ok is false if it is no entry of this epoch.
func ParseEntryHead(head []byte, epoch uint64) (n int64, ok bool) {
	n = int64(binary.LittleEndian.Uint32(head[4:]))
	return n, binary.LittleEndian.Uint32(head) == entryMagic && binary.LittleEndian.Uint64(head[36:]) == epoch && n <= MaxEntry
}

// ParseEntry reads an entry, head and bytes, and gives the container and the offset of its bytes. ok is false if its
// checksum does not hold.
func ParseEntry(b []byte) (p PartID, offset int64, ok bool) {
	if binary.LittleEndian.Uint32(b[44:]) != entrySum(b) {
		return PartID{}, 0, false
	}
	p = PartID{id.Session(b[8:24]), binary.LittleEndian.Uint32(b[24:])}
	return p, int64(binary.LittleEndian.Uint64(b[28:])), true
}
