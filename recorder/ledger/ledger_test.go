package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

const origin = "test/log"

func newKey(t testing.TB) (note.Signer, string) {
	t.Helper()
	secret, verifier, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return s, verifier
}

func newLog(t testing.TB, copies ...string) (*Log, string, note.Signer, string) {
	t.Helper()
	s, v := newKey(t)
	dir := filepath.Join(t.TempDir(), "log")
	l, err := Create(dir, origin, s, copies...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, dir, s, v
}

func entry(typ, text string, ref ...uint64) Entry {
	e := Entry{Body: []byte(text)}
	rand.Read(e.Nonce[:])
	e.Leaf = Leaf{Type: typ, Ref: ref, Commit: Commit(e.Nonce, e.Body)}
	return e
}

func add(t testing.TB, l *Log, e Entry) Receipt {
	t.Helper()
	r, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEveryEntryIsProvenInEveryTreeUpTo300(t *testing.T) {
	l, _, _, v := newLog(t)
	var heads []Checkpoint
	var leaves [][]byte
	heads = append(heads, l.Head())
	for i := range 300 {
		e := entry("viewed", fmt.Sprint(i))
		raw, _ := e.Leaf.Marshal()
		r := add(t, l, e)
		cp, err := ParseCheckpoint(r.Checkpoint.Note, v)
		if err != nil {
			t.Fatal(err)
		}
		heads, leaves = append(heads, cp), append(leaves, raw)
	}
	for n := 1; n <= 300; n++ {
		for i := range n {
			p, err := l.Prove(uint64(i), uint64(n))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(leaves[i], uint64(i), uint64(n), heads[n].Root, p); err != nil {
				t.Fatalf("entry %d in tree %d: %v", i, n, err)
			}
			if CheckInclusion(leaves[(i+1)%300], uint64(i), uint64(n), heads[n].Root, p) == nil {
				t.Fatalf("entry %d in tree %d: another leaf passes", i, n)
			}
		}
		for from := 1; from <= n; from++ {
			p, err := l.ProveConsistency(uint64(from), uint64(n))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(uint64(from), heads[from].Root, uint64(n), heads[n].Root, p); err != nil {
				t.Fatalf("from %d to %d: %v", from, n, err)
			}
			if CheckConsistency(uint64(from), heads[from-1].Root, uint64(n), heads[n].Root, p) == nil {
				t.Fatalf("from %d to %d: another old root passes", from, n)
			}
		}
	}
}

func TestWhoWaitsTogetherSharesOneCheckpoint(t *testing.T) {
	l, _, _, _ := newLog(t)
	const n = 64
	var wg sync.WaitGroup
	receipts := make([]Receipt, n)
	l.mu.Lock()
	l.writing = true // as if a batch were on its way to the disk
	l.mu.Unlock()
	for i := range n {
		wg.Go(func() { receipts[i], _ = l.Append(context.Background(), entry("viewed", fmt.Sprint(i))) })
	}
	for waiting := 0; waiting < n; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		waiting = len(l.queue)
		l.mu.Unlock()
	}
	l.write()
	wg.Wait()
	var at, sizes []uint64
	for _, r := range receipts {
		at, sizes = append(at, r.Index), append(sizes, r.Checkpoint.Size)
		if r.Index >= r.Checkpoint.Size {
			t.Errorf("entry %d is not in its checkpoint of size %d", r.Index, r.Checkpoint.Size)
		}
	}
	slices.Sort(at)
	if at = slices.Compact(at); len(at) != n || at[n-1] != n-1 {
		t.Errorf("got indexes %v, want 0 to %d, each once", at, n-1)
	}
	slices.Sort(sizes)
	if k := len(slices.Compact(sizes)); k != 1 {
		t.Errorf("got %d checkpoints for %d entries, want one", k, n)
	}
}

func TestALogHasOneWriter(t *testing.T) {
	_, dir, s, _ := newLog(t)
	if _, err := Open(dir, s); err == nil || !strings.Contains(err.Error(), "one writer") {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := Create(dir, origin, s); err == nil {
		t.Error("a log was begun anew over an old one")
	}
}

func TestWhatIsAppendedIsCheckedFirst(t *testing.T) {
	l, _, _, _ := newLog(t)
	bad := entry("viewed", "x")
	bad.Body = []byte("y")
	for name, e := range map[string]Entry{"a body other than committed to": bad,
		"an unknown type":         entry("made-up", "x"),
		"too many references":     entry("viewed", "x", make([]uint64, 17)...),
		"a body that is too long": entry("viewed", strings.Repeat("x", MaxBody+1))} {
		if _, err := l.Append(t.Context(), e); err == nil {
			t.Errorf("%s was appended", name)
		}
	}
	gone, cancel := context.WithCancelCause(t.Context())
	why := errors.New("gone")
	cancel(why)
	if _, err := l.Append(gone, entry("viewed", "x")); !errors.Is(err, why) {
		t.Errorf("got %v, want the caller's own cause", err)
	}
	if n := l.Head().Size; n != 0 {
		t.Errorf("got size %d, want 0", n)
	}
}

func TestAClosedLogTakesNothingAndReopensAsItWas(t *testing.T) {
	l, dir, s, _ := newLog(t)
	e := entry("open", "body")
	r := add(t, l, e)
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), e); err == nil {
		t.Error("a closed log took an entry")
	}
	again, err := Open(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if h := again.Head(); h.Size != 1 || h.Root != r.Checkpoint.Root || h.Origin != origin {
		t.Errorf("got %+v, want size 1", h)
	}
	leaf, nonce, body, err := again.Entry(0)
	if want, _ := e.Leaf.Marshal(); err != nil || string(leaf) != string(want) || nonce != e.Nonce ||
		string(body) != "body" {
		t.Errorf("got %x %x %q %v", leaf, nonce, body, err)
	}
	if _, _, _, err := again.Entry(1); err == nil {
		t.Error("entry 1 exists")
	}
}

func TestPublishedTilesLieWhereC2SPWantsThem(t *testing.T) {
	second := filepath.Join(t.TempDir(), "second")
	l, dir, _, v := newLog(t, second)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 40 {
				l.Append(context.Background(), entry("viewed", "x"))
			}
		})
	}
	wg.Wait()
	size := l.Head().Size
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, second} {
		for _, name := range []string{"checkpoint", "tile/0/000", "tile/0/001.p/64", "tile/1/000.p/1",
			"tile/entries/000", "tile/entries/001.p/64"} {
			if _, err := os.Stat(filepath.Join(d, name)); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Stat(filepath.Join(d, "tile/0/000.p")); err == nil {
			t.Error("partial tiles are kept beside the full one")
		}
	}
	c, err := OpenCopy(second, v)
	if err != nil {
		t.Fatal(err)
	}
	if c.Head.Size != size || c.Bodies {
		t.Errorf("got size %d, bodies %v; want %d leaves alone", c.Head.Size, c.Bodies, size)
	}
}

// BenchmarkAppend reports how long one caller waits for a durable, signed checkpoint.
func BenchmarkAppend(b *testing.B) {
	l, _, _, _ := newLog(b)
	var took []time.Duration
	for b.Loop() {
		t0 := time.Now()
		add(b, l, entry("viewed", strings.Repeat("x", 300)))
		took = append(took, time.Since(t0))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
}
