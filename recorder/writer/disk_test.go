package writer

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
)

// smallDisk is a disk of a given size, for those who may not mount one.
type smallDisk struct {
	mu    sync.Mutex
	size  int64
	files map[string]int64
	dir   string
}

func (d *smallDisk) write(name string, end int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.files[name]; end > old {
		if d.used()+end-old > d.size {
			return syscall.ENOSPC
		}
		d.files[name] = end
	}
	return nil
}

// used counts the ballast by whether it is there.
func (d *smallDisk) used() (n int64) {
	for _, size := range d.files {
		n += size
	}
	if info, err := os.Stat(filepath.Join(d.dir, ballastName)); err == nil {
		n += info.Size()
	}
	return n
}

func (d *smallDisk) free() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.size - d.used()
}

func TestAFullDiskEndsWhatFillsItAndEverySessionGetsItsClose(t *testing.T) {
	t.Run("in the file layer", func(t *testing.T) {
		cfg := nodeConfig(t.TempDir())
		d := &smallDisk{size: 14 << 20, files: map[string]int64{format.JournalName: minJournal}, dir: cfg.Dir}
		cfg.layer = &trouble{write: d.write, room: d.free}
		fillDisk(t, cfg)
	})
	t.Run("on a small file system", func(t *testing.T) {
		cfg := nodeConfig(smallVolume(t, 20<<20))
		fillDisk(t, cfg)
	})
}

// fillDisk floods a disk from one session while another one types. The first must end with a clear text, the
// other go on, both must be closed, and no acknowledged byte be missing.
func fillDisk(t *testing.T, cfg NodeConfig) {
	cfg.Ballast = 2 << 20
	n, _ := openNode(t, cfg)
	loud, quiet := id.NewSession(), id.NewSession()
	flood, typing := create(t, n, recorder.PartConfig{Session: loud, Rate: -1}),
		create(t, n, recorder.PartConfig{Session: quiet})
	ctx := t.Context()
	acked := 0
	var err error
	for acked < 64<<20 {
		p := noise(uint64(acked>>16), 64<<10)
		if err = flood.Output(ctx, 0, format.StreamOut, p); err != nil {
			break
		}
		acked += len(p)
		must(t, typing.Input(ctx, 0, 0, []byte("x")))
	}
	text, hint, _ := errkind.ForPeople(err)
	if errkind.KindOf(err) != errkind.Unavailable || !strings.Contains(text, "full") || hint == "" {
		t.Fatalf("the flood ended with %v (text %q, hint %q), want that the disk is full", err, text, hint)
	}
	<-flood.Failed()
	if err := typing.Input(ctx, 0, 0, []byte("y")); err != nil {
		t.Errorf("the other session: %v", err)
	}
	if err := n.Ready(); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("Ready: got %v, want unavailable", err)
	}
	if _, err := n.Create(ctx,
		recorder.PartConfig{Session: id.NewSession()}); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("a new session: got %v, want unavailable", err)
	}
	for _, r := range []*Recording{flood, typing} {
		_, err := r.Close(ctx, "recorder failed")
		must(t, err)
	}
	must(t, n.Close(context.Background()))
	c := readBack(t, cfg.Dir, loud, 0)
	if got := len(c.out[streamID{0, format.StreamOut}]); c.close == nil || got < acked {
		t.Errorf("the flood: %d bytes, %d were acknowledged, closed %v", got, acked, c.close != nil)
	}
	if note := c.note(format.NoteEnding); note == nil || !strings.Contains(note.Text, "full") {
		t.Errorf("the record does not say why it ends: %+v", c.notes)
	}
	if c := readBack(t, cfg.Dir, quiet, 0); c.close == nil || !strings.HasSuffix(string(c.typed[0]), "xy") {
		t.Errorf("the other session: %d typed, closed %v", len(c.typed[0]), c.close != nil)
	}
}

func TestWhereNothingIsLeftTheSessionFailsAndTheOthersGoOn(t *testing.T) {
	disk := &trouble{}
	dir := t.TempDir()
	cfg := nodeConfig(dir)
	cfg.layer = disk
	n, _ := openNode(t, cfg)
	s := id.NewSession()
	stuck, good := create(t, n, recorder.PartConfig{Session: s}), create(t, n, recorder.PartConfig{})
	must(t, stuck.Output(t.Context(), 0, format.StreamOut, []byte("first")))
	disk.set(func() {
		disk.write = func(name string, _ int64) error {
			if name == filepath.Base(stuck.File())+startedSuffix {
				return syscall.ENOSPC
			}
			return nil
		}
	})
	err := stuck.Output(t.Context(), 0, format.StreamOut, []byte("second"))
	if errkind.KindOf(err) != errkind.Unavailable || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want unavailable because of ENOSPC", err)
	}
	last, err := stuck.Close(t.Context(), "recorder failed")
	if err == nil || last.Seq != starts+1 {
		t.Errorf("Close: got %+v %v, want what was durable and an error", last, err)
	}
	must(t, good.Note(format.Note{Kind: format.NoteMarker, Text: "goes on"}))
	must(t, n.Close(context.Background()))
	_, cut := openNode(t, nodeConfig(dir))
	if len(cut) != 2 {
		t.Errorf("got %d cut parts, want both", len(cut))
	}
	if got := string(readBack(t, dir, s, 0).out[streamID{0, format.StreamOut}]); !strings.HasPrefix(got, "first") {
		t.Errorf("got %q, want what was acknowledged", got)
	}
}

func TestBelowLowWaterNoSessionStartsAndTheTextSaysHowMuchIsMissing(t *testing.T) {
	room := int64(3 << 30)
	disk := &trouble{}
	disk.room = func() int64 { return room }
	cfg := nodeConfig(t.TempDir())
	cfg.layer, cfg.LowWater = disk, 2<<30
	n, _ := openNode(t, cfg)
	must(t, n.Ready())
	running := create(t, n, recorder.PartConfig{})
	disk.set(func() { room = 2<<30 - 512<<20 })
	err := n.Ready()
	text, hint, _ := errkind.ForPeople(err)
	if errkind.KindOf(err) != errkind.Unavailable || !strings.Contains(text, "1.5 GiB") ||
		!strings.Contains(text, "2 GiB") || hint == "" {
		t.Errorf("got %q %q", text, hint)
	}
	if _, err := n.Create(t.Context(),
		recorder.PartConfig{Session: id.NewSession()}); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("Create: got %v, want unavailable", err)
	}
	must(t, running.Output(t.Context(), 0, format.StreamOut, []byte("goes on")))
	disk.set(func() { room = 2 << 30 })
	must(t, n.Ready())
}

func TestTheBallastComesBackWhenThereIsRoomAgain(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	cfg.Ballast = 1 << 20
	n, _ := openNode(t, cfg)
	ballast := filepath.Join(cfg.Dir, ballastName)
	if info, err := os.Stat(ballast); err != nil || info.Size() != cfg.Ballast {
		t.Fatalf("ballast: %v %v", info, err)
	}
	n.vol.release()
	if _, err := os.Stat(ballast); err == nil || n.Ready() == nil {
		t.Error("the ballast is there, or sessions may start, on a full disk")
	}
	n.vol.arm()
	if _, err := os.Stat(ballast); err != nil || n.Ready() != nil {
		t.Errorf("with room again: %v, %v", err, n.Ready())
	}
}

func TestAFullDiskAtRestartLosesNothingFromTheJournal(t *testing.T) {
	disk := &trouble{gone: true}
	cfg := nodeConfig(t.TempDir())
	cfg.layer = disk
	r, header, journal := synced(t, cfg, []byte("text"))
	dir := copied(t, cfg.Dir, journal, map[string]int64{r.File(): header})
	full := nodeConfig(dir)
	full.layer = &trouble{write: func(string, int64) error { return syscall.ENOSPC }}
	if _, _, err := OpenNode(t.Context(), full); errkind.KindOf(err) != errkind.Unavailable {
		t.Fatalf("on a full disk: got %v, want unavailable", err)
	}
	openNode(t, nodeConfig(dir))
	if got := string(readBack(t, dir, r.session, 0).out[streamID{0, format.StreamOut}]); got != "text" {
		t.Errorf("once there was room: got %q, want text", got)
	}
}

func TestAJournalThatCannotBeCopiedIsKept(t *testing.T) {
	disk := &trouble{gone: true}
	cfg := nodeConfig(t.TempDir())
	cfg.layer = disk
	n, _ := openNode(t, cfg)
	bad, good := create(t, n, recorder.PartConfig{}), create(t, n, recorder.PartConfig{})
	sizes := map[string]int64{bad.File(): bad.Progress().Bytes, good.File(): good.Progress().Bytes}
	must(t, bad.Output(t.Context(), 0, format.StreamOut, []byte("text")))
	must(t, good.Output(t.Context(), 0, format.StreamOut, []byte("text")))
	journal, err := os.ReadFile(filepath.Join(cfg.Dir, format.JournalName))
	must(t, err)
	dir := copied(t, cfg.Dir, journal, sizes)
	again := nodeConfig(dir)
	again.layer = &trouble{write: func(name string, _ int64) error {
		if name == filepath.Base(bad.File()) {
			return syscall.EIO
		}
		return nil
	}}
	_, cut := openNode(t, again)
	for _, i := range cut {
		if (i.File == bad.File()) != (i.Fault != "") {
			t.Errorf("%+v: want a fault for the bad file only", i)
		}
	}
	if c := readBack(t, dir, good.session, 0); string(c.out[streamID{0, format.StreamOut}]) != "text" || len(cut) != 2 {
		t.Errorf("the good file: %q, %d parts cut", c.out[streamID{0, format.StreamOut}], len(cut))
	}
	kept, err := filepath.Glob(filepath.Join(dir, format.JournalName+".*.kept"))
	if err != nil || len(kept) != 1 {
		t.Errorf("kept journals: %v %v, want one", kept, err)
	}
}

func TestSizesReadLikeSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 3 << 29: "1.5 GiB",
		2 << 30: "2 GiB", 1<<20 + 1: "1.0 MiB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

// TestAMissingBallastIsLoggedOnceWhileItLasts: the node tries again at each tick.
func TestAMissingBallastIsLoggedOnceWhileItLasts(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	cfg.Ballast = 1 << 20
	n, _ := openNode(t, cfg)
	said := &strings.Builder{} // written under the volume's lock
	n.vol.mu.Lock()
	n.vol.log = slog.New(slog.NewTextHandler(said, nil))
	n.vol.mu.Unlock()
	ballast := filepath.Join(cfg.Dir, ballastName)
	for range 2 {
		n.vol.release()
		if err := os.Mkdir(ballast, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(ballast, "x"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			n.vol.arm()
		}
		if err := os.RemoveAll(ballast); err != nil {
			t.Fatal(err)
		}
		n.vol.arm()
	}
	n.vol.mu.Lock()
	defer n.vol.mu.Unlock()
	if got := strings.Count(said.String(), "no ballast on the disk"); got != 2 {
		t.Errorf("two faults are logged %d times:\n%s", got, said)
	}
}
