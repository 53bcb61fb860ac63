package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is C2SP's: 256 hashes a tile.
const tileHeight = 8

// publisher writes the tiles and the checkpoint file for readers outside the signer. It derives them from the log, so
// they are not synced and may lag behind. A reader checks them against the checkpoint beside them.
type publisher struct {
	dirs []string // the log's own, then its copies
	log  *Log
	wake chan struct{}
	done sync.WaitGroup

	// Only write uses these two. It may hang with a disk, so they need no lock.
	wrote []int64 // per directory: size of the log whose tiles were written
	same  []int64 // per directory: bytes of the data file that were copied; 0 for the log's own directory

	slow atomic.Int64 // nanoseconds after which a write to a directory is reported as hanging

	mu    sync.Mutex // guards what follows
	sizes []int64    // per directory: a copy of wrote for other goroutines
	now   string     // directory that is being written to; empty: none
	since time.Time  // when that began
	err   error      // of the last attempt
}

// slowCopy is how long one attempt to bring a copy up to the head may take before it is reported.
const slowCopy = 30 * time.Second

func publish(dirs []string, same []int64, l *Log) *publisher {
	p := &publisher{
		dirs:  dirs,
		log:   l,
		wake:  make(chan struct{}, 1),
		wrote: make([]int64, len(dirs)),
		same:  same,
		sizes: make([]int64, len(dirs)),
	}
	p.slow.Store(int64(slowCopy))
	p.done.Go(p.run)
	p.kick()
	return p
}

func (p *publisher) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *publisher) close() {
	close(p.wake)
	p.done.Wait()
}

func (p *publisher) behind() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := time.Since(p.since); p.now != "" && d > time.Duration(p.slow.Load()) {
		return errors.Join(p.err,
			fmt.Errorf("publish log to %s: its disk has not answered for %s", p.now, d.Round(time.Second)))
	}
	return p.err
}

// size gives the number of entries that were written to the directory with index i.
func (p *publisher) size(i int) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sizes[i]
}

// at notes which directory is being written to; empty: none.
func (p *publisher) at(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.since = dir, time.Now()
}

func (p *publisher) run() {
	for range p.wake {
		p.write()
	}
	p.write()
}

// write brings every directory up to the head. The next entry retries a directory that failed.
func (p *publisher) write() {
	p.log.mu.Lock()
	head, hashes, end := p.log.head, hashReader(p.log.hashes), p.log.end
	p.log.mu.Unlock()
	var errs []error
	for i, dir := range p.dirs {
		p.at(dir)
		if err := p.writeTo(i, head, hashes, end); err != nil {
			errs = append(errs, fmt.Errorf("publish log to %s: %w", dir, err))
			continue
		}
		p.wrote[i] = int64(head.Size)
	}
	p.at("")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = errors.Join(errs...)
	copy(p.sizes, p.wrote)
}

func (p *publisher) writeTo(i int, head Checkpoint, hashes hashReader, end int64) error {
	dir := p.dirs[i]
	// The checkpoint that was written before must still be there. If the disk was unmounted, the rest of the log would
	// otherwise go into a new directory below its mount point, and no error would report the incomplete copy.
	if _, err := os.Stat(filepath.Join(dir, "checkpoint")); p.wrote[i] > 0 && err != nil {
		return fmt.Errorf("the checkpoint that was written there is gone; is its disk mounted? %w", err)
	}
	root, err := openPublished(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if i > 0 { // before the copy's checkpoint, so that every published head can be restored from the copy
		if err := p.log.mirror(root, p.same[i], end); err != nil {
			return err
		}
		p.same[i] = end
	}
	return p.bring(root, p.wrote[i], head, hashes)
}

// openPublished opens a directory that is published to. A copy may lie on a disk that somebody else can write to, such
// as the owner of a file server: a link there must not lead the signer to its own log or keys.
func openPublished(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

func (p *publisher) bring(root *os.Root, from int64, head Checkpoint, hashes hashReader) error {
	for _, t := range tlog.NewTiles(tileHeight, from, int64(head.Size)) {
		data, err := tlog.ReadTileData(t, hashes)
		if err != nil {
			return err
		}
		if err := putTile(root, tilePath(t), data, t.W); err != nil {
			return err
		}
		if t.L != 0 {
			continue
		}
		if data, err = p.entries(t); err != nil {
			return err
		}
		if err := putTile(root, entriesPath(t), data, t.W); err != nil {
			return err
		}
	}
	return put(root, "checkpoint", head.Note)
}

// entries gives the leaves under a tile of level 0: u16be length | leaf.
func (p *publisher) entries(t tlog.Tile) ([]byte, error) {
	var out []byte
	for i := t.N << tileHeight; i < t.N<<tileHeight+int64(t.W); i++ {
		leaf, _, _, err := p.log.Entry(uint64(i))
		if err != nil {
			return nil, err
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(leaf)))
		out = append(out, leaf...)
	}
	return out, nil
}

// putTile writes a tile. A full tile replaces its partial ones.
func putTile(root *os.Root, name string, data []byte, width int) error {
	if err := put(root, name, data); err != nil || width < 1<<tileHeight {
		return err
	}
	return root.RemoveAll(name + ".p")
}

// put writes a file by rename, unless it has that content already, as most have at a start.
func put(root *os.Root, name string, data []byte) error {
	if info, err := root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == int64(len(data)) {
		if old, err := root.ReadFile(name); err == nil && bytes.Equal(old, data) {
			return nil
		}
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.Remove(name + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(name+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return root.Rename(name+".new", name)
}

// tilePath is C2SP's path, which leaves out the height that tlog writes.
func tilePath(t tlog.Tile) string { return strings.Replace(t.Path(), "tile/8/", "tile/", 1) }

func entriesPath(t tlog.Tile) string {
	return strings.Replace(tilePath(t), "tile/0/", "tile/entries/", 1)
}
