package bundle

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
)

// inTheWay are what whoever checks would wait for or read for ever.
var inTheWay = map[string]func(path string) error{
	"a pipe":              func(path string) error { return syscall.Mkfifo(path, 0o600) },
	"a link to a device":  func(path string) error { return os.Symlink("/dev/zero", path) },
	"a link to a pipe":    func(path string) error { return linkToPipe(path) },
	"a directory's place": func(path string) error { return os.Mkdir(path, 0o700) },
}

func linkToPipe(path string) error {
	if err := syscall.Mkfifo(path+".pipe", 0o600); err != nil {
		return err
	}
	return os.Symlink(path+".pipe", path)
}

// instead puts it where a file was.
func instead(t *testing.T, path string, put func(string) error) {
	t.Helper()
	os.Remove(path)
	if err := put(path); err != nil {
		t.Fatal(err)
	}
}

// promptly wants an error before anybody would have lost patience.
func promptly(t *testing.T, what string, check func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- check() }()
	select {
	case err := <-done:
		if err == nil {
			t.Errorf("%s was taken for evidence", what)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s: whoever checks waits for it", what)
	}
}

func TestWhatIsNoFileIsNotWaitedFor(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("hello\n"), 1)
	raw := h.export(r)
	name := format.FileName(r.SID, 0)
	rk, _ := format.SlotNames(r.SID, 0)
	for what, put := range inTheWay {
		in := func(file string) string { return what + " as " + file }
		path := filepath.Join(t.TempDir(), "b.bundle")
		instead(t, path, put)
		promptly(t, in("bundle"), func() error { _, err := Open(path); return err })
		promptly(t, in("recording alone"), func() error {
			_, err := VerifyRecording(t.Context(), path, Options{})
			return err
		})
		if IsRecording(path) {
			t.Errorf("%s is a recording", what)
		}
		for _, file := range []string{manifestName, historyName, name, rk} {
			dir := filepath.Join(t.TempDir(), "out")
			src := must(reads(raw))(t)
			if err := src.Unpack(dir); err != nil {
				t.Fatal(err)
			}
			instead(t, filepath.Join(dir, file), put)
			promptly(t, in(file+" of an unpacked bundle"), func() error {
				s, err := Open(dir)
				if err == nil {
					s.Close()
				}
				return err
			})
		}
		recordings := t.TempDir()
		if err := os.CopyFS(filepath.Join(recordings, "r"), os.DirFS(h.Recordings())); err != nil {
			t.Fatal(err)
		}
		there, err := files.Locate(filepath.Join(recordings, "r"), name, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		instead(t, there, put)
		promptly(t, in("recording of a census"), func() error {
			_, err := h.census(Options{LogDir: h.LogDir(), RecordingsDir: filepath.Join(recordings, "r")})
			return err
		})
		for _, file := range []string{"log.data", "checkpoint", "tile/entries/000.p/*"} {
			copied := h.CopyOf(file != "log.data")
			found, _ := filepath.Glob(filepath.Join(copied, filepath.FromSlash(file)))
			if len(found) == 0 {
				t.Fatalf("the copy has no %s", file)
			}
			for _, f := range found {
				instead(t, f, put)
			}
			promptly(t, in(file+" of a copy of the log"), func() error {
				_, err := h.census(Options{LogDir: copied})
				return err
			})
		}
	}
}
