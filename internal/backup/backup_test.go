package backup

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func eventBody(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := ledger.EventBody{Fields: map[string]string{"n": text}}.Marshal()
	must(t, err)
	return raw
}

func same(t testing.TB, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	must(t, err)
	y, err := os.ReadFile(b)
	if err != nil || !bytes.Equal(x, y) {
		t.Errorf("%s and %s differ: %v", a, b, err)
	}
}

func TestARestoreGivesBackEverythingButSignInsAndTakesTheLogFromItsCopy(t *testing.T) {
	h := newHouse(t)
	closed, end := h.record("closed")
	end()
	open, end := h.record("open")
	h.grow(5)
	g, s := h.make(3)
	h.grow(3)
	end()
	h.stop()
	data, err := h.restore(h.ids)
	must(t, err)
	for _, name := range []string{"keys/noise.key", "keys/record.key", "signer/keys/root.key", "signer/keys/log.key",
		"signer/bundle.json", "signer/state/policy.json",
		"idp/users.json", "recordings/" + closed, "signer/log/log.data"} {
		same(t, h.data(name), filepath.Join(data, name))
	}
	if info, err := os.Stat(filepath.Join(data, "recordings", open)); err != nil || info.Size() == 0 {
		t.Errorf("the recording that ran: %v", err)
	}
	if g.Running != 1 || g.LogSize != s.LogSize || g.LogSize != 6 {
		t.Errorf("got %+v and %+v", g, s)
	}
	rows(t, filepath.Join(data, "gateway.db"))
	key, err := signer.LogKey(filepath.Join(data, "signer"))
	must(t, err)
	if head, err := ledger.Check(filepath.Join(data, "signer", "log"), key); err != nil || head.Size != 9 {
		t.Errorf("the log: got %d entries, %v, want 9", head.Size, err)
	}
	if r, err := signer.ReadRestored(data); err != nil || r == nil || len(r.Checkpoint) == 0 {
		t.Errorf("no note of the restore: %+v, %v", r, err)
	}
}

func rows(t testing.TB, path string) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	must(t, err)
	defer db.Close()
	if _, err := db.APIToken(t.Context(), "t-1"); err != nil {
		t.Errorf("the API token: %v", err)
	}
	if all, err := db.WebSessionsOf(t.Context(),
		id.Principal{Issuer: "https://idp.test", Subject: "ada"}); err != nil ||
		len(all) != 0 {
		t.Errorf("got %d sign-ins, %v: a restore would undo sign-outs", len(all), err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Contains(raw, []byte("SECRET-ID-TOKEN")) {
		t.Errorf("an id token is left in the file (%v)", err)
	}
}

func TestOnlyNewRecordingsAreCopiedAndOldSetsAreRemoved(t *testing.T) {
	h := newHouse(t)
	_, end := h.record("one")
	if g, _ := h.make(2); g.Copied != 3 || g.Running != 1 {
		t.Errorf("first: got %+v", g)
	}
	end()
	if g, _ := h.make(2); g.Copied != 1 || g.Kept != 2 || g.Running != 0 {
		t.Errorf("once it is closed: got %+v", g)
	}
	if g, _ := h.make(2); g.Copied != 0 || g.Kept != 3 {
		t.Errorf("nothing new: got %+v", g)
	}
	root, err := os.OpenRoot(archiveDir(h.to, Gateway))
	must(t, err)
	defer root.Close()
	all, err := sets(root)
	if err != nil || len(all) != 2 {
		t.Errorf("got sets %v, %v, want 2", all, err)
	}
	for _, set := range all {
		s, err := Open(h.to, Gateway, set)
		must(t, err)
		if found, err := s.Check(t.Context(), h.ids, nil); err != nil || len(found) > 0 {
			t.Errorf("%s: %v, %v", set, found, err)
		}
		s.Close()
	}
}

func TestAnInterruptedBackupLeavesNoSet(t *testing.T) {
	h := newHouse(t)
	_, end := h.record("one")
	end()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Make(ctx, h.Config, Gateway, Options{To: h.to, Progress: func(doing string, _, _ int) {
		if doing == "recordings" {
			cancel()
		}
	}})
	if err == nil {
		t.Fatal("it was not interrupted")
	}
	if _, err := Open(h.to, Gateway, ""); errkind.KindOf(err) != errkind.NotFound {
		t.Errorf("got %v, want no complete set", err)
	}
	h.make(1)
	left, _ := filepath.Glob(filepath.Join(archiveDir(h.to, Gateway), setsDir, "*"+partSuffix))
	if temp, _ := filepath.Glob(h.data(tempPrefix + "*")); len(left)+len(temp) > 0 {
		t.Errorf("left behind: %v %v", left, temp)
	}
}

func TestAReadersKeyIsRefusedAsABackupRecipient(t *testing.T) {
	h := newHouse(t)
	for _, shared := range []string{"reader", "officer"} {
		h.Backup.Recipients = []string{h.path("backup.age"), h.path(shared + ".age")}
		_, err := Make(t.Context(), h.Config, Signer, Options{To: h.to})
		if errkind.KindOf(err) != errkind.Usage || !strings.Contains(err.Error(), shared) {
			t.Errorf("%s: got %v", shared, err)
		}
	}
	classic, err := age.GenerateX25519Identity()
	must(t, err)
	hybrid, err := age.GenerateHybridIdentity()
	must(t, err)
	for secret, public := range map[string]string{classic.String(): classic.Recipient().String(),
		hybrid.String(): hybrid.Recipient().String()} {
		must(t, os.WriteFile(h.data("keys", "archive.txt"), []byte(secret+"\n"), 0o600))
		must(t, os.WriteFile(h.path("own.age"), []byte(public+"\n"), 0o600))
		h.Backup.Recipients = []string{h.path("own.age")}
		if _, err := Recipients(h.Config); errkind.KindOf(err) != errkind.Usage {
			t.Errorf("the archive's own %.12s…: got %v", public, err)
		}
	}
	h.Backup.Recipients = nil
	if _, err := Recipients(h.Config); errkind.KindOf(err) != errkind.Usage {
		t.Errorf("no recipient: got %v", err)
	}
	if _, err := os.Stat(h.to); err == nil {
		t.Error("something was written")
	}
}
