package oidc

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/testenv"
)

// TestASignOutPostsTheIDTokenInChromium is logout = "post_id_token": Chromium enforces the page's form-action, also on what
// the provider answers.
func TestASignOutPostsTheIDTokenInChromium(t *testing.T) {
	s := newFront(t, func(f *foreign, c *oidcauth.Config) { f.TakesPosts, c.Logout = true, oidcauth.LogoutPost })
	given, err := json.Marshal(map[string]string{"url": s.url, "provider": "acme", "issuer": s.issuer, "login": "tess"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "goodbye.mjs", string(given))
	cmd.Dir = filepath.Join(testenv.Root(), "tests", "browser")
	got := testenv.Finish(t, cmd)
	if got.Status != 0 || !strings.Contains(got.Out, s.issuer+"/session/end\n") {
		t.Errorf("got %d %s%s", got.Status, got.Out, got.Err)
	}
	for _, address := range strings.Fields(got.Out) {
		if strings.Contains(address, "eyJ") {
			t.Errorf("a token is in the address %s", address)
		}
	}
	select {
	case why := <-s.ended:
		if why != "signed out" {
			t.Errorf("the sign-in ended %q", why)
		}
	case <-time.After(10 * time.Second):
		t.Error("the sign-in did not end")
	}
}
