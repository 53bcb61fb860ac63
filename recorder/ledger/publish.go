package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
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
	if i > 0 { // before the copy's checkpoint, so that every published head can be restored from the copy
		if err := p.log.mirror(dir, p.same[i], end); err != nil {
			return err
		}
		p.same[i] = end
	}
	return p.bring(dir, p.wrote[i], head, hashes)
}

func (p *publisher) bring(dir string, from int64, head Checkpoint, hashes hashReader) error {
	for _, t := range tlog.NewTiles(tileHeight, from, int64(head.Size)) {
		data, err := tlog.ReadTileData(t, hashes)
		if err != nil {
			return err
		}
		if err := putTile(dir, tilePath(t), data, t.W); err != nil {
			return err
		}
		if t.L != 0 {
			continue
		}
		if data, err = p.entries(t); err != nil {
			return err
		}
		if err := putTile(dir, entriesPath(t), data, t.W); err != nil {
			return err
		}
	}
	return put(dir, "checkpoint", head.Note)
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
func putTile(dir, name string, data []byte, width int) error {
	if err := put(dir, name, data); err != nil || width < 1<<tileHeight {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, filepath.FromSlash(name)+".p"))
}

// put writes a file by rename, unless it has that content already, as most have at a start.
func put(dir, name string, data []byte) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// tilePath is C2SP's path, which leaves out the height that tlog writes.
func tilePath(t tlog.Tile) string { return strings.Replace(t.Path(), "tile/8/", "tile/", 1) }

func entriesPath(t tlog.Tile) string {
	return strings.Replace(tilePath(t), "tile/0/", "tile/entries/", 1)
}
