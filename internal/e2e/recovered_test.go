package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/writer"
)

// TestWhatWasSyncedIsRecoveredAndWhatWasNotIsNowhere holds a sync up: what waits for it is neither on the device nor on
// the screen, and the journal as the last complete sync left it gives back what came before, and not what waits.
func TestWhatWasSyncedIsRecoveredAndWhatWasNotIsNowhere(t *testing.T) {
	if !mustTrace(t) {
		return
	}
	q := quietSession(t)
	before := copyRecordings(t, q.d) // containers as a power cut may leave them: without what only the journal holds for sure
	tr := testenv.Attach(t, q.d.GatewayPID, "-e", "trace=pwrite64,fdatasync", "-P", q.journal)
	q.typeKey(t, "k")
	q.print(t, "K")
	tr.Stop()
	slow := testenv.Attach(t, q.d.GatewayPID, "-e", "trace=pwrite64,fdatasync", "-P", q.journal, "-e", "inject=fdatasync:delay_enter=2500000")
	q.tty.WriteString("l")
	q.tap.WriteString("L")
	var unsynced testenv.Call
	for end := time.Now().Add(time.Minute); unsynced.Name == ""; time.Sleep(5 * time.Millisecond) {
		for _, c := range slow.Calls(t) {
			if c.Name == "pwrite64" && c.Exit > 0 {
				unsynced = c
				break
			}
		}
		if time.Now().After(end) {
			t.Fatal("the journal is not written")
		}
	}
	journal, err := os.ReadFile(q.journal)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // a byte that did not wait would be there long since
	if got := q.received(); !strings.HasSuffix(got, "k") {
		t.Errorf("the device received %q while the sync was on its way, want nothing after k", got)
	}
	if got := q.out.text(); !strings.HasSuffix(got, "K") {
		t.Errorf("the technician was shown %q while the sync was on its way, want nothing after K", got)
	}
	forget(t, journal, unsynced)
	if err := os.WriteFile(filepath.Join(before, "journal"), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	got := recovered(t, q.d, before)
	if !bytes.HasSuffix(got.Typed, []byte("k")) || !bytes.HasSuffix(got.Shown, []byte("K")) {
		t.Errorf("recovered: typed %q, shown %q; want them to end with k and K, which were acknowledged", got.Typed, got.Shown)
	}
	q.await(t, "received by the device once the sync was done", q.received, "l") // so it had been on its way
	q.await(t, "shown to the technician once the sync was done", q.out.text, "L")
}

// copyRecordings copies the directory but for journal and ballast.
func copyRecordings(t *testing.T, d *testenv.Demo) string {
	t.Helper()
	to := t.TempDir()
	from := filepath.Join(d.DataDir, "recordings")
	err := files.Walk(from, func(rel string) error {
		if filepath.Ext(rel) == "" {
			return nil
		}
		raw, err := os.ReadFile(filepath.Join(from, rel))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(to, filepath.Dir(rel)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), raw, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// forget puts zeros where a batch was written that no sync has confirmed, and where later ones would be.
func forget(t *testing.T, journal []byte, batch testenv.Call) {
	t.Helper()
	f := strings.Split(batch.Args, ", ")
	at, err := strconv.Atoi(strings.TrimSpace(f[len(f)-1]))
	if err != nil || at <= 0 || at+batch.Result > len(journal) {
		t.Fatalf("the batch's place is not in %q", batch.Args)
	}
	half := len(journal) / 2
	clear(journal[at : at-at%half+half])
}

// recovered opens a copy of the recordings as a gateway that starts does, and reads what there is of the newest.
func recovered(t *testing.T, d *testenv.Demo, dir string) testenv.Kept {
	t.Helper()
	spare, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	n, cut, err := writer.OpenNode(context.Background(), writer.NodeConfig{Dir: dir, Key: key, LogOrigin: "recovered.test",
		Readers: []age.Recipient{spare.Recipient()}, Unsealers: []age.Recipient{spare.Recipient()}, JournalBytes: info.Size()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(context.Background())
	if len(cut) != 1 {
		t.Fatalf("got %d recordings that are cut, want the one session", len(cut))
	}
	k, err := testenv.Keep(filepath.Join(dir, cut[0].File), d.Identities["reader"], d.Identities["unsealer"])
	if err != nil {
		t.Fatal(err)
	}
	return k
}
