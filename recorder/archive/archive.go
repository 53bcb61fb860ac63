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
// by chunk; that a record is complete and the one that the log knows is shown by recorder.Verify.
package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
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
	File    string // name in the archive's directory; empty: the usual one
	Live    bool   // it is still being written, so that it has no end is no fault
}

// Parts finds the parts of a session, in order.
func (a *Archive) Parts(s id.Session) ([]Part, error) {
	paths, err := filepath.Glob(filepath.Join(a.cfg.Dir, s.String()+"*.srec"))
	if err != nil {
		return nil, fmt.Errorf("find recordings: %w", err)
	}
	var parts []Part
	for _, path := range paths {
		if p, ok := parseName(filepath.Base(path)); ok && p.Session == s {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b Part) int { return int(int64(a.Part) - int64(b.Part)) })
	return parts, nil
}

// All lists every container of the directory, by name.
func (a *Archive) All() ([]Part, error) {
	entries, err := os.ReadDir(a.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	var parts []Part
	for _, e := range entries {
		if p, ok := parseName(e.Name()); ok && e.Type().IsRegular() {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// parseName reads `<session>[.N].srec`, in its one form.
func parseName(name string) (Part, bool) {
	stem, ok := strings.CutSuffix(name, ".srec")
	if !ok {
		return Part{}, false
	}
	sid, number, numbered := strings.Cut(stem, ".")
	var n uint64
	if numbered {
		var err error
		if n, err = strconv.ParseUint(number, 10, 32); err != nil {
			return Part{}, false
		}
	}
	s, err := id.ParseSession(sid)
	p := Part{Session: s, Part: uint32(n), File: name}
	return p, err == nil && recorder.FileName(s, p.Part) == name
}

var errNoRecord = errkind.New(errkind.NotFound, "the recording is not in the archive").
	WithHint("It may lie on another gateway, or its retention time may be over; the log tells which.")

var errNoKey = errkind.New(errkind.NotFound, "the key of this recording is not in the archive, so it cannot be read").
	WithHint("A recording whose key was shredded stays closed for good; the log says who shredded it and when.")

var errNotReader = errkind.New(errkind.Denied, "this recording is not readable with the archive's key").
	WithHint("Somebody who holds a key of the reader group can re-wrap it for the archive.")

var errNoSegment = errkind.New(errkind.NotFound, "the replay has no such segment")

// opened is a container that is being read.
type opened struct {
	file *os.File
	rd   *recorder.Reader
	rk   [32]byte
	size int64
}

func (o *opened) Close() error {
	clear(o.rk[:])
	return o.file.Close()
}

// open opens a part's slot and container, and demands that the container is the one its name says.
func (a *Archive) open(p Part) (*opened, error) {
	name := recorder.FileName(p.Session, p.Part)
	if p.File != "" && p.File != name {
		return nil, fmt.Errorf("recording %q is not named %s", p.File, name)
	}
	f, err := os.Open(filepath.Join(a.cfg.Dir, name))
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
	if o.rd, err = recorder.OpenReader(o.file, o.size, name, o.rk, nil); err != nil {
		return err
	}
	if h := o.rd.Header(); h.Session != p.Session || h.Part != p.Part {
		return &recorder.Fault{File: name, Offset: 0, Rule: recorder.RuleHeader, Detail: "it is the recording of another session or part"}
	}
	return nil
}

// unlock opens a part's slot file for readers.
func (a *Archive) unlock(p Part) ([32]byte, error) {
	slot, _ := recorder.SlotNames(p.Session, p.Part)
	f, err := os.Open(filepath.Join(a.cfg.Dir, slot))
	if errors.Is(err, fs.ErrNotExist) {
		return [32]byte{}, errNoKey.Because(err)
	}
	if err != nil {
		return [32]byte{}, fmt.Errorf("open slot: %w", err)
	}
	defer f.Close()
	rk, err := recorder.Unlock(f, a.cfg.Identity...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return rk, errNotReader.Because(err)
	}
	return rk, err
}
