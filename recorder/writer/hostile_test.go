package writer

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/reader"
)

// A device says of one paste that every second byte was shown. Whatever it says, the record must be one that its
// readers take.
func TestVerdictsOnEverySecondByteLeaveARecordThatVerifies(t *testing.T) {
	for name, judge := range map[string]func(r *Recording, n uint64){
		"in order": func(r *Recording, n uint64) {
			for at := range n {
				r.Verdict(0, at, 1, at%2 == 0)
			}
		},
		"skipping": func(r *Recording, n uint64) {
			for at := uint64(1); at < n; at += 2 {
				r.Verdict(0, at, 1, false)
			}
		},
		"backwards": func(r *Recording, n uint64) {
			for at := n - 1; at > 1; at -= 2 {
				r.Verdict(0, at, 1, false)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), id.NewSession()
			n, _ := openNode(t, nodeConfig(dir))
			r := create(t, n, recorder.PartConfig{Session: s})
			paste := bytes.Repeat([]byte("ab"), 100<<10)
			must(t, r.Input(t.Context(), 0, 0, paste))
			began := time.Now()
			judge(r, uint64(len(paste)))
			t.Logf("%d verdicts took %s", len(paste), time.Since(began))
			_, err := r.Close(t.Context(), "exit")
			must(t, err)
			rkName, skName := format.SlotNames(s, 0)
			rk, sk := unlock(t, dir, rkName, site().reader), unlock(t, dir, skName, site().officer)
			raw, err := os.ReadFile(filepath.Join(dir, r.File()))
			must(t, err)
			rep, err := reader.Verify(t.Context(), bytes.NewReader(raw), int64(len(raw)),
				reader.VerifyOptions{File: r.File(), RK: &rk, SK: &sk})
			must(t, err)
			if got := rep.Hidden.Bytes + r.Progress().Totals.Revealed; got != uint64(len(paste)) {
				t.Errorf("hidden and shown: got %d bytes, want %d", got, len(paste))
			}
		})
	}
}

// The least time is a promise of the budget and holds on the slowest machine too.
func TestADeviceThatReportsWithoutEndIsSlowedDown(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	cfg.Burst, cfg.Rate = 16<<10, 256<<10
	n, _ := openNode(t, cfg)
	r := create(t, n, recorder.PartConfig{})
	began := time.Now()
	for range 36 {
		must(t, r.Note(format.Note{Kind: "device", Text: strings.Repeat("x", maxText)}))
	}
	if took, least := time.Since(began), 450*time.Millisecond; took < least { // 144 KiB, less the burst, at 256 KiB/s
		t.Errorf("got %s for 144 KiB of notes, want %s at least", took, least)
	}
}

// TestASlowedSessionIsToldOnce: at the first wait, and why.
func TestASlowedSessionIsToldOnce(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	cfg.Burst, cfg.Rate = 64<<10, 256<<10
	n, _ := openNode(t, cfg)
	r := create(t, n, recorder.PartConfig{})
	piece := noise(4, 32<<10)
	must(t, r.Output(t.Context(), 0, format.StreamOut, piece))
	select {
	case text := <-r.Slowed():
		t.Errorf("within what goes at full speed: %q", text)
	default:
	}
	for range 4 {
		must(t, r.Output(t.Context(), 0, format.StreamOut, piece))
	}
	want := "this session goes on at 256 KiB a second: at full speed one may record 64 KiB"
	if text := <-r.Slowed(); text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	select {
	case text := <-r.Slowed():
		t.Errorf("told again: %q", text)
	default:
	}
}
