package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
)

// A signer whose directory was lost must not start, and what it made would be in the way of the restore.
func TestARefusedSignerLeavesItsDirectoryEmptyForTheRestore(t *testing.T) {
	c := &config.Config{Identity: []config.Identity{{Name: "guests", Builtin: true}}}
	c.Site.URL, c.Site.DataDir = "https://access.test", t.TempDir()
	c.Signer.Socket, c.Signer.Dir = filepath.Join(t.TempDir(), "s.sock"), t.TempDir()
	c.Signer.GatewayUser = strconv.Itoa(os.Getuid())
	c.Ledger.Origin, c.Ledger.SecondCopy = "access.test/log", t.TempDir()
	if err := os.Chmod(c.Signer.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Ledger.SecondCopy, "checkpoint"), []byte("of before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenSigner(t.Context(), c, slog.New(slog.DiscardHandler))
	if errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("got %v, want the refusal that names the restore", err)
	}
	if left, err := os.ReadDir(c.Signer.Dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want an empty directory", left, err)
	}
}
