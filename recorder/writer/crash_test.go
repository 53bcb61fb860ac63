package writer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
)

// floodDir names the directory that a copy of this test binary records into until it is killed.
const floodDir = "SALLYPORT_TEST_FLOOD_DIR"

func TestNothingAcknowledgedIsMissingAfterKill9(t *testing.T) {
	if dir := os.Getenv(floodDir); dir != "" {
		flood(dir)
	}
	for trial := range 10 {
		killTrial(t, trial)
	}
}

// Sessions of the flood: a few that print without end, more that type and read the answer.
const (
	floodLoud  = 3
	floodQuiet = 12
)

func floodSession(i int) id.Session { return id.Session{15: byte(i + 1)} }

// patterned is what session i prints, or is typed into it: any stretch of it can be told from any other.
func patterned(i int, kind byte, at, n int) []byte {
	b := make([]byte, n)
	for k := range b {
		p := at + k
		b[k] = byte(p) ^ byte(p>>8)*31 ^ byte(p>>16)*7 ^ byte(i)*13 ^ kind
	}
	return b
}

// flood records, and says on descriptor 3 what was acknowledged, after it was. It does not return.
func flood(dir string) {
	n, _, err := OpenNode(context.Background(), nodeConfig(dir))
	if err != nil {
		panic(err)
	}
	log := os.NewFile(3, "acknowledged")
	var mu sync.Mutex
	say := func(i int, kind byte, total int) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := fmt.Fprintf(log, "%d %c %d\n", i, kind, total); err != nil {
			os.Exit(3)
		}
	}
	keys := site()
	_, err = fmt.Fprintf(log, "%s %s\n", keys.reader, keys.officer)
	if err != nil {
		panic(err)
	}
	for i := range floodLoud + floodQuiet {
		r, err := n.Create(context.Background(), recorder.PartConfig{Session: floodSession(i), Rate: -1})
		if err != nil {
			panic(err)
		}
		say(i, 'b', 0)
		go floodOne(r, i, say)
	}
	select {}
}

func floodOne(r recorder.Recording, i int, say func(int, byte, int)) {
	rnd := rand.New(rand.NewPCG(uint64(i), uint64(time.Now().UnixNano())))
	ctx := context.Background()
	if err := r.Start(0, 80, 24, "a shell"); err != nil {
		panic(err)
	}
	for out, in := 0, 0; ; {
		size := 1 + rnd.IntN(200)
		if i < floodLoud {
			size = 1 + rnd.IntN(48<<10)
		}
		if err := r.Output(ctx, 0, format.StreamOut, patterned(i, 'o', out, size)); err != nil {
			panic(err)
		}
		out += size
		say(i, 'o', out)
		if i < floodLoud {
			continue
		}
		typed := 1 + rnd.IntN(8)
		if err := r.Input(ctx, 0, 0, patterned(i, 's', in, typed)); err != nil {
			panic(err)
		}
		r.Verdict(0, uint64(in), uint64(typed), rnd.IntN(4) == 0)
		in += typed
		say(i, 's', in)
	}
}

// acknowledged is what the child said before it died.
type acknowledged struct {
	began map[int]bool
	total map[int]map[byte]int
	who   people
}

func killTrial(t *testing.T, trial int) {
	dir, acked := killed(t, trial)
	before := containers(t, dir)
	cfg := nodeConfig(dir)
	n, cut, err := OpenNode(t.Context(), cfg)
	must(t, err)
	defer func() { must(t, n.Close(context.Background())) }()
	if len(cut) < len(acked.began) {
		t.Fatalf("trial %d: %d parts reported as cut, want all %d that began", trial, len(cut), len(acked.began))
	}
	restore := swapSite(acked.who)
	defer restore()
	for i := range acked.began {
		c := readBack(t, dir, floodSession(i), 0)
		got, want := c.out[streamID{0, format.StreamOut}], acked.total[i]['o']
		if len(got) < want || !bytes.Equal(got, patterned(i, 'o', 0, len(got))) {
			t.Fatalf("trial %d session %d: %d bytes of output in the record, %d were acknowledged", trial, i,
				len(got), want)
		}
		typed, want := c.typed[0], acked.total[i]['s']
		if len(typed) < want || !bytes.Equal(typed, patterned(i, 's', 0, len(typed))) {
			t.Fatalf("trial %d session %d: %d bytes of input in the record, %d were acknowledged", trial, i,
				len(typed), want)
		}
		if _, err := n.Create(t.Context(),
			recorder.PartConfig{Session: floodSession(i)}); errkind.KindOf(err) != errkind.Conflict {
			t.Fatalf("trial %d: a cut part is written to again, with its old nonces: %v", trial, err)
		}
	}
	sameChunks(t, before, containers(t, dir))
}

// killed runs a child and kills it in the middle.
func killed(t *testing.T, trial int) (string, acknowledged) {
	t.Helper()
	dir := t.TempDir()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestNothingAcknowledgedIsMissingAfterKill9$")
	cmd.Env = append(os.Environ(), floodDir+"="+dir)
	cmd.ExtraFiles = []*os.File{w}
	must(t, cmd.Start())
	w.Close()
	acked := acknowledged{began: map[int]bool{}, total: map[int]map[byte]int{}}
	timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	armed := false
	in := bufio.NewReader(r)
	for first := true; ; first = false {
		line, err := in.ReadString('\n')
		if err != nil { // half a line was not said
			break
		}
		if first {
			acked.who = parsePeople(t, line)
			continue
		}
		acked.take(t, line)
		if !armed && len(acked.total) == floodLoud+floodQuiet {
			armed = true
			wait := time.Duration(rand.IntN(150)) * time.Millisecond
			time.AfterFunc(wait, func() { cmd.Process.Kill() }) // SIGKILL
		}
	}
	if err := cmd.Wait(); err == nil || !armed {
		t.Fatalf("trial %d: the child ended by itself: %v", trial, err)
	}
	return dir, acked
}

func (a *acknowledged) take(t *testing.T, line string) {
	t.Helper()
	var i, total int
	var kind rune
	if _, err := fmt.Sscanf(line, "%d %c %d\n", &i, &kind, &total); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
	a.began[i] = true
	if kind == 'b' {
		return
	}
	if a.total[i] == nil {
		a.total[i] = map[byte]int{}
	}
	a.total[i][byte(kind)] = total
}

// containers reads all recordings of a directory.
func containers(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	must(t, files.Walk(dir, func(rel string) (err error) {
		if filepath.Ext(rel) == ".srec" {
			out[rel], err = os.ReadFile(filepath.Join(dir, rel))
		}
		return err
	}))
	return out
}

// sameChunks demands that recovery only cut or completed files: where both have bytes, they are the same, so
// no chunk number was sealed twice.
func sameChunks(t *testing.T, before, after map[string][]byte) {
	t.Helper()
	for name, was := range before {
		is := after[name]
		if n := min(len(was), len(is)); !bytes.Equal(was[:n], is[:n]) {
			t.Errorf("%s: recovery changed bytes", filepath.Base(name))
		}
	}
}

func TestAPartThatWasCutIsReportedUntilItIsSettled(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	s, done := id.NewSession(), id.NewSession()
	r := create(t, n, recorder.PartConfig{Session: s, Part: 2, PrevHead: [32]byte{1}})
	must(t, r.Output(t.Context(), 0, format.StreamOut, []byte("text")))
	whole := create(t, n, recorder.PartConfig{Session: done})
	_, err := whole.Close(t.Context(), "exit")
	must(t, err)
	at := r.Progress()
	must(t, n.Close(t.Context()))
	for start := range 3 {
		n, cut := openNode(t, nodeConfig(dir))
		if start == 2 {
			if len(cut) != 0 {
				t.Fatalf("after it was settled: got %+v, want nothing", cut)
			}
			return
		}
		want := recorder.Interrupted{Session: s, Part: 2, File: r.File(), Started: r.Started().Round(0).UTC(),
			H0:   r.H0(),
			Head: at.HFinal, Seq: at.Seq, Bytes: at.Bytes}
		if len(cut) != 1 || cut[0] != want {
			t.Fatalf("start %d: got %+v, want %+v", start, cut, want)
		}
		if start == 1 {
			must(t, n.Settled(cut[0]))
		}
		must(t, n.Close(t.Context()))
	}
}

func TestATornChunkIsCutOffAndADamagedFileHoldsUpNobody(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	var files []string
	var sessions []id.Session
	for range 4 {
		s := id.NewSession()
		r := create(t, n, recorder.PartConfig{Session: s})
		must(t, r.Output(t.Context(), 0, format.StreamOut, []byte("text")))
		must(t, r.Output(t.Context(), 0, format.StreamOut, []byte("more")))
		files, sessions = append(files, filepath.Join(dir, r.File())), append(sessions, s)
	}
	must(t, n.Close(t.Context()))
	info, err := os.Stat(files[0])
	must(t, err)
	must(t, os.Truncate(files[0], info.Size()-5))               // inside its last chunk
	must(t, os.WriteFile(files[1], []byte("no header"), 0o600)) // damaged
	must(t, os.Remove(files[2]))
	must(t, os.Mkdir(files[2], 0o700)) // not even a file
	_, cut := openNode(t, nodeConfig(dir))
	got := map[string]recorder.Interrupted{}
	for _, i := range cut {
		got[filepath.Base(i.File)] = i
	}
	if len(got) != 4 {
		t.Fatalf("got %d parts, want all 4: %+v", len(got), cut)
	}
	torn := got[filepath.Base(files[0])]
	if torn.Seq != starts+1 || torn.Torn == 0 || torn.Fault != "" {
		t.Errorf("torn: got %+v, want seq %d", torn, starts+1)
	}
	if info, err = os.Stat(files[0]); err != nil || info.Size() != torn.Bytes {
		t.Errorf("the torn file has %d bytes, want %d", info.Size(), torn.Bytes)
	}
	for k, i := range []int{1, 2} {
		d := got[filepath.Base(files[i])]
		if d.Fault == "" || d.Session != sessions[i] {
			t.Errorf("damaged file %d: got %+v, want its session and a fault", k, d)
		}
	}
	if raw, err := os.ReadFile(files[1]); err != nil || string(raw) != "no header" {
		t.Errorf("recovery touched a damaged file: %q %v", raw, err)
	}
	if good := got[filepath.Base(files[3])]; good.Seq != starts+2 || good.Fault != "" {
		t.Errorf("good: got %+v, want seq %d", good, starts+2)
	}
}

func TestHowAPartWasClosedCanBeReadForALogThatMissedIt(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	s := id.NewSession()
	r := create(t, n, recorder.PartConfig{Session: s})
	if _, _, err := n.Ended(s, 0, r.Started()); !errors.Is(err, recorder.ErrOpen) {
		t.Errorf("while it runs: got %v, want ErrOpen", err)
	}
	want, err := r.Close(t.Context(), "exit")
	must(t, err)
	got, reason, err := n.Ended(s, 0, r.Started())
	if err != nil || got != want || reason != "exit" {
		t.Errorf("got %+v %q %v, want %+v exit", got, reason, err, want)
	}
	if _, _, err := n.Ended(id.NewSession(), 0, r.Started()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a part that is not there: got %v", err)
	}
}

func TestFilesThatNeverBecameDurableAreRemoved(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, format.FileName(id.NewSession(), 0)+startedSuffix)
	must(t, os.WriteFile(name, []byte("half a header"), 0o600))
	openNode(t, nodeConfig(dir))
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}
