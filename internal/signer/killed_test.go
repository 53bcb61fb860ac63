package signer

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

const toServe = "SALLYPORT_TEST_SIGNER"

// TestSignerInAProcessOfItsOwn is the process that the next test kills.
func TestSignerInAProcessOfItsOwn(t *testing.T) {
	dir := os.Getenv(toServe)
	if dir == "" {
		return
	}
	s, err := New(Config{Dir: filepath.Join(dir, "signer"), Origin: "test/log", Hosts: []string{"127.0.0.1:1"},
		NoiseKey: wire.Sum([]byte("noise")), PassTime: time.Hour, SignInAge: 12 * time.Hour, RetainFor: time.Hour,
		Now: func() time.Time { return t0 }, Identities: provider{"tess": person("tess", "technicians"),
			"ada": person("ada", "administrators")}})
	if err == nil {
		err = s.Seed(t.Context(), []PolicyFile{{Name: "p.toml", Text: policy}}, nil)
	}
	if err == nil {
		err = Serve(t.Context(), s, filepath.Join(dir, "s"), 0o600)
	}
	t.Fatal(err)
}

// startSigner starts a signer's process in dir, and gives the call that kills it with SIGKILL.
func startSigner(t *testing.T, dir string) (c *Client, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSignerInAProcessOfItsOwn$")
	cmd.Env = append(os.Environ(), toServe+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { cmd.Process.Kill(); cmd.Wait() }
	t.Cleanup(kill)
	c = NewClient(filepath.Join(dir, "s"))
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := c.Head(t.Context()); err == nil {
			return c, kill
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// TestASignOutSurvivesKill closes sign-ins at a signer's process and kills it at once, after use and before.
func TestASignOutSurvivesKill(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx := context.Background()
	c, kill := startSigner(t, dir)
	if _, err := c.PutDevice(ctx, ada, machine("press-1", "1")); err != nil {
		t.Fatal(err)
	}
	for _, e := range []Evidence{ada, tess} { // ada's was used, tess' was not
		if err := c.SignOut(ctx, TokenHash(e.IDToken)); err != nil {
			t.Fatal(err)
		}
		kill()
		c, kill = startSigner(t, dir)
		_, err := c.PutDevice(ctx, e, machine("press-2", "1"))
		wantKind(t, "admit a device", err, errkind.Signin)
		_, err = c.ApplyPolicy(ctx, e, []PolicyFile{{Name: "p.toml", Text: policy}}, "x")
		wantKind(t, "apply a policy", err, errkind.Signin)
		_, err = c.Open(ctx, (&house{}).request(e, "press-1"))
		wantKind(t, "open", err, errkind.Signin)
	}
}
