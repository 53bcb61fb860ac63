package signer

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func TestARestoredStateTakesRevocationsFromTheLog(t *testing.T) {
	h := newHouse(t)
	kept := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(kept, os.DirFS(filepath.Join(h.dir, "state"))); err != nil {
		t.Fatal(err)
	}
	one, two := wire.Fingerprint(hostKey("press-1")), wire.Fingerprint(hostKey("press-2"))
	for fp, state := range map[wire.Hash]string{one: wire.StateRevoked, two: wire.StateLocked} {
		if _, err := h.Restrict(t.Context(), fp, state, "test"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.RevokeToken(t.Context(), "robot", "test"); err != nil {
		t.Fatal(err)
	}
	newer, err := h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: policy}}, "again")
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	if err := os.RemoveAll(filepath.Join(h.dir, "state")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(h.dir, "state"), os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	h.start()
	if a, b := h.state.devices[one].State, h.state.devices[two].State; a != wire.StateRevoked || b != wire.StateLocked {
		t.Errorf("got %s and %s, want revoked and locked", a, b)
	}
	if _, err := h.Open(t.Context(), h.request(robot, "press-1")); errkind.KindOf(err) != errkind.Signin {
		t.Errorf("a revoked token: got %v", err)
	}
	if p, err := h.CurrentPolicy(t.Context()); err != nil || p.Newest != newer.Version {
		t.Errorf("the newest version that the log names: got %d, %v, want %d", p.Newest, err, newer.Version)
	}
	next, err := h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: policy}}, "once more")
	if err != nil || next.Version != newer.Version+1 {
		t.Errorf("got version %d, %v, want %d: a version that the log names is given again", next.Version, err,
			newer.Version+1)
	}
	if p, err := h.CurrentPolicy(t.Context()); err != nil || p.Newest != 0 {
		t.Errorf("after it was applied again: got %d, %v, want no newer version", p.Newest, err)
	}
}

func TestARestoreIsInTheLogOnce(t *testing.T) {
	h := newHouse(t)
	h.Close()
	if err := (&Restored{Made: t0, At: t0.Add(time.Hour)}).Write(h.dir); err != nil {
		t.Fatal(err)
	}
	h.start()
	at := h.log.Head().Size - 1
	h.Close()
	h.start()
	if got := h.log.Head().Size - 1; got != at {
		t.Errorf("the log grew from %d to %d at a further start", at, got)
	}
	e, err := h.Entry(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err := ledger.ParseLeaf(e.Leaf); err != nil || leaf.Type != "restore" {
		t.Errorf("got %+v, %v, want a restore leaf", leaf, err)
	}
}

func TestASignerThatHasRunMakesNoNewKeys(t *testing.T) {
	for _, name := range keyFiles {
		h := newHouse(t)
		h.Close()
		path := filepath.Join(h.dir, "keys", name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		_, err := New(h.cfg)
		if errkind.KindOf(err) != errkind.Conflict || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was made anew", name)
		}
	}
}

func TestASignerThatHasRunBeginsNoOtherLog(t *testing.T) {
	h := newHouse(t)
	h.Close()
	if err := os.RemoveAll(filepath.Join(h.dir, "log")); err != nil {
		t.Fatal(err)
	}
	_, err := New(h.cfg)
	if errkind.KindOf(err) != errkind.Conflict || !strings.Contains(err.Error(), "second history") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "log")); err == nil {
		t.Error("a log was begun")
	}
}

func TestAnOlderStateLearnsFromTheLogWhichLabelsADeviceHas(t *testing.T) {
	h := newHouse(t)
	kept := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(kept, os.DirFS(filepath.Join(h.dir, "state"))); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open(t.Context(), h.request(tess, "press-1")); err != nil {
		t.Fatal(err)
	}
	h.admit("press-1", "2") // the rule is about hall 1
	if _, err := h.Open(t.Context(), h.request(tess, "press-1")); errkind.KindOf(err) != errkind.Denied {
		t.Fatalf("in hall 2: got %v", err)
	}
	epoch := h.state.devices[wire.Fingerprint(hostKey("press-1"))].Epoch
	h.Close()
	if err := os.RemoveAll(filepath.Join(h.dir, "state")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(h.dir, "state"), os.DirFS(kept)); err != nil {
		t.Fatal(err)
	}
	h.start()
	if _, err := h.Open(t.Context(), h.request(tess, "press-1")); errkind.KindOf(err) != errkind.Denied {
		t.Errorf("with an older state: got %v, want a refusal", err)
	}
	if got := h.state.devices[wire.Fingerprint(hostKey("press-1"))].Epoch; got < epoch {
		t.Errorf("the device's epoch fell from %d to %d", epoch, got)
	}
}

// The file lies in a directory of the gateway's user, and doctor reads it as root.
func TestAFIFOInPlaceOfTheRestoreKeepsNobodyWaiting(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, restoredName), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := ReadRestored(dir); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("got no error")
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for a writer")
	}
}
