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

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is C2SP's: 256 hashes a tile.
const tileHeight = 8

// publisher writes the tiles and the checkpoint file for those who read the log from outside. They are derived, so they
// are not synced and may lag behind; whoever reads them checks them against the checkpoint beside them.
type publisher struct {
	dirs []string // the log's own, then its copies
	log  *Log
	wake chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	wrote []int64 // per directory: size whose tiles are there
	same  []int64 // per directory: bytes of the data file that are there; of the first nothing is copied
	err   error   // of the last attempt
}

func publish(dirs []string, same []int64, l *Log) *publisher {
	p := &publisher{dirs: dirs, log: l, wake: make(chan struct{}, 1), wrote: make([]int64, len(dirs)), same: same}
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
	return p.err
}

func (p *publisher) run() {
	for range p.wake {
		p.write()
	}
	p.write()
}

// write brings every directory up to the head. What fails stays behind, to be tried again at the next entry.
func (p *publisher) write() {
	p.log.mu.Lock()
	head, hashes, end := p.log.head, hashReader(p.log.hashes), p.log.end
	p.log.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for i, dir := range p.dirs {
		err := stillThere(dir, p.wrote[i])
		if err == nil && i > 0 { // before the checkpoint beside it: what is shown can then be made again
			err = p.log.mirror(dir, p.same[i], end)
		}
		if err == nil {
			p.same[i] = end
			err = p.bring(dir, p.wrote[i], head, hashes)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("publish log to %s: %w", dir, err))
			continue
		}
		p.wrote[i] = int64(head.Size)
	}
	p.err = errors.Join(errs...)
}

// stillThere checks that what was written to a directory before is still there, before anything is written again. Where a
// disk was unmounted, the log would otherwise go into a new directory below its mount point, and the disk could not be
// mounted or moved back there.
func stillThere(dir string, wrote int64) error {
	if _, err := os.Stat(filepath.Join(dir, "checkpoint")); wrote > 0 && err != nil {
		return fmt.Errorf("what was written there is gone; is its disk mounted? %w", err)
	}
	return nil
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

// putTile writes a tile. Once it is full its partial ones are of no use to anybody.
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
