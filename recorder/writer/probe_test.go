package writer

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// TestADirectoryThatTakesNoFilesIsNoticedInSeconds breaks the directory in a way that stops root too: a file is in the
// place of the year's directory.
func TestADirectoryThatTakesNoFilesIsNoticedInSeconds(t *testing.T) {
	var said strings.Builder
	v := &volume{dir: t.TempDir(), layer: osLayer{}, log: slog.New(slog.NewTextHandler(&said, nil))}
	at := time.Date(2030, 12, 31, 23, 0, 0, 0, time.UTC)
	year := filepath.Join(v.dir, "2030")
	step := func(what string, after time.Duration, want bool) {
		t.Helper()
		at = at.Add(after)
		if err := v.writable(at); (err == nil) != want {
			t.Errorf("%s: got %v, want writable %v", what, err, want)
		}
	}
	step("at first", 0, true)
	must(t, os.WriteFile(year, nil, 0o600))
	step("broken, believed still", probeGoodFor-1, true)
	step("broken", 1, false)
	step("broken, looked at again", 2*probeBadFor, false)
	must(t, os.Remove(year))
	step("mended, believed still", probeBadFor-1, false)
	step("mended", 1, true)
	if n := strings.Count(said.String(), "cannot be written"); n != 1 ||
		strings.Count(said.String(), "written again") != 1 {
		t.Errorf("each change is logged once: got\n%s", said.String())
	}
	if left, _ := os.ReadDir(v.dir); len(left) != 0 {
		t.Errorf("the probe left %v", left)
	}
}

func TestTheProbeWritesWhereTheNextRecordingGoes(t *testing.T) {
	root := t.TempDir()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 5*3600)) // still the 1st in UTC
	for _, dir := range []string{"", "2030", "2030/01", "2030/01/01"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
		if got, err := nearest(root, now); err != nil || got != filepath.Join(root, dir) {
			t.Errorf("got %s, %v, want %s", got, err, dir)
		}
	}
	must(t, Probe(root, now))
	must(t, os.RemoveAll(filepath.Join(root, "2030", "01", "01")))
	must(t, os.WriteFile(filepath.Join(root, "2030", "01", "01"), nil, 0o600))
	if err := Probe(root, now); err == nil {
		t.Error("a file is in the place of the day's directory, and the probe succeeds")
	}
}

func TestNoSessionStartsWhereItCouldNotBeRecorded(t *testing.T) {
	cfg := nodeConfig(t.TempDir())
	n, _ := openNode(t, cfg)
	must(t, os.WriteFile(filepath.Join(cfg.Dir, time.Now().UTC().Format("2006")), nil, 0o600))
	err := n.Ready()
	e, ok := errkind.Of(err)
	if !ok || e.Kind != errkind.Unavailable || e.Hint == "" ||
		!strings.Contains(e.Text, "recordings cannot be written (not a directory)") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(e.Text, cfg.Dir) {
		t.Errorf("people who ask for a session read where the gateway keeps its files: %s", e.Text)
	}
}
