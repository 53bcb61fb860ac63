package e2e

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestASecondFactorIsProvedAgainInTheBrowser: with the built-in provider, a real authenticator's codes and Chromium.
func TestASecondFactorIsProvedAgainInTheBrowser(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	path := s.Path("etc", "policy.toml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fresh := "[[require]]\nid = \"fresh\"\nwhy = \"A fresh second factor.\"\nfor = \"people\"\ndevices = \"all\"\nmfa_within = \"30s\"\n"
	if err := os.WriteFile(path, append(raw, fresh...), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Text = strings.Replace(s.Text, "builtin = true\n", "builtin = true\nsecond_factor = { amr = [\"otp\"] }\n", 1)
	s.Write()
	gateway := s.Serve()
	s.WaitReady(gateway)
	s.AddUser("ada", "administrators")
	s.AddUser("tess", "technicians")
	s.Join(s.Person("ada"), "press-1", "--ca", s.CA())
	enrolled := testenv.Finish(t, s.Command("users", "totp", "tess", "--config", s.Config))
	address, err := url.Parse(strings.TrimSpace(enrolled.Out))
	if err != nil || address.Query().Get("secret") == "" {
		t.Fatalf("got %+v, %v", enrolled, err)
	}
	known := map[string]any{"url": s.URL, "device": "press-1", "login": s.Login,
		"user": map[string]string{"name": "tess", "password": testenv.Password, "secret": address.Query().Get("secret")}}
	cmd := inChromium(t, "stepup.mjs", known)
	if got := testenv.Finish(t, cmd); got.Status != 0 {
		t.Errorf("got %d %s%s\n%s", got.Status, got.Out, got.Err, gateway.Output())
	}
}
