package writer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
)

// diary notes in which order files are opened and directories are synced.
type diary struct {
	osLayer
	root  string
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(what, path string) {
	rel, _ := filepath.Rel(d.root, path)
	d.mu.Lock()
	d.lines = append(d.lines, what+" "+filepath.ToSlash(rel))
	d.mu.Unlock()
}

func (d *diary) open(path string, flag int) (file, error) {
	d.note("open", path)
	return d.osLayer.open(path, flag)
}

func (d *diary) syncDir(dir string) error {
	d.note("sync", dir)
	return d.osLayer.syncDir(dir)
}

// on makes a node whose clock shows a fixed time.
func on(t *testing.T, dir, when string) NodeConfig {
	t.Helper()
	at, err := time.Parse(time.RFC3339, when)
	must(t, err)
	cfg := nodeConfig(dir)
	cfg.Now = func() time.Time { return at }
	return cfg
}

func TestTheDirectoryOfADayIsDurableBeforeASlotIsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	cfg := on(t, dir, "2026-02-28T23:30:00-05:00") // the next day in UTC
	d := &diary{root: dir}
	cfg.layer = d
	n, _ := openNode(t, cfg)
	d.lines = nil
	r := create(t, n, recorder.PartConfig{})
	if want := filepath.Join("2026", "03", "01", format.FileName(r.session, 0)); r.File() != want {
		t.Errorf("got %s, want %s", r.File(), want)
	}
	first := slices.IndexFunc(d.lines, func(l string) bool { return strings.HasPrefix(l, "open 2026/") })
	for _, parent := range []string{"sync 2026/03", "sync 2026", "sync ."} {
		if at := slices.Index(d.lines, parent); at < 0 || at > first {
			t.Errorf("%s comes after the first slot, or not at all: %v", parent, d.lines)
		}
	}
	for _, sub := range []string{"2026", "2026/03", "2026/03/01"} {
		if info, err := os.Stat(filepath.Join(dir, sub)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got %v %v, want mode 0700", sub, info.Mode(), err)
		}
	}
	d.lines = nil
	create(t, n, recorder.PartConfig{})
	if slices.Contains(d.lines, "sync 2026") {
		t.Errorf("the second session of a day syncs its year again: %v", d.lines)
	}
	must(t, os.Rename(filepath.Join(dir, "2026"), filepath.Join(dir, "away")))
	create(t, n, recorder.PartConfig{}) // removing the directory does not stop sessions
}

func TestAFileIsFoundInItsDayTheDayBesideItAndTheDirectoryItself(t *testing.T) {
	dir := t.TempDir()
	start := time.Date(2026, 1, 1, 0, 0, 0, 500, time.UTC)
	for _, place := range []string{"2026/01/01", ".", "2025/12/31", "2026/01/02"} {
		name := format.FileName(id.NewSession(), 3)
		must(t, os.MkdirAll(filepath.Join(dir, place), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, place, name), nil, 0o600))
		for _, when := range []time.Time{start, {}} {
			if got, err := files.Locate(dir, name, when); err != nil || got != filepath.Join(dir, place, name) {
				t.Errorf("in %s, started %v: got %q %v", place, when, got, err)
			}
		}
	}
	must(t, os.MkdirAll(filepath.Join(dir, "2026/01/05"), 0o700))
	other := format.FileName(id.NewSession(), 0)
	must(t, os.WriteFile(filepath.Join(dir, "2026/01/05", other), nil, 0o600))
	if _, err := files.Locate(dir, other, start); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of another day: got %v, want not exist", err)
	}
	if _, err := files.Locate(dir, format.FileName(id.NewSession(), 0), time.Time{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nowhere: got %v, want not exist", err)
	}
}

func TestAStartReadsOnlyDaysThatAreNotSettled(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, on(t, dir, "2026-05-01T12:00:00Z"))
	_, err := create(t, n, recorder.PartConfig{}).Close(t.Context(), "exit")
	must(t, err)
	cut := create(t, n, recorder.PartConfig{})
	must(t, n.Close(t.Context()))

	n, got := openNode(t, on(t, dir, "2026-05-03T12:00:00Z"))
	if len(got) != 1 || got[0].File != cut.File() {
		t.Fatalf("got %+v, want the part that was cut", got)
	}
	must(t, n.Close(t.Context()))
	n, got = openNode(t, on(t, dir, "2026-05-04T12:00:00Z"))
	if len(got) != 1 {
		t.Fatalf("it is not settled: got %+v, want it again", got)
	}
	must(t, n.Settled(got[0]))
	must(t, n.Close(t.Context()))
	n, got = openNode(t, on(t, dir, "2026-05-04T13:00:00Z")) // all days are found settled
	must(t, n.Close(t.Context()))
	if len(got) != 0 {
		t.Fatalf("got %+v, want nothing", got)
	}

	leftover := filepath.Join(dir, "2026", "05", "01", "x"+startedSuffix)
	must(t, os.WriteFile(leftover, nil, 0o600))
	n, _ = openNode(t, on(t, dir, "2026-05-04T14:00:00Z"))
	if _, err := os.Stat(leftover); err != nil {
		t.Error("a day that is settled was read again")
	}
	must(t, n.Close(t.Context()))

	n, _ = openNode(t, on(t, dir, "2026-04-30T12:00:00Z")) // the clock is set back
	back := create(t, n, recorder.PartConfig{})
	must(t, n.Close(t.Context()))
	_, got = openNode(t, on(t, dir, "2026-05-04T15:00:00Z"))
	if len(got) != 1 || got[0].File != back.File() {
		t.Errorf("recorded while the clock was back: got %+v, want %s", got, back.File())
	}
}

func TestAStartReadsAllDaysWithoutASettledDay(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, on(t, dir, "2026-05-01T12:00:00Z"))
	cut := create(t, n, recorder.PartConfig{})
	must(t, n.Close(t.Context()))
	must(t, os.WriteFile(filepath.Join(dir, settledName), []byte("2027-99-01\n"), 0o600))
	_, got := openNode(t, on(t, dir, "2026-06-01T12:00:00Z"))
	if len(got) != 1 || got[0].File != cut.File() {
		t.Errorf("got %+v, want the part that was cut", got)
	}
}

// moveDir names the directory whose files a copy of this test binary moves until it is killed.
const moveDir = "SALLYPORT_TEST_MOVE_DIR"

func TestFilesOfAnEarlierReleaseAreMovedAlthoughTheMoveIsKilled(t *testing.T) {
	if dir := os.Getenv(moveDir); dir != "" {
		if _, _, err := OpenNode(context.Background(), nodeConfig(dir)); err != nil {
			panic(err)
		}
		select {}
	}
	kills := 0
	for tries := 0; kills < 3 && !t.Failed(); tries++ { // a busy machine may let the move end first
		if tries == 20 {
			t.Fatalf("the move was killed %d times only", kills)
		}
		kills += moveAndKill(t)
	}
}

// moveAndKill moves the files of a directory, killed again and again, and checks what came of it.
func moveAndKill(t *testing.T) (kills int) {
	t.Helper()
	dir, starts := flatDir(t, 600)
	stop := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { readWhileMoving(t, dir, starts, stop) })
	for ; len(flatFiles(t, dir)) > 0 && kills < 200; kills++ {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFilesOfAnEarlierReleaseAreMovedAlthoughTheMoveIsKilled$")
		cmd.Env = append(os.Environ(), moveDir+"="+dir)
		must(t, cmd.Start())
		before := len(flatFiles(t, dir))
		for wait := time.Now(); len(flatFiles(t, dir)) >= before-100 && len(flatFiles(t, dir)) > 0 &&
			time.Since(wait) < time.Minute; {
			time.Sleep(time.Millisecond)
		}
		must(t, cmd.Process.Kill()) // SIGKILL
		cmd.Wait()
	}
	close(stop)
	reading.Wait()
	seen := map[string]int{}
	must(t, files.Walk(dir, func(rel string) error {
		if ext := filepath.Ext(rel); ext == ".srec" || ext == ".age" || ext == ".cut" {
			seen[filepath.Base(rel)]++
		}
		return nil
	}))
	for name, start := range starts {
		if at := filepath.Join(dir, format.Day(start), name); seen[name] != 1 {
			t.Errorf("%s is there %d times", name, seen[name])
		} else if _, err := os.Stat(at); err != nil {
			t.Error(err)
		}
	}
	if len(seen) != len(starts) {
		t.Errorf("got %d files, want the %d that there were", len(seen), len(starts))
	}
	n, cut := openNode(t, nodeConfig(dir))
	defer n.Close(t.Context())
	if len(cut) != 0 {
		t.Errorf("after the move %d parts are reported as cut, want none: %+v", len(cut), cut[0])
	}
	return kills - 1 // the last one had nothing left to move, perhaps
}

// flatDir makes a directory as earlier releases left it: parts of three days, closed, or cut and marked. It gives when
// the part of each file began.
func flatDir(t *testing.T, parts int) (dir string, starts map[string]time.Time) {
	t.Helper()
	dir, starts = t.TempDir(), map[string]time.Time{}
	for i, day := range []string{"2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-07-04T10:00:00Z"} {
		from := t.TempDir()
		n, _ := openNode(t, on(t, from, day))
		r := create(t, n, recorder.PartConfig{})
		must(t, r.Output(t.Context(), 0, format.StreamOut, []byte("text")))
		if i != 1 {
			_, err := r.Close(t.Context(), "exit")
			must(t, err)
		}
		must(t, n.Close(t.Context()))
		for range parts / 3 {
			flatPart(t, dir, filepath.Join(from, format.Day(r.t0)), r, i == 1, starts)
		}
	}
	return dir, starts
}

// flatPart copies the files of a part under the name of another session.
func flatPart(t *testing.T, dir, from string, r *Recording, cut bool, starts map[string]time.Time) {
	t.Helper()
	s := id.NewSession()
	rk, sk := format.SlotNames(r.session, 0)
	for _, name := range []string{rk, sk, format.FileName(r.session, 0)} {
		to := strings.Replace(name, r.session.String(), s.String(), 1)
		must(t, os.Link(filepath.Join(from, name), filepath.Join(dir, to)))
		starts[to] = r.t0
	}
	if cut {
		marker := format.MarkerName(format.FileName(s, 0))
		must(t, os.WriteFile(filepath.Join(dir, marker), nil, 0o600))
		starts[marker] = r.t0
	}
}

func flatFiles(t *testing.T, dir string) (out []string) {
	t.Helper()
	must(t, files.WalkDir(dir, ".", func(rel string) error {
		if filepath.Ext(rel) == ".srec" {
			out = append(out, rel)
		}
		return nil
	}))
	return out
}

// readWhileMoving checks that each file can be opened at any time.
func readWhileMoving(t *testing.T, dir string, starts map[string]time.Time, stop chan struct{}) {
	for {
		for name, start := range starts {
			select {
			case <-stop:
				return
			default:
			}
			f, err := files.Open(dir, name, start)
			if err != nil {
				t.Errorf("while it is moved: %v", err)
				return
			}
			f.Close()
		}
	}
}

func TestAFlatPartThatWasCutIsRecoveredFromTheJournalAndMovedOnceSettled(t *testing.T) {
	cfg := on(t, t.TempDir(), "2026-05-01T12:00:00Z")
	cfg.layer = &trouble{gone: true}
	n, _ := openNode(t, cfg)
	r := create(t, n, recorder.PartConfig{})
	header := r.Progress().Bytes
	must(t, r.Output(t.Context(), 0, format.StreamOut, []byte("acknowledged")))
	journal, err := os.ReadFile(filepath.Join(cfg.Dir, format.JournalName))
	must(t, err)
	// The file lacks the bytes that the journal has.
	dir := copied(t, cfg.Dir, journal, map[string]int64{r.File(): header})
	for _, name := range []string{format.FileName(r.session, 0), r.session.String() + ".rk.age",
		r.session.String() + ".sk.age"} {
		must(t, os.Rename(filepath.Join(dir, "2026/05/01", name), filepath.Join(dir, name)))
	}
	again, cut := openNode(t, on(t, dir, "2026-05-02T12:00:00Z"))
	if len(cut) != 1 || cut[0].File != format.FileName(r.session, 0) {
		t.Fatalf("got %+v, want the part in the directory itself", cut)
	}
	if got := readBack(t, dir, r.session, 0); string(got.out[streamID{0, format.StreamOut}]) != "acknowledged" {
		t.Errorf("got %v, want what was acknowledged", got.out)
	}
	must(t, again.Settled(cut[0]))
	must(t, again.Close(t.Context()))
	// A kill between the marker's and the container's rename: the part is marked all the same.
	marker := format.MarkerName(format.FileName(r.session, 0))
	must(t, os.MkdirAll(filepath.Join(dir, "2026/05/01"), 0o700))
	must(t, os.Rename(filepath.Join(dir, marker), filepath.Join(dir, "2026/05/01", marker)))
	_, cut = openNode(t, on(t, dir, "2026-05-03T12:00:00Z"))
	if len(cut) != 0 {
		t.Errorf("a part that is marked was reported: %+v", cut)
	}
	for range 6000 { // it moves while it records
		if len(flatFiles(t, dir)) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, name := range []string{format.FileName(r.session, 0), marker} {
		if _, err := os.Stat(filepath.Join(dir, "2026/05/01", name)); err != nil {
			t.Error(err)
		}
	}
}

// A day that was moved to another disk and linked is written to. A start that passed over it would never say in the log
// that a recording there was cut.
func TestALinkInThePlaceOfADayIsNotPassedOver(t *testing.T) {
	for _, sub := range []string{"2026", "2026/05", "2026/05/01"} {
		dir, away := t.TempDir(), filepath.Join(t.TempDir(), "away")
		n, _ := openNode(t, on(t, dir, "2026-05-01T12:00:00Z"))
		cut := create(t, n, recorder.PartConfig{})
		must(t, n.Close(t.Context()))
		must(t, os.Rename(filepath.Join(dir, sub), away))
		must(t, os.Symlink(away, filepath.Join(dir, sub)))
		if n, got, err := OpenNode(t.Context(), on(t, dir, "2026-05-02T12:00:00Z")); err == nil {
			n.Close(t.Context())
			t.Errorf("%s: the node starts and reports %d parts as cut, want an error", sub, len(got))
		} else if !strings.Contains(err.Error(), sub+" is not a directory") {
			t.Errorf("%s: got %v", sub, err)
		}
		if err := files.Walk(dir, func(string) error { return nil }); err == nil {
			t.Errorf("%s: a reader lists no recording and no error", sub)
		}
		must(t, os.Remove(filepath.Join(dir, sub)))
		must(t, os.Rename(away, filepath.Join(dir, sub)))
		if _, got := openNode(t, on(t, dir, "2026-05-02T12:00:00Z")); len(got) != 1 || got[0].File != cut.File() {
			t.Errorf("%s: put back: got %+v, want the part that was cut", sub, got)
		}
	}
}

// The clock was ahead at a start, or another program wrote the file: a start still reads the recordings of today.
func TestADayInTheFutureSettlesNothing(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, on(t, dir, "2026-05-01T12:00:00Z"))
	cut := create(t, n, recorder.PartConfig{})
	must(t, n.Close(t.Context()))
	must(t, os.WriteFile(filepath.Join(dir, settledName), []byte("2030-01-01\n"), 0o600))
	if _, got := openNode(t, on(t, dir, "2026-05-02T12:00:00Z")); len(got) != 1 || got[0].File != cut.File() {
		t.Errorf("got %+v, want the part that was cut", got)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, settledName)); err != nil || string(raw) != "2026-05-01\n" {
		t.Errorf("got %q %v, want the day of the part that was cut", raw, err)
	}
}
