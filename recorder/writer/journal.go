package writer

import (
	"errors"
	"fmt"
	"os"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
)

const (
	minJournal = 8 << 20
	batchBytes = 1 << 20 // no recording is added to a batch beyond this
	shareBytes = 256 << 10
)

// journal belongs to the committer; only jobs and freed are shared with the checkpointer.
type journal struct {
	f     file
	half  int64 // bytes in a half
	which int64 // the half in use, 0 or 1
	pos   int64 // where its next batch goes
	epoch uint64
	buf   []byte
	dirty map[*Recording]struct{} // recordings whose files were written since the half began

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
	if info, err := os.Stat(v.path(format.JournalName)); err == nil && info.Size() == size {
		return nil
	}
	f, err := os.OpenFile(v.path(format.JournalName+startedSuffix), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make journal: %w", err)
	}
	if err := errors.Join(zeros(f, size), f.Close()); err != nil {
		v.discard(format.JournalName)
		return fmt.Errorf("make journal of %s: %w", sizeText(size), err)
	}
	return v.settle(format.JournalName)
}

// openJournal begins an epoch on an empty journal. All bytes that it had are durable in the session files.
func openJournal(v *volume, size int64, epoch uint64) (*journal, error) {
	f, err := v.layer.open(v.path(format.JournalName), os.O_RDWR)
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
		block := append(format.AppendHalfHead(nil, j.epoch), make([]byte, format.JournalBlock-format.HalfHeadLen)...)
		if _, err := j.f.WriteAt(block, which*j.half); err != nil {
			return fmt.Errorf("empty journal: %w", err)
		}
	}
	j.epoch++
	j.which, j.pos = 0, 0
	if err := j.f.Datasync(); err != nil {
		return &syncError{format.JournalName, err}
	}
	return nil
}

// begin starts a batch.
func (j *journal) begin() {
	j.buf = j.buf[:0]
	if j.pos == 0 {
		j.buf = format.AppendHalfHead(j.buf, j.epoch)
	}
}

// entry reserves room for an entry's head and gives its position.
func (j *journal) entry() int {
	at := len(j.buf)
	j.buf = append(j.buf, make([]byte, format.EntryHeadLen)...)
	return at
}

// fill writes the head of the entry at position at. The entry's bytes extend to the end of the batch.
func (j *journal) fill(at int, s id.Session, part uint32, offset int64) {
	format.PutEntryHead(j.buf[at:], format.PartID{Session: s, Part: part}, offset, j.epoch)
}

// pad ends the batch at a block, so that no later write touches a block with acknowledged bytes.
func (j *journal) pad() {
	if n := len(j.buf) % format.JournalBlock; n != 0 {
		j.buf = append(j.buf, make([]byte, format.JournalBlock-n)...)
	}
}

// write puts the batch into the half. It is durable after sync.
func (j *journal) write() error {
	_, err := j.f.WriteAt(j.buf, j.which*j.half+j.pos)
	return err
}

func (j *journal) room() bool { return j.half-j.pos >= format.MaxEntry }
