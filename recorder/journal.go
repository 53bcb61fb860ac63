package recorder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/sallyport/sallyport/internal/id"
)

// The journal is one file of final chunks for all recordings of a node, so that one sync makes a
// keystroke of five hundred sessions durable. It is written with zeros beforehand: a sync then moves
// bytes only and no metadata. It has two halves, used in turn:
//
//	JOURNAL  half | half                              each a multiple of 4096 bytes
//	HALF     "SLYJNL1\n" | u64le epoch | u32le crc | 12 zeros | batch*
//	BATCH    entry* | zeros to a multiple of 4096     one write, one sync; never touched again
//	ENTRY    "ENT1" | u32le len | session[16] | u32le part | u64le offset | u64le epoch | u32le crc | len bytes
//
// An entry says: these bytes stand in that part's file from that offset on. Its crc (CRC-32C) covers all
// of it before the crc, and the bytes. The epoch rises by one at each change of half; an entry of another
// epoch than its half's is what an earlier use left there, and ends the half.
const (
	journalName  = "journal"
	journalBlock = 4096
	halfHeadLen  = 32
	entryHeadLen = 48
	entryMagic   = 0x31544e45 // "ENT1"

	minJournal = 8 << 20
	batchBytes = 1 << 20 // no recording is added to a batch beyond this
	shareBytes = 256 << 10
	maxBatch   = batchBytes + 1<<20 // with the last recording's share and its close
)

var (
	halfMagic  = [8]byte{'S', 'L', 'Y', 'J', 'N', 'L', '1', '\n'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// journal belongs to the committer; only jobs and freed are shared with the checkpointer.
type journal struct {
	f     file
	half  int64 // bytes in a half
	which int64 // the half in use, 0 or 1
	pos   int64 // where its next batch goes
	epoch uint64
	buf   []byte
	dirty map[*Recording]struct{} // whose files have bytes since the half began

	jobs  chan checkpoint
	freed chan struct{}
	busy  bool // the other half is not free yet
}

// zeros fills f up to n and makes it durable.
func zeros(f *os.File, n int64) error {
	block := make([]byte, 1<<20)
	for at := int64(0); at < n; at += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(int64(len(block)), n-at)], at); err != nil {
			return err
		}
	}
	return datasync(f)
}

// makeJournal writes a journal of size bytes, unless there is one of that size.
func makeJournal(v *volume, size int64) error {
	if info, err := os.Stat(v.path(journalName)); err == nil && info.Size() == size {
		return nil
	}
	f, err := os.OpenFile(v.path(journalName+startedSuffix), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make journal: %w", err)
	}
	if err := errors.Join(zeros(f, size), f.Close()); err != nil {
		v.discard(journalName)
		return fmt.Errorf("make journal of %s: %w", sizeText(size), err)
	}
	return v.settle(journalName)
}

// openJournal begins an epoch on an empty journal: whatever it held is in the files and durable there.
func openJournal(v *volume, size int64, epoch uint64) (*journal, error) {
	f, err := v.layer.open(v.path(journalName), os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &journal{f: f, half: size / 2, epoch: epoch, dirty: map[*Recording]struct{}{}, jobs: make(chan checkpoint, 1), freed: make(chan struct{}, 1)}
	if err := j.empty(); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

// empty makes both halves begin an epoch without entries.
func (j *journal) empty() error {
	for which := range int64(2) {
		j.epoch++
		block := append(appendHalfHead(nil, j.epoch), make([]byte, journalBlock-halfHeadLen)...)
		if _, err := j.f.WriteAt(block, which*j.half); err != nil {
			return fmt.Errorf("empty journal: %w", err)
		}
	}
	j.epoch++
	j.which, j.pos = 0, 0
	if err := j.f.Datasync(); err != nil {
		return &syncError{journalName, err}
	}
	return nil
}

func appendHalfHead(b []byte, epoch uint64) []byte {
	at := len(b)
	b = append(b, halfMagic[:]...)
	b = binary.LittleEndian.AppendUint64(b, epoch)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
	return append(b, make([]byte, halfHeadLen-20)...)
}

// begin starts a batch.
func (j *journal) begin() {
	j.buf = j.buf[:0]
	if j.pos == 0 {
		j.buf = appendHalfHead(j.buf, j.epoch)
	}
}

// entry leaves room for an entry's head and says where it is.
func (j *journal) entry() int {
	at := len(j.buf)
	j.buf = append(j.buf, make([]byte, entryHeadLen)...)
	return at
}

// fill writes the head of the entry at, whose bytes reach to the end of the batch.
func (j *journal) fill(at int, s id.Session, part uint32, offset int64) {
	b := j.buf[at:]
	binary.LittleEndian.PutUint32(b, entryMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-entryHeadLen))
	copy(b[8:24], s[:])
	binary.LittleEndian.PutUint32(b[24:], part)
	binary.LittleEndian.PutUint64(b[28:], uint64(offset))
	binary.LittleEndian.PutUint64(b[36:], j.epoch)
	binary.LittleEndian.PutUint32(b[44:], entrySum(b))
}

func entrySum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:44], castagnoli), castagnoli, b[entryHeadLen:])
}

// pad ends the batch at a block, so that no later write touches a block with acknowledged bytes.
func (j *journal) pad() {
	if n := len(j.buf) % journalBlock; n != 0 {
		j.buf = append(j.buf, make([]byte, journalBlock-n)...)
	}
}

// write puts the batch into the half. It is durable after sync.
func (j *journal) write() error {
	_, err := j.f.WriteAt(j.buf, j.which*j.half+j.pos)
	return err
}

func (j *journal) room() bool { return j.half-j.pos >= maxBatch }
