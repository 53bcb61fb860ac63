package signer

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestNobodyElseReadsTheSignersFiles(t *testing.T) {
	h := newHouse(t)
	if _, err := h.Open(t.Context(), h.request(tess, "press-1")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "keys", "state", "log"} {
		info, err := os.Stat(filepath.Join(h.dir, dir))
		if err != nil {
			t.Fatal(err)
		}
		if p := info.Mode().Perm(); p != 0o700 {
			t.Errorf("directory %q: got mode %04o, want 0700", dir, p)
		}
	}
	n := 0
	filepath.WalkDir(filepath.Join(h.dir, "keys"), func(path string, d fs.DirEntry, err error) error {
		if info, _ := d.Info(); err == nil && !d.IsDir() {
			n++
			if p := info.Mode().Perm(); p != 0o600 {
				t.Errorf("%s: got mode %04o, want 0600", path, p)
			}
		}
		return err
	})
	if n != 4 {
		t.Errorf("got %d key files, want 4", n)
	}
	if os.Getuid() != 0 {
		return // the modes above are all that an ordinary user can show
	}
	openUp(t, filepath.Dir(h.dir)) // so that the signer's own directory is what refuses
	for _, name := range []string{"keys/root.key", "keys/session-ca.key", "keys/log.key", "keys/site.key", "log/log.data", "state/policy.json"} {
		out, err := asNobody("cat", filepath.Join(h.dir, name))
		if err == nil || !strings.Contains(out, "Permission denied") {
			t.Errorf("another user reads %s: %q, %v", name, out, err)
		}
	}
	plain := filepath.Join(filepath.Dir(h.dir), "plain")
	os.WriteFile(plain, []byte("seen"), 0o644)
	if out, err := asNobody("cat", plain); err != nil || out != "seen" {
		t.Errorf("the other user reads nothing at all, so the test shows nothing: %q, %v", out, err)
	}
}

func openUp(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func asNobody(argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAKeyThatOthersMayReadIsRefused(t *testing.T) {
	h := newHouse(t)
	h.Close()
	path := filepath.Join(h.dir, "keys/log.key")
	os.Chmod(path, 0o640)
	if s, err := New(h.cfg); err == nil || !strings.Contains(err.Error(), "others may read") {
		if s != nil {
			s.Close()
		}
		t.Errorf("got %v, want a refusal", err)
	}
	os.Chmod(path, 0o600)
	h.cfg.Origin = "another/log"
	if s, err := New(h.cfg); err == nil || !strings.Contains(err.Error(), "keeps its name") {
		if s != nil {
			s.Close()
		}
		t.Errorf("got %v, want a refusal", err)
	}
	h.cfg.Origin = "test/log"
	h.start()
}

func TestKeysStayTheSame(t *testing.T) {
	h := newHouse(t)
	a, _ := h.Keys(t.Context())
	h.Close()
	h.start()
	b, _ := h.Keys(t.Context())
	if a.LogKey != b.LogKey || !bytes.Equal(a.Root.Marshal(), b.Root.Marshal()) || !bytes.Equal(a.SessionCA.Marshal(), b.SessionCA.Marshal()) {
		t.Error("a restart made other keys")
	}
}

func TestASignerApartTakesTheFirstGatewayForGood(t *testing.T) {
	h := newHouse(t)
	h.Close()
	h.cfg.NoiseKey, h.cfg.Dir = wire.Hash{}, filepath.Join(t.TempDir(), "apart")
	h.start()
	_, err := h.Bundle(t.Context())
	wantKind(t, "a bundle before the gateway is known", err, errkind.Unavailable)
	wantKind(t, "no key", h.Introduce(t.Context(), wire.Hash{}), errkind.Usage)
	own, other := wire.Sum([]byte("own")), wire.Sum([]byte("other"))
	for range 2 {
		if err := h.Introduce(t.Context(), own); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "another gateway", h.Introduce(t.Context(), other), errkind.Denied)
	h.Close()
	h.start() // a restart keeps it
	wantKind(t, "another gateway after a restart", h.Introduce(t.Context(), other), errkind.Denied)
	signed, err := h.Bundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := wire.ParseBundle(signed); err != nil || b.Gateway[0] != own || b.Serial != 1 {
		t.Errorf("got %+v, %v", b, err)
	}
}
