package backup

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
)

func TestARestoreGoesOnWithoutDamagedRecordingsOnlyIfItIsTold(t *testing.T) {
	h := newHouse(t)
	var files []string
	for _, text := range []string{"whole", "flipped", "lost", "without its key"} {
		file, end := h.record(text)
		end()
		files = append(files, filepath.Join(recordingsDir, file))
	}
	running, _ := h.record("running")
	g, _ := h.make(1)
	key := strings.TrimSuffix(files[3], ".srec") + ".rk.age"
	open := filepath.Join(setsDir, g.Set, openDir, recordingsDir, running)
	archive := archiveDir(h.to, Gateway)
	must(t, flip(filepath.Join(archive, files[1])))
	must(t, os.Remove(filepath.Join(archive, files[2])))
	must(t, flip(filepath.Join(archive, key)))
	must(t, half(filepath.Join(archive, open)))

	data, err := h.restore(h.ids)
	if k, ok := errkind.Of(err); !ok || !strings.Contains(k.Hint, "--without-damaged-recordings") {
		t.Errorf("without being told: got %v, want a refusal that names the option", err)
	}
	nothingIn(t, data)

	out, data, err := h.restoreTo(Target{WithoutDamaged: true}, h.ids)
	must(t, err)
	want := []string{files[1], files[2], key, open}
	var got []string
	for _, p := range out[0].LeftOut {
		got = append(got, p.Path)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(out[1].LeftOut) > 0 {
		t.Errorf("left out: got %q and %v, want %q of the gateway", got, out[1].LeftOut, want)
	}
	same(t, h.data(files[0]), filepath.Join(data, files[0]))
	same(t, h.data(files[3]), filepath.Join(data, files[3]))
	for _, name := range []string{files[1], files[2], key, filepath.Join(recordingsDir, running)} {
		if _, err := os.Stat(filepath.Join(data, name)); !os.IsNotExist(err) {
			t.Errorf("%s is in place (%v)", name, err)
		}
	}
	rows(t, filepath.Join(data, "gateway.db"))
	if r, err := signer.ReadRestored(data); err != nil || len(r.LeftOut) != len(want) ||
		!slices.Contains(r.LeftOut, filepath.Join(recordingsDir, running)) {
		t.Errorf("noted: got %+v, %v", r, err)
	}
}

func TestDamagedKeysOrRowsAreNeverLeftOut(t *testing.T) {
	h := newHouse(t)
	g, s := h.make(1)
	for _, path := range []string{filepath.Join(string(Gateway), setsDir, g.Set, databaseName),
		filepath.Join(string(Gateway), setsDir, g.Set, secretsName),
		filepath.Join(string(Signer), setsDir, s.Set, secretsName)} {
		path = filepath.Join(h.to, path)
		must(t, flip(path))
		_, data, err := h.restoreTo(Target{WithoutDamaged: true}, h.ids)
		if k, ok := errkind.Of(err); !ok || strings.Contains(k.Hint, "--without-damaged-recordings") ||
			!strings.Contains(k.Text, filepath.Base(path)) {
			t.Errorf("%s: got %v, want a refusal", path, err)
		}
		nothingIn(t, data)
		must(t, flip(path))
	}
}

func TestADirectoryThatIsNotEmptyIsRefusedWithTheCommandThatEmptiesIt(t *testing.T) {
	h := newHouse(t)
	h.make(1)
	c := *h.Config
	c.Site.DataDir = filepath.Join(t.TempDir(), "data")
	for _, name := range []string{"keys", restoring, "lost+found"} {
		// keys is of a start before the restore, restoring of an interrupted restore.
		must(t, os.MkdirAll(filepath.Join(c.Site.DataDir, name), 0o700))
	}
	for _, name := range []string{"gateway.db", "keys/noise.key"} {
		must(t, os.WriteFile(filepath.Join(c.Site.DataDir, name), nil, 0o600))
	}
	s, err := Open(h.to, Gateway, "")
	must(t, err)
	defer s.Close()
	_, err = Target{Config: &c}.Restore(t.Context(), h.ids, nil, s)
	k, ok := errkind.Of(err)
	if !ok || k.Kind != errkind.Conflict {
		t.Fatalf("got %v", err)
	}
	_, command, _ := strings.Cut(k.Hint, "`")
	command, _, _ = strings.Cut(command, "`")
	shell(t, command)
	if _, err := (Target{Config: &c}).Restore(t.Context(), h.ids, nil, s); err != nil {
		t.Errorf("after %s: %v", command, err)
	}
	kept, err := filepath.Glob(c.Site.DataDir + ".before-*/keys/noise.key")
	if err != nil || len(kept) != 1 {
		t.Errorf("the old content is in %v, %v", kept, err)
	}
}

func shell(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "sh", "-ec", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", command, err, out)
	}
}
