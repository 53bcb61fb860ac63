package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/testenv"
)

// signInAs answers the built-in provider's page.
func signInAs(t *testing.T, d *testenv.Demo, role string) func(*testenv.Browser) {
	for _, u := range d.Users {
		if u.Role == role {
			return func(b *testenv.Browser) { b.Submit("username", u.Name, "password", u.Password) }
		}
	}
	t.Fatalf("no %s in this demo", role)
	return nil
}

func TestSigningInFromTheCommandLine(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	tess := testenv.NewPerson(t, d.URL)
	if got := tess.Run("whoami"); got.Status != 1 || !strings.Contains(got.Err, "sallyport login") {
		t.Errorf("before: got %+v", got)
	}
	if got := tess.Login(signInAs(t, d, "technician"), "allow"); got.Status != 0 || !strings.Contains(got.Err, "as Tess Technician until") {
		t.Fatalf("login: got %+v", got)
	}
	t.Run("the sign-in is kept for its user alone", func(t *testing.T) { keptForOneself(t, d, tess) })
	t.Run("whoami says who, and that no token was used", func(t *testing.T) { whoIs(t, tess, "Tess Technician", "technicians") })
	t.Run("a session is opened on the sign-in itself", func(t *testing.T) { onTheIDToken(t, d, tess) })
	t.Run("a sign-in that was changed in the database is no sign-in", func(t *testing.T) { changedInTheTable(t, d, tess) })
	t.Run("a machine without a browser is signed in by a code", func(t *testing.T) {
		headless := testenv.NewPerson(t, d.URL)
		headless.Browser = tess.Browser // the person's, elsewhere; it is signed in
		if got := headless.Login(signInAs(t, d, "technician"), "allow", "--device"); got.Status != 0 {
			t.Fatalf("login --device: got %+v", got)
		}
		whoIs(t, headless, "Tess Technician", "technicians")
	})
	t.Run("what is refused in the browser signs nobody in", func(t *testing.T) { refusedInTheBrowser(t, d) })
	t.Run("signing out revokes what was kept", func(t *testing.T) { signedOut(t, d, tess) })
	t.Run("signing out in the browser ends the command line and its live shell", func(t *testing.T) { signedOutElsewhere(t, d) })
}

// kept reads the bearer that login has kept.
func keptForOneself(t *testing.T, d *testenv.Demo, p *testenv.Person) {
	info, err := os.Stat(p.Kept())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %o, want 600", info.Mode().Perm())
	}
	if b := p.Bearer(); !strings.HasPrefix(b, "spc_") || len(b) < 40 {
		t.Errorf("got a bearer of %d characters", len(b))
	}
}

func whoIs(t *testing.T, p *testenv.Person, name, group string) {
	t.Helper()
	var m struct {
		Name, Via string
		Groups    []string
	}
	if err := json.Unmarshal([]byte(p.Must("whoami", "--json")), &m); err != nil {
		t.Fatal(err)
	}
	if m.Name != name || m.Via != "cli" || len(m.Groups) != 1 || m.Groups[0] != group {
		t.Errorf("got %+v", m)
	}
}

// onTheIDToken opens one session by sign-in and one by token, and compares what stands of them in the record.
func onTheIDToken(t *testing.T, d *testenv.Demo, p *testenv.Person) {
	if got := p.Run("shell", "press-1", "--", "echo", "by sign-in"); got.Out != "by sign-in\n" {
		t.Fatalf("got %+v", got)
	}
	signedIn := last(t, d)
	if got := d.Run(t, "technician", "shell", "press-1", "--", "echo", "by token"); got.Out != "by token\n" {
		t.Fatalf("got %+v", got)
	}
	byToken := last(t, d)
	for sid, want := range map[string]string{signedIn: "web", byToken: "token"} {
		var s struct{ Via, User string }
		if err := json.Unmarshal([]byte(d.Run(t, "officer", "sessions", "show", sid, "--json").Out), &s); err != nil {
			t.Fatal(err)
		}
		if s.Via != want || s.User != "Tess Technician" {
			t.Errorf("session %s: got %+v, want via %s", sid, s, want)
		}
	}
	var events []struct {
		Type, Subject string
		Fields        map[string]string
	}
	if err := json.Unmarshal([]byte(d.Run(t, "officer", "audit", "tail", "--json").Out), &events); err != nil {
		t.Fatal(err)
	}
	via := map[string]string{}
	for _, e := range events {
		if e.Type == "decided" {
			via[e.Subject] = e.Fields["via"]
		}
	}
	if via[signedIn] != "sign-in" || via[byToken] != "token demo-technician" {
		t.Errorf("the log says %q of the sign-in and %q of the token", via[signedIn], via[byToken])
	}
}

// changedInTheTable does what somebody could who can write to the gateway's database: it changes what is stored of a
// sign-in. Forged id tokens are brought to the signer in TestTheSignerApart.
func changedInTheTable(t *testing.T, d *testenv.Demo, p *testenv.Person) {
	db, err := sqlite.Open(t.Context(), filepath.Join(d.DataDir, "gateway.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	row, err := db.WebSession(t.Context(), pending.Hash(p.Bearer()))
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*store.WebSession){
		"tokens":       func(w *store.WebSession) { w.Tokens[len(w.Tokens)/2] ^= 1 },
		"no tokens":    func(w *store.WebSession) { w.Tokens = nil },
		"key":          func(w *store.WebSession) { w.SealedKey[20] ^= 1 },
		"another name": func(w *store.WebSession) { w.KeyID[0] ^= 1 },
	} {
		put := row
		put.Tokens, put.SealedKey = slices.Clone(row.Tokens), slices.Clone(row.SealedKey)
		change(&put)
		if err := db.ReplaceWebSession(t.Context(), row.IDHash, put, row.Expires); err != nil {
			t.Fatal(err)
		}
		if got := p.Run("shell", "press-1", "--", "true"); got.Status == 0 {
			t.Errorf("%s changed: got %+v", what, got)
		}
	}
	if err := db.ReplaceWebSession(t.Context(), row.IDHash, row, row.Expires); err != nil {
		t.Fatal(err)
	}
	if got := p.Run("shell", "press-1", "--", "true"); got.Status != 0 {
		t.Errorf("as it was: got %+v", got)
	}
}

func refusedInTheBrowser(t *testing.T, d *testenv.Demo) {
	p := testenv.NewPerson(t, d.URL)
	if got := p.Login(signInAs(t, d, "technician"), "deny"); got.Status != 1 || !strings.Contains(got.Err, "not given") {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(p.Kept()); err == nil {
		t.Error("something was kept all the same")
	}
}

func signedOut(t *testing.T, d *testenv.Demo, p *testenv.Person) {
	bearer := p.Bearer()
	p.Must("logout")
	if got := p.Run("whoami"); got.Status != 1 {
		t.Errorf("whoami: got %+v", got)
	}
	if raw, _ := os.ReadFile(p.Kept()); strings.Contains(string(raw), bearer) {
		t.Error("the bearer is still in the file")
	}
	req, _ := http.NewRequest(http.MethodGet, d.URL+"/api/v1/me", nil)
	req.Header.Set("Authorization", "Bearer "+bearer)
	if b := testenv.NewBrowser(t); b.Took(b.Do(req)).Status != http.StatusUnauthorized {
		t.Errorf("a copy of the bearer: got %d, want it revoked", b.Status)
	}
}

func signedOutElsewhere(t *testing.T, d *testenv.Demo) {
	p := testenv.NewPerson(t, d.URL)
	if got := p.Login(signInAs(t, d, "technician"), "allow"); got.Status != 0 {
		t.Fatalf("got %+v", got)
	}
	var out, errs screen
	cmd := p.Command(t.Context(), "shell", "press-1", "--", "sh", "-c", "echo rea''dy; sleep 100")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	out.wait(t, "ready")
	req, _ := http.NewRequest(http.MethodPost, d.URL+"/logout", nil)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	began := time.Now()
	p.Browser.Took(p.Browser.Do(req))
	cmd.Wait()
	took := time.Since(began)
	t.Logf("the shell ended %s after the sign-out; promised are 5 s", took.Round(time.Millisecond))
	if took >= 50*time.Second || cmd.ProcessState.ExitCode() != 255 || !strings.Contains(errs.text(), "signed you out") {
		t.Errorf("status %d after %s: %s", cmd.ProcessState.ExitCode(), took, errs.text())
	}
	if got := p.Run("whoami"); got.Status != 1 {
		t.Errorf("whoami: got %+v", got)
	}
}
