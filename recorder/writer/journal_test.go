package writer

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
)

// copied makes a directory with the files of another, as a power cut may leave them: what only the journal has
// is gone from the session files.
func copied(t *testing.T, from string, journal []byte, sizes map[string]int64) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, format.JournalName), journal, 0o600))
	must(t, files.Walk(from, func(rel string) error {
		if filepath.Ext(rel) == "" {
			return nil
		}
		raw, err := os.ReadFile(filepath.Join(from, rel))
		must(t, err)
		if n, ok := sizes[rel]; ok {
			raw = raw[:n]
		}
		must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(rel)), 0o700))
		return os.WriteFile(filepath.Join(dir, rel), raw, 0o600)
	}))
	return dir
}

// TestAJournalCutAnywhereKeepsWhatWasSyncedBefore cuts the journal at every byte behind a sync and demands that
// nothing that an earlier sync covered is missing.
func TestAJournalCutAnywhereKeepsWhatWasSyncedBefore(t *testing.T) {
	disk := &trouble{gone: true}
	cfg := nodeConfig(t.TempDir())
	cfg.layer = disk
	n, _ := openNode(t, cfg)
	a, b := id.NewSession(), id.NewSession()
	ra, keysA := createKnown(t, n, a)
	rb, keysB := createKnown(t, n, b)
	headers := map[string]int64{ra.File(): ra.Progress().Bytes, rb.File(): rb.Progress().Bytes}
	started(t, ra)
	started(t, rb)
	type ack struct {
		pos  int64
		a, b int
	}
	acks := []ack{{format.HalfHeadLen, 0, 0}}
	text := noise(9, 1000)
	for i := range 3 {
		last := acks[len(acks)-1]
		must(t, ra.Output(t.Context(), 0, format.StreamOut, text[last.a:last.a+20+i]))
		pos := journalPos(n)
		acks = append(acks, ack{pos, last.a + 20 + i, last.b})
		must(t, rb.Output(t.Context(), 0, format.StreamOut, text[last.b:last.b+10]))
		acks = append(acks, ack{journalPos(n), last.a + 20 + i, last.b + 10})
	}
	whole, err := os.ReadFile(filepath.Join(cfg.Dir, format.JournalName))
	must(t, err)
	const half = 64 << 10 // of the smaller journal that the bytes are put into
	end := acks[len(acks)-1].pos
	for cut := int64(0); cut <= end; cut += step(cut, end) {
		journal := make([]byte, 2*half)
		copy(journal, whole[:cut])
		dir := copied(t, cfg.Dir, journal, headers)
		replayDir(t, dir)
		var want ack
		for _, k := range acks {
			if k.pos <= cut {
				want = k
			}
		}
		out := streamID{0, format.StreamOut}
		gotA, gotB := readWith(t, dir, a, 0, keysA).out[out], readWith(t, dir, b, 0, keysB).out[out]
		if len(gotA) < want.a || len(gotB) < want.b || !bytes.HasPrefix(text, gotA) || !bytes.HasPrefix(text, gotB) {
			t.Fatalf("cut at %d: %d and %d bytes, want at least %d and %d", cut, len(gotA), len(gotB), want.a, want.b)
		}
		must(t, os.RemoveAll(dir))
	}
}

// createKnown begins a recording whose keys the test keeps.
func createKnown(t *testing.T, n *Node, s id.Session) (*Recording, secrets) {
	t.Helper()
	k := secrets{[32]byte(noise(uint64(s[0]), 32)), [32]byte(noise(uint64(s[1]), 32))}
	kept := k
	r, err := n.create(t.Context(), recorder.PartConfig{Session: s}, &k)
	must(t, err)
	return r, kept
}

// step goes byte by byte through the entries, which lie at the beginning of their blocks, and faster through the
// zeros behind them.
func step(cut, end int64) int64 {
	if at := cut % format.JournalBlock; at < 260 || cut >= end {
		return 1
	} else if at > format.JournalBlock-40 {
		return format.JournalBlock - at
	}
	return 997
}

// replayDir recovers a directory without starting a node.
func replayDir(t *testing.T, dir string) []recorder.Interrupted {
	t.Helper()
	cfg := nodeConfig(dir)
	cfg.layer = &trouble{gone: true}
	cfg = cfg.withDefaults()
	n := &Node{cfg: cfg, vol: &volume{dir: dir, layer: cfg.layer, log: cfg.Log}}
	r, err := n.recover(t.Context())
	must(t, err)
	return r.cut
}

// synced records some output and gives the length of the container before it, and the journal with it.
func synced(t *testing.T, cfg NodeConfig, out []byte) (r *Recording, header int64, journal []byte) {
	t.Helper()
	n, _ := openNode(t, cfg)
	r = create(t, n, recorder.PartConfig{Session: id.NewSession()})
	header = r.Progress().Bytes
	must(t, r.Output(t.Context(), 0, format.StreamOut, out))
	journal, err := os.ReadFile(filepath.Join(cfg.Dir, format.JournalName))
	must(t, err)
	return r, header, journal
}

// journalPos is where the next batch goes. It may be read when nothing is under way.
func journalPos(n *Node) int64 { return n.jr.pos }

func TestRecoveryDoneTwiceIsTheSame(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	cfg.layer = &trouble{gone: true}
	r, header, journal := synced(t, cfg, noise(1, 100<<10))
	dir := copied(t, cfg.Dir, journal, map[string]int64{r.File(): header})
	first := replayDir(t, dir)
	raw, err := os.ReadFile(filepath.Join(dir, r.File()))
	must(t, err)
	second := replayDir(t, dir)
	again, err := os.ReadFile(filepath.Join(dir, r.File()))
	must(t, err)
	if len(first) != 1 || len(second) != 1 || first[0] != second[0] || !bytes.Equal(raw, again) {
		t.Errorf("first %+v, second %+v, files equal: %v", first, second, bytes.Equal(raw, again))
	}
}

// TestWhatNoSyncConfirmedIsCutOff: after a power cut a file can be longer than what the journal confirms, with
// anything in it.
func TestWhatNoSyncConfirmedIsCutOff(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	cfg.layer = &trouble{gone: true}
	r, _, journal := synced(t, cfg, []byte("synced"))
	must(t, r.Output(t.Context(), 0, format.StreamOut, []byte("not synced")))
	dir := copied(t, cfg.Dir, journal, nil)
	path := filepath.Join(dir, r.File())
	raw, err := os.ReadFile(path)
	must(t, err)
	clear(raw[len(raw)-40:]) // the chunk's size arrived, its bytes did not
	must(t, os.WriteFile(path, raw, 0o600))
	cut := replayDir(t, dir)
	got := string(readBack(t, dir, r.session, 0).out[streamID{0, format.StreamOut}])
	if got != "synced" || len(cut) != 1 || cut[0].Seq != starts+1 {
		t.Errorf("got %q %+v, want the synced bytes only", got, cut)
	}
}

func TestRecoveryBringsNoDeletedRecordingBack(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	cfg.layer = &trouble{gone: true}
	r, _, journal := synced(t, cfg, []byte("text"))
	dir := copied(t, cfg.Dir, journal, nil)
	must(t, os.Remove(filepath.Join(dir, r.File())))
	if cut := replayDir(t, dir); len(cut) != 0 {
		t.Errorf("got %+v, want nothing", cut)
	}
	if _, err := os.Stat(filepath.Join(dir, r.File())); err == nil {
		t.Error("the file is back")
	}
}

// TestTheJournalComesRoundManyTimes fills the journal several times over, and then loses all session files that
// were not checkpointed.
func TestTheJournalComesRoundManyTimes(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	s := id.NewSession()
	r := create(t, n, recorder.PartConfig{Session: s, Rate: -1})
	p := noise(2, 200<<10)
	var want []byte
	for len(want) < 3*minJournal {
		must(t, r.Output(t.Context(), 0, format.StreamOut, p))
		want = append(want, p...)
	}
	_, err := r.Close(t.Context(), "exit")
	must(t, err)
	must(t, n.Close(context.Background()))
	_, cut := openNode(t, nodeConfig(dir))
	c := readBack(t, dir, s, 0)
	if out := c.out[streamID{0, format.StreamOut}]; len(cut) != 0 || c.close == nil || !bytes.Equal(out, want) {
		t.Errorf("got %d bytes, closed %v, %+v; want %d", len(out), c.close != nil, cut, len(want))
	}
}

func TestAJournalOfAnotherSizeIsReplayedAndMadeAnew(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	cfg.layer = &trouble{gone: true}
	r, header, journal := synced(t, cfg, []byte("text"))
	dir := copied(t, cfg.Dir, journal, map[string]int64{r.File(): header})
	other := nodeConfig(dir)
	other.JournalBytes = 2 * minJournal
	_, cut := openNode(t, other)
	if got := string(readBack(t, dir, r.session, 0).out[streamID{0, format.StreamOut}]); got != "text" || len(cut) != 1 {
		t.Errorf("got %q %+v", got, cut)
	}
	info, err := os.Stat(filepath.Join(dir, format.JournalName))
	if err != nil || info.Size() != 2*minJournal {
		t.Errorf("journal: %v %v, want %d bytes", info, err, 2*minJournal)
	}
}

func FuzzReadJournal(f *testing.F) {
	j := &journal{half: 8192, epoch: 5}
	j.begin()
	at := j.entry()
	j.buf = append(j.buf, "chunk bytes"...)
	j.fill(at, id.Session{1}, 0, 300)
	j.pad()
	f.Add(append(j.buf, make([]byte, 16384-len(j.buf))...))
	f.Add(make([]byte, 16384))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) < 2*format.HalfHeadLen {
			return
		}
		parts, _, err := readJournal(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err) // damage is an end, not a fault
		}
		for _, extents := range parts {
			for _, e := range extents {
				if e.n < 0 || e.from < format.HalfHeadLen || e.from+int64(e.n) > int64(len(raw)) {
					t.Fatalf("extent %+v of a journal of %d bytes", e, len(raw))
				}
			}
		}
	})
}
