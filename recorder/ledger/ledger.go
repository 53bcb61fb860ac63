// Package ledger is the append-only Merkle log in which everything that counts as evidence is announced: every session
// before it starts and after it ends, every change of rights, every look into a record.
//
// # Leaves
//
// A leaf says a type, the leaves it refers to, and a commitment to a body under a random nonce, so that the log itself can
// be shown to a stranger. What a leaf commits to is kept beside it and given only to those who may read it.
//
// # One sync
//
// Entries and the signed checkpoint that covers them go into one file in one write and one fdatasync, shared by all who wait
// (a group commit without a timer). The tree's hashes and the published tiles are derived and can be made again. What
// follows the last whole checkpoint was never signed, so it never counted: it is cut off at the next start. A log
// whose entries do not give its own last checkpoint is refused.
//
// # What an outsider needs
//
// The directory is laid out as C2SP tlog-tiles: `checkpoint`, `tile/0/x001/234`, `tile/entries/…`. ParseCheckpoint,
// CheckInclusion and CheckConsistency need nothing but bytes; devices use them too.
package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Entry is what Append takes: a leaf and what it commits to.
type Entry struct {
	Leaf  Leaf
	Nonce [16]byte
	Body  []byte
}

// Stored is an entry as the log has it: the leaf's bytes, and the nonce and body that it commits to.
type Stored struct{ Leaf, Nonce, Body []byte }

// Receipt says where an entry stands and gives the signed checkpoint that includes it.
type Receipt struct {
	Index      uint64
	Checkpoint Checkpoint
}

// MaxBody bounds what a leaf may commit to.
const MaxBody = 64 << 10

// Log is the open log. There is one writer: the directory is locked.
type Log struct {
	dir    string
	signer note.Signer
	origin string
	file   *os.File
	lock   *os.File
	pub    *publisher

	mu      sync.Mutex // guards what follows
	queue   []*waiter
	writing bool
	failed  error // a sync that failed is never tried again
	offsets []int64
	end     int64
	hashes  []tlog.Hash // tlog's stored hashes, in its order
	head    Checkpoint
	idle    *sync.Cond
}

type waiter struct {
	entry Entry
	raw   []byte
	index uint64
	cp    Checkpoint
	err   error
	done  chan struct{}
}

// Create makes an empty log with a signed checkpoint of size 0. See Open for the copies.
func Create(dir, origin string, s note.Signer, copies ...string) (*Log, error) {
	if err := notShown(s, copies); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	path := filepath.Join(dir, dataFile)
	if _, err := os.Stat(path); err == nil {
		return nil, fmt.Errorf("log: %s exists; a log is never begun anew over an old one", path)
	}
	cp, err := signCheckpoint(origin, 0, sha256.Sum256(nil), s) // the empty tree's root, RFC 6962 section 2.1
	if err != nil {
		return nil, err
	}
	raw := appendRecord(append([]byte(nil), dataMagic...), recordCheckpoint, cp.Note)
	if err := writeDurable(path, raw); err != nil {
		return nil, err
	}
	return Open(dir, s, copies...)
}

// Open opens a log and checks that its entries give its last checkpoint, and that what was published before, in its own
// directory and in copies, is not ahead of it or of another tree. Copies are further directories that get every tile
// and the data file itself, from which Restore rebuilds the log.
func Open(dir string, s note.Signer, copies ...string) (*Log, error) {
	l := &Log{dir: dir, signer: s}
	l.idle = sync.NewCond(&l.mu)
	var err error
	if l.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err = l.load(); err != nil {
		l.lock.Close()
		return nil, err
	}
	dirs := append([]string{dir}, copies...)
	same := make([]int64, len(dirs))
	for i, d := range dirs {
		err := l.agrees(d)
		if err == nil && i > 0 {
			same[i], err = l.mirrored(d)
		}
		if err != nil {
			return nil, errors.Join(err, l.file.Close(), l.lock.Close())
		}
	}
	l.pub = publish(dirs, same, l)
	return l, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close waits for what is being written, then closes.
func (l *Log) Close() error {
	l.mu.Lock()
	for l.writing {
		l.idle.Wait()
	}
	if errors.Is(l.failed, errClosed) {
		l.mu.Unlock()
		return nil
	}
	l.failed = errors.Join(errClosed, l.failed)
	l.mu.Unlock()
	l.pub.close()
	return errors.Join(l.file.Close(), l.lock.Close())
}

var errClosed = errors.New("log: closed")

// Behind says why the published copies are not up to date; nil where they are or soon will be.
func (l *Log) Behind() error { return l.pub.behind() }

// Head gives the newest signed checkpoint.
func (l *Log) Head() Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Origin is the log's name.
func (l *Log) Origin() string { return l.origin }

// Append adds an entry and returns when a checkpoint that includes it is durable.
func (l *Log) Append(ctx context.Context, e Entry) (Receipt, error) {
	leaf, err := e.Leaf.Marshal()
	if err != nil {
		return Receipt{}, err
	}
	if len(e.Body) > MaxBody {
		return Receipt{}, fmt.Errorf("log: body of %d bytes, at most %d", len(e.Body), MaxBody)
	}
	if Commit(e.Nonce, e.Body) != e.Leaf.Commit {
		return Receipt{}, errors.New("log: the leaf does not commit to the body")
	}
	if err := ctx.Err(); err != nil {
		return Receipt{}, context.Cause(ctx)
	}
	w := &waiter{entry: e, raw: leaf, done: make(chan struct{})}
	l.mu.Lock()
	if l.failed != nil {
		l.mu.Unlock()
		return Receipt{}, l.failed
	}
	l.queue = append(l.queue, w)
	if !l.writing {
		l.writing = true
		go l.write()
	}
	l.mu.Unlock()
	select {
	case <-w.done:
		return Receipt{w.index, w.cp}, w.err
	case <-ctx.Done(): // it may still be written; the caller must not count on either
		return Receipt{}, context.Cause(ctx)
	}
}

// write commits batches until nobody waits.
func (l *Log) write() {
	for {
		l.mu.Lock()
		batch := l.queue
		l.queue = nil
		if len(batch) == 0 || l.failed != nil {
			l.writing = false
			for _, w := range batch {
				w.err = l.failed
				close(w.done)
			}
			l.idle.Broadcast()
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		l.commit(batch)
	}
}

// commit writes one batch. Only it touches file, end, offsets and hashes while writing is set; readers see them under mu.
func (l *Log) commit(batch []*waiter) {
	hashes, size := l.hashes, int64(len(l.offsets))
	var raw []byte
	var offsets []int64
	full := false // the disk is, and took nothing
	err := func() error {
		for _, w := range batch {
			offsets = append(offsets, l.end+int64(len(raw)))
			raw = appendRecord(raw, recordEntry, encodeEntry(w.raw, w.entry.Nonce, w.entry.Body))
			more, err := tlog.StoredHashes(size, w.raw, hashReader(hashes))
			if err != nil {
				return err
			}
			hashes = append(hashes, more...)
			w.index = uint64(size)
			size++
		}
		root, err := tlog.TreeHash(size, hashReader(hashes))
		if err != nil {
			return err
		}
		cp, err := signCheckpoint(l.origin, uint64(size), root, l.signer)
		if err != nil {
			return err
		}
		raw = appendRecord(raw, recordCheckpoint, cp.Note)
		if _, err := l.file.WriteAt(raw, l.end); err != nil {
			full = isFull(err) && l.file.Truncate(l.end) == nil
			return err
		}
		if err := datasync(l.file); err != nil {
			return err
		}
		l.mu.Lock()
		l.head, l.hashes, l.offsets, l.end = cp, hashes, append(l.offsets, offsets...), l.end+int64(len(raw))
		l.mu.Unlock()
		for _, w := range batch {
			w.cp = cp
		}
		return nil
	}()
	if full {
		err = errFull.Because(err)
	} else if err != nil {
		err = fmt.Errorf("log: %w", err)
		l.mu.Lock()
		l.failed = err
		l.mu.Unlock()
	}
	for _, w := range batch {
		w.err = err
		close(w.done)
	}
	l.pub.kick()
}

var errFull = errkind.New(errkind.Unavailable, "the disk that keeps the log is full, so nothing was done").
	WithHint("Whoever runs the gateway must free space on the disk that keeps the log; then try again.")

// isFull tells errors that freeing space cures. Of a batch that found no space a part was written at most and nothing
// synced, so it can be taken off again and the log goes on. Any other error is final, that of a sync above all.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// Ready says why nothing can be appended; nil when it can.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}
