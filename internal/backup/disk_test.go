package backup

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/errkind"
)

// disk mounts a file system of a size at the place that backups go to.
func (h *house) disk(size int) {
	h.t.Helper()
	must(h.t, os.Mkdir(h.to, 0o700))
	if err := unix.Mount("tmpfs", h.to, "tmpfs", 0, fmt.Sprintf("mode=0700,size=%d", size)); err != nil {
		h.t.Fatalf("a small disk: %v", err)
	}
	h.t.Cleanup(func() { unix.Unmount(h.to, unix.MNT_DETACH) })
}

func (h *house) remount(flags uintptr, options string) {
	h.t.Helper()
	must(h.t, unix.Mount("tmpfs", h.to, "tmpfs", unix.MS_REMOUNT|flags, options))
}

func (h *house) free() int64 {
	h.t.Helper()
	var st unix.Statfs_t
	must(h.t, unix.Statfs(h.to, &st))
	return int64(st.Bavail) * st.Bsize
}

// noise does not compress.
func noise(size int) string {
	raw := make([]byte, size)
	rand.Read(raw)
	return string(raw)
}

func TestAFullBackupDiskLeavesEarlierSetsAndNoPartOfTheNewOne(t *testing.T) {
	for what, fill := range map[string]func(h *house){
		"while a closed recording is copied":  func(h *house) { _, end := h.record(noise(3 << 20)); end() },
		"while a running recording is copied": func(h *house) { h.record(noise(3 << 20)) },
		"before anything is written": func(h *house) {
			must(h.t, os.WriteFile(filepath.Join(h.to, "other"), make([]byte, h.free()), 0o600))
		},
		"while the keys are sealed": func(h *house) {
			must(h.t, os.WriteFile(h.data("keys", "noise.key"), []byte(noise(3<<20)), 0o600))
		},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t)
			h.disk(2 << 20)
			h.make(9)
			before := h.free()
			fill(h)
			_, err := Make(t.Context(), h.Config, Gateway, Options{To: h.to, Keep: 9})
			k, ok := errkind.Of(err)
			if !ok || !strings.Contains(k.Text, "no space left on device") || !strings.Contains(k.Hint, "ree space") {
				t.Errorf("got %v, want a full disk and the next step", err)
			}
			left, _ := filepath.Glob(filepath.Join(h.to, "*", setsDir, "*"+partSuffix))
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			os.Remove(filepath.Join(h.to, "other"))
			if now := h.free(); now < before-64<<10 {
				t.Errorf("%d bytes are free after the failure, %d were before it", now, before)
			}
			h.wantWhole()
			h.remount(0, "size=16m")
			h.make(9)
			h.wantWhole()
			_, err = h.restore(h.ids)
			must(t, err)
		})
	}
}

func TestAReadOnlyBackupDirectoryIsNamedWithTheNextStep(t *testing.T) {
	h := newHouse(t)
	h.disk(8 << 20)
	h.make(9)
	h.remount(unix.MS_RDONLY, "")
	for _, k := range []Kind{Gateway, Signer} {
		_, err := Make(t.Context(), h.Config, k, Options{To: h.to, Keep: 9})
		got, ok := errkind.Of(err)
		if !ok || !strings.Contains(got.Text, h.to) || !strings.Contains(got.Hint, "mounted read-only") {
			t.Errorf("%s: got %v, want the directory named", k, err)
		}
	}
	h.wantWhole()
	if _, err := h.restore(h.ids); err != nil {
		t.Errorf("a restore from it: %v", err)
	}
	h.remount(0, "")
	h.make(9)
	h.wantWhole()
}

// After the disk is unmounted, the backup could go on below the mount point. The set would lack only its sealed files.
func TestABackupDiskThatIsUnmountedInTheMiddleFailsTheBackup(t *testing.T) {
	h := newHouse(t)
	h.record("running") // its copy lies in the set, whose directory would be made anew
	h.disk(8 << 20)
	away := func(doing string, _, _ int) {
		if doing == "log" { // the recordings are copied next
			must(t, unix.Unmount(h.to, unix.MNT_DETACH))
		}
	}
	r, err := Make(t.Context(), h.Config, Gateway, Options{To: h.to, Keep: 9, Progress: away})
	if err == nil || !strings.Contains(err.Error(), "unmounted") {
		t.Errorf("got %+v, %v, want a failure", r, err)
	}
	if _, err := Open(h.to, Gateway, ""); errkind.KindOf(err) != errkind.NotFound {
		t.Errorf("got %v, want no set", err)
	}
}
