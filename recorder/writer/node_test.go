package writer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/reader"
)

// people hold the keys of a test's site.
type people struct {
	record  ed25519.PrivateKey
	reader  *age.X25519Identity
	officer *age.X25519Identity
}

// site gives the test's people. The crash tests put those of a child process in their place.
func site() people {
	if p := otherSite.Load(); p != nil {
		return *p
	}
	return ownSite()
}

var otherSite atomic.Pointer[people]

// swapSite makes another process's people those of this test, until it is undone.
func swapSite(p people) (undo func()) {
	otherSite.Store(&p)
	return func() { otherSite.Store(nil) }
}

func parsePeople(t testing.TB, line string) people {
	t.Helper()
	p := ownSite()
	reader, officer, _ := strings.Cut(strings.TrimSpace(line), " ")
	var err1, err2 error
	p.reader, err1 = age.ParseX25519Identity(reader)
	p.officer, err2 = age.ParseX25519Identity(officer)
	must(t, errors.Join(err1, err2))
	return p
}

var ownSite = sync.OnceValue(func() people {
	reader, err1 := age.GenerateX25519Identity()
	officer, err2 := age.GenerateX25519Identity()
	if err := errors.Join(err1, err2); err != nil {
		panic(err)
	}
	return people{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), reader, officer}
})

func nodeConfig(dir string) NodeConfig {
	p := site()
	return NodeConfig{Dir: dir, Key: p.record, LogOrigin: "test.example/log", JournalBytes: minJournal,
		Readers: []age.Recipient{p.reader.Recipient()}, Unsealers: []age.Recipient{p.officer.Recipient()}}
}

// openNode opens a node and closes it at the test's end.
func openNode(t testing.TB, cfg NodeConfig) (*Node, []recorder.Interrupted) {
	t.Helper()
	n, cut, err := OpenNode(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil && n.failed() == nil {
			t.Error(err)
		}
	})
	return n, cut
}

// create begins a part in which channels 0 and 1 are started.
func create(t testing.TB, n *Node, cfg recorder.PartConfig) *Recording {
	t.Helper()
	if cfg.Session.IsZero() {
		cfg.Session = id.NewSession()
	}
	r, err := n.Create(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return started(t, r.(*Recording))
}

// starts is how many channels started starts, each in a chunk of its own.
const starts = 2

func started(t testing.TB, r *Recording) *Recording {
	t.Helper()
	for ch := range uint32(starts) {
		note, err := format.Encode(format.Note{Kind: format.NoteStart, Text: "a shell", Ch: &ch})
		must(t, err)
		must(t, r.record(item{kind: format.KindNote, ch: ch, begins: true, screen: true, body: note})) // one chunk
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content is what readers and officers together find in a container.
type content struct {
	header format.Header
	out    map[streamID][]byte
	typed  map[uint32][]byte // per channel, all of it
	shown  map[uint32][]byte // per channel; 0 where it stayed sealed
	notes  []format.Note
	kinds  string
	frames []format.Frame
	close  *format.CloseRecord // nil: cut
}

func unlock(t testing.TB, dir, name string, who age.Identity) [32]byte {
	t.Helper()
	f, err := files.Open(dir, name, time.Time{})
	must(t, err)
	defer f.Close()
	k, err := format.Unlock(f, who)
	must(t, err)
	return k
}

// readBack opens a container with both keys, and demands that it verifies.
func readBack(t testing.TB, dir string, s id.Session, part uint32) content {
	t.Helper()
	rkName, skName := format.SlotNames(s, part)
	return readWith(t, dir, s, part, secrets{unlock(t, dir, rkName, site().reader),
		unlock(t, dir, skName, site().officer)})
}

func readWith(t testing.TB, dir string, s id.Session, part uint32, k secrets) content {
	t.Helper()
	name := format.FileName(s, part)
	path, err := files.Locate(dir, name, time.Time{})
	must(t, err)
	raw, err := os.ReadFile(path)
	must(t, err)
	_, err = reader.Verify(t.Context(), bytes.NewReader(raw), int64(len(raw)),
		reader.VerifyOptions{File: name, RK: &k.rk, SK: &k.sk})
	must(t, err)
	r, err := reader.Open(bytes.NewReader(raw), int64(len(raw)), name, k.rk, &k.sk)
	must(t, err)
	c := content{header: r.Header(), out: map[streamID][]byte{}, typed: map[uint32][]byte{}, shown: map[uint32][]byte{}}
	for {
		f, err := r.Next()
		if err == io.EOF || errors.Is(err, format.ErrCut) {
			break
		}
		must(t, err)
		c.take(t, f)
	}
	c.close = r.Closed()
	return c
}

func (c *content) take(t testing.TB, f *format.Frame) {
	t.Helper()
	kept := *f
	kept.Data = bytes.Clone(f.Data)
	c.frames = append(c.frames, kept)
	c.kinds += string(rune(f.Kind))
	s := streamID{f.Ch, f.Stream}
	switch f.Kind {
	case format.KindOutput:
		if uint64(len(c.out[s])) != f.At {
			t.Fatalf("output at %d, got offset %d", len(c.out[s]), f.At)
		}
		c.out[s] = append(c.out[s], f.Data...)
	case format.KindSealed:
		if !f.Opened || uint64(len(c.typed[f.Ch])) != f.At {
			t.Fatalf("input at %d: offset %d, opened %v", len(c.typed[f.Ch]), f.At, f.Opened)
		}
		c.typed[f.Ch] = append(c.typed[f.Ch], f.Data...)
		c.shown[f.Ch] = append(c.shown[f.Ch], make([]byte, len(f.Data))...)
	case format.KindClear:
		c.typed[f.Ch] = append(c.typed[f.Ch], f.Data...)
		c.shown[f.Ch] = append(c.shown[f.Ch], f.Data...)
	case format.KindReveal:
		copy(c.shown[f.Ch][f.At:], f.Data)
	case format.KindNote:
		n, err := f.Note()
		must(t, err)
		c.notes = append(c.notes, n)
	}
}

func (c *content) note(kind string) *format.Note {
	for i := range c.notes {
		if c.notes[i].Kind == kind {
			return &c.notes[i]
		}
	}
	return nil
}

// trouble is a disk that fails on demand.
type trouble struct {
	osLayer
	mu    sync.Mutex
	write func(name string, end int64) error
	sync  func(name string) error
	room  func() int64
	gone  bool // nothing is synced: for tests that only look at bytes
}

type troubledFile struct {
	osFile
	t    *trouble
	name string
}

func (t *trouble) open(path string, flag int) (file, error) {
	f, err := t.osLayer.open(path, flag)
	if err != nil {
		return nil, err
	}
	return troubledFile{f.(osFile), t, filepath.Base(path)}, nil
}

func (t *trouble) set(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

func (t *trouble) free(dir string) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.room != nil {
		return t.room(), nil
	}
	return t.osLayer.free(dir)
}

func (f troubledFile) WriteAt(p []byte, off int64) (int, error) {
	f.t.mu.Lock()
	check := f.t.write
	f.t.mu.Unlock()
	if check != nil {
		if err := check(f.name, off+int64(len(p))); err != nil {
			return 0, &os.PathError{Op: "write", Path: f.name, Err: err}
		}
	}
	return f.osFile.WriteAt(p, off)
}

func (f troubledFile) Datasync() error {
	f.t.mu.Lock()
	check, gone := f.t.sync, f.t.gone
	f.t.mu.Unlock()
	if check != nil {
		if err := check(f.name); err != nil {
			return err
		}
	}
	if gone {
		return nil
	}
	return f.osFile.Datasync()
}

func TestASlotAndTheHeaderAreDurableAndTheKeysErasedWhenCreateReturns(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	synced := map[string]bool{}
	cfg := nodeConfig(dir)
	cfg.layer = &trouble{sync: func(name string) error {
		mu.Lock()
		defer mu.Unlock()
		synced[name] = true
		return nil
	}}
	n, _ := openNode(t, cfg)
	k := secrets{rk: [32]byte(bytes.Repeat([]byte{1}, 32)), sk: [32]byte(bytes.Repeat([]byte{2}, 32))}
	before := k
	s := id.NewSession()
	r, err := n.create(t.Context(), recorder.PartConfig{Session: s, DeviceFP: [32]byte{9}}, &k)
	must(t, err)
	if k != (secrets{}) {
		t.Error("the keys are still in memory")
	}
	rkName, skName := format.SlotNames(s, 0)
	for _, name := range []string{rkName, skName, format.FileName(s, 0)} {
		if !synced[name+startedSuffix] {
			t.Errorf("%s was not synced", name)
		}
	}
	if got := unlock(t, dir, rkName, site().reader); got != before.rk {
		t.Errorf("readers' slot holds %x, want %x", got, before.rk)
	}
	if got := unlock(t, dir, skName, site().officer); got != before.sk {
		t.Errorf("officers' slot holds %x, want %x", got, before.sk)
	}
	slot, err := os.ReadFile(filepath.Join(dir, format.Day(r.Started()), rkName))
	must(t, err)
	if r.SlotRK() != sha256.Sum256(slot) {
		t.Error("SlotRK is not the hash of the readers' slot")
	}
	raw, err := os.ReadFile(filepath.Join(dir, r.File()))
	must(t, err)
	if r.H0() != format.ChainStart(raw) {
		t.Error("H0 does not cover the file as it lies there")
	}
}

func TestAPartHasOneRecordingEver(t *testing.T) {
	n, _ := openNode(t, nodeConfig(t.TempDir()))
	s := id.NewSession()
	r := create(t, n, recorder.PartConfig{Session: s})
	_, err := n.Create(t.Context(), recorder.PartConfig{Session: s})
	if errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("while it runs: got %v, want a conflict", err)
	}
	_, err = r.Close(t.Context(), "exit")
	must(t, err)
	_, err = n.Create(t.Context(), recorder.PartConfig{Session: s})
	if errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("after its end: got %v, want a conflict", err)
	}
	create(t, n, recorder.PartConfig{Session: s, Part: 1, PrevHead: [32]byte{1}})
}

func TestTwoNodesCannotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	openNode(t, nodeConfig(dir))
	if _, _, err := OpenNode(t.Context(), nodeConfig(dir)); err == nil {
		t.Fatal("a second node opened the directory")
	}
}

func TestANodeWithoutReadersOrOfficersDoesNotOpen(t *testing.T) {
	for _, change := range []func(*NodeConfig){
		func(c *NodeConfig) { c.Readers = nil }, func(c *NodeConfig) { c.Unsealers = nil },
		func(c *NodeConfig) { c.Key = nil }, func(c *NodeConfig) { c.Dir = "" }} {
		cfg := nodeConfig(t.TempDir())
		change(&cfg)
		if _, _, err := OpenNode(t.Context(), cfg); err == nil {
			t.Errorf("opened with %+v", cfg)
		}
	}
}

func TestAFailedSyncEndsAllRecordingAndIsNeverTriedAgain(t *testing.T) {
	disk := &trouble{}
	cfg := nodeConfig(t.TempDir())
	cfg.layer = disk
	n, _ := openNode(t, cfg)
	a, b := create(t, n, recorder.PartConfig{}), create(t, n, recorder.PartConfig{})
	must(t, b.Output(t.Context(), 0, format.StreamOut, []byte("good")))
	tries := 0
	disk.set(func() {
		disk.sync = func(string) error { tries++; return syscall.EIO }
	})
	err := a.Output(t.Context(), 0, format.StreamOut, []byte("lost"))
	if errkind.KindOf(err) != errkind.Unavailable || !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want unavailable because of EIO", err)
	}
	for _, r := range []*Recording{a, b} {
		<-r.Failed()
		if r.Err() == nil {
			t.Error("a recording is not told")
		}
	}
	if err := b.Output(t.Context(), 0, format.StreamOut, []byte("more")); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("the other recording: got %v, want unavailable", err)
	}
	if err := n.Ready(); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("Ready: got %v, want unavailable", err)
	}
	if _, err := n.Create(t.Context(), recorder.PartConfig{Session: id.NewSession()}); err == nil {
		t.Error("a new recording began")
	}
	last, err := b.Close(t.Context(), "recorder failed")
	if err == nil || last.Seq != starts+1 {
		t.Errorf("Close: got seq %d, %v, want what was durable and an error", last.Seq, err)
	}
	if tries != 1 {
		t.Errorf("%d syncs after the first failed one, want none", tries-1)
	}
}

func TestAFailedSyncOfASessionFileEndsAllRecording(t *testing.T) {
	disk := &trouble{}
	cfg := nodeConfig(t.TempDir())
	cfg.layer = disk
	n, _ := openNode(t, cfg)
	r := create(t, n, recorder.PartConfig{Rate: -1})
	disk.set(func() {
		disk.sync = func(name string) error {
			if name != format.JournalName {
				return syscall.EIO
			}
			return nil
		}
	})
	p := noise(1, 256<<10)
	for range 4 * minJournal / len(p) { // the journal comes round
		if err := r.Output(t.Context(), 0, format.StreamOut, p); err != nil {
			break
		}
	}
	if err := n.Ready(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Ready: got %v, want the failed sync", err)
	}
	<-r.Failed()
}
