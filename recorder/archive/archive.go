// Package archive reads recordings for people: timeline, transcript, typed input, replay and exports.
//
// # What it can read
//
// The archive holds a reader's identity and opens RK slots with it. It never holds an unsealing identity:
// what was typed out of sight of the terminal stays sealed here, and shows as a count of keys. There is no
// function that would take the unsealing key.
//
// # What it promises
//
// Everything is read in one pass with a fixed amount of memory, so a recording of a hundred megabytes
// costs time only; the timeline, which is returned whole, has limits and says when it reaches them. A
// recording that is cut, or still being written, is read up to its last whole chunk. A damaged one is
// read up to the damage, and says where that is. What is read here is decrypted and authenticated chunk
// by chunk; that a record is complete and the one that the log knows is shown by reader.Verify.
package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/reader"
)

// Config says where recordings lie and how to open them.
type Config struct {
	Dir      string         // of containers and slot files
	Identity []age.Identity // of a reader; never of an unsealing officer
}

// Archive reads recordings. It keeps no keys between calls and is safe for concurrent use.
type Archive struct{ cfg Config }

// Open makes an archive over a directory, which must exist.
func Open(cfg Config) (*Archive, error) {
	if len(cfg.Identity) == 0 {
		return nil, errors.New("open archive: no reading identity")
	}
	info, err := os.Stat(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open archive: %s is not a directory", cfg.Dir)
	}
	return &Archive{cfg: cfg}, nil
}

// Part is one container of a session.
type Part struct {
	Session id.Session
	Part    uint32
	Started time.Time // its files are in the directory of that day; zero: all days are searched
	Live    bool      // it is still being written, so a missing end is no fault
}

// Parts finds the parts of a session, in order. It searches all days; a caller who knows when a part began can avoid
// that.
func (a *Archive) Parts(s id.Session) ([]Part, error) {
	all, err := a.All()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p Part) bool { return p.Session != s })
	slices.SortFunc(all, func(a, b Part) int { return cmp.Compare(a.Part, b.Part) })
	return all, nil
}

// All lists every container, by day and name.
func (a *Archive) All() ([]Part, error) {
	var parts []Part
	seen := map[Part]bool{}
	err := files.Walk(a.cfg.Dir, func(rel string) error {
		key, ok := format.ParseName(filepath.Base(rel))
		if p := (Part{Session: key.Session, Part: key.Part}); ok && !seen[p] { // a part that moves meanwhile is seen twice
			parts, seen[p] = append(parts, p), true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	return parts, nil
}

var errNoRecord = errkind.New(errkind.NotFound, "the recording is not in the archive").
	WithHint("This release deletes no recordings. A restore may have left it out: `sallyport doctor --config FILE` on the " +
		"gateway's host lists those. Otherwise its file was lost or removed.")

var errNoKey = errkind.New(errkind.NotFound, "the key of this recording is not in the archive, so it cannot be read").
	WithHint("A recording whose key was shredded stays closed for good; the log says who shredded it and when.")

var errNotReader = errkind.New(errkind.Denied, "this recording is not readable with the archive's key").
	WithHint("A person with a key of the reader group can re-wrap it for the archive.")

var errNoSegment = errkind.New(errkind.NotFound, "the replay has no such segment")

// opened is a container that is being read.
type opened struct {
	file *os.File
	rd   *reader.Reader
	rk   [32]byte
	size int64
}

func (o *opened) Close() error {
	clear(o.rk[:])
	return o.file.Close()
}

// open opens a part's slot and container, and demands that the container is the one its name says.
func (a *Archive) open(p Part) (*opened, error) {
	name := format.FileName(p.Session, p.Part)
	f, err := files.Open(a.cfg.Dir, name, p.Started)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoRecord.Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	o := &opened{file: f}
	if err := a.load(o, p, name); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

func (a *Archive) load(o *opened, p Part, name string) error {
	info, err := o.file.Stat()
	if err != nil {
		return fmt.Errorf("open recording: %w", err)
	}
	o.size = info.Size()
	if o.rk, err = a.unlock(p); err != nil {
		return err
	}
	if o.rd, err = reader.Open(o.file, o.size, name, o.rk, nil); err != nil {
		return err
	}
	if h := o.rd.Header(); h.Session != p.Session || h.Part != p.Part {
		return &format.Fault{File: name, Offset: 0, Rule: format.RuleHeader, Detail: "it is the recording of another session or part"}
	}
	return nil
}

// unlock opens a part's slot file for readers.
func (a *Archive) unlock(p Part) ([32]byte, error) {
	slot, _ := format.SlotNames(p.Session, p.Part)
	f, err := files.Open(a.cfg.Dir, slot, p.Started)
	if errors.Is(err, fs.ErrNotExist) {
		return [32]byte{}, errNoKey.Because(err)
	}
	if err != nil {
		return [32]byte{}, fmt.Errorf("open slot: %w", err)
	}
	defer f.Close()
	rk, err := format.Unlock(f, a.cfg.Identity...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return rk, errNotReader.Because(err)
	}
	return rk, err
}
