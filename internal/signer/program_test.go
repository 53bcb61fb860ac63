package signer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/programtest"
	"github.com/sallyport/sallyport/internal/wire"
)

// store puts a policy into the signer's state as an earlier release would have, without checking it, and starts the
// signer again.
func (h *house) store(text string) {
	h.t.Helper()
	p := h.state.policy
	p.Version++
	p.Files = []PolicyFile{{Name: "p.toml", Text: text}}
	if err := h.state.putPolicy(p); err != nil {
		h.t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.start()
}

// A gateway that asks for what its own policy refuses is answered by the signer's. The gateway and the device run the
// same table.
func TestTheSignerGivesAPassByTheActionOfTheTable(t *testing.T) {
	h := newHouse(t)
	for _, c := range programtest.Cases {
		h.store(c.Policy())
		r := h.request(tess, "press-1")
		r.Login, r.Argv, r.Terminal = c.Program.Login, c.Program.Argv, c.Program.Terminal
		o, err := h.Open(t.Context(), r)
		if c.Want == "" {
			wantKind(t, c.Name, err, errkind.Denied)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		p, err := wire.ParsePass(o.Pass, h.ca())
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if !p.Scope.Equal(c.Scope()) || p.Grant.Login != c.Program.Login {
			t.Errorf("%s: got %q as %s, want %q", c.Name, p.Scope.Words(), p.Grant.Login, c.Scope().Words())
		}
		for _, f := range append([]programtest.Further{{Program: c.Program, Want: c.Want}}, c.Further...) {
			if a, ok := authz.ActionFor(f.Program, p.Scope.Covers); ok != (f.Want != "") || ok && a.String() != f.Want {
				t.Errorf("%s: %q in the same session: got %s, %v, want %q", c.Name, f.Program.Argv, a, ok, f.Want)
			}
		}
	}
}

// TestACommandThatNoPassCanNameIsNotAnnounced: a part of its template is denied, so it would have to be named itself.
func TestACommandThatNoPassCanNameIsNotAnnounced(t *testing.T) {
	h := newHouse(t)
	c := programtest.Case{Allowed: []string{"run:svc /bin/x" + strings.Repeat(" {word}", 9)},
		Denied: []string{"run:/bin/x a a a a a a a a a"}}
	h.store(c.Policy())
	r := h.request(tess, "press-1")
	r.Argv = []string{"/bin/x"}
	for range 9 {
		r.Argv = append(r.Argv, strings.Repeat("b", 64))
	}
	size := h.log.Head().Size
	_, err := h.Open(t.Context(), r)
	wantKind(t, "a word of more than 500 bytes", err, errkind.Usage)
	if h.log.Head().Size != size {
		t.Error("a session was announced that has no pass")
	}
}

func TestASignerStartsWithAStoredPolicyWhoseCommandsNameNoLogin(t *testing.T) {
	h := newHouse(t)
	var log bytes.Buffer
	h.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	old := strings.Replace(policy, `run = { as = ["svc"], argv = [["/usr/bin/uptime", "-p"]] }`,
		`run = [["/usr/bin/uptime", "-p"]]`, 1)
	h.store(old)
	for _, want := range []string{"p.toml:13", `run = { as = [`, "policy apply"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, &log)
		}
	}
	r := h.request(tess, "press-2")
	for _, login := range []string{"svc", "root"} {
		r.Login, r.Argv = login, []string{"/usr/bin/uptime", "-p"}
		_, err := h.Open(t.Context(), r)
		wantKind(t, "the command as "+login, err, errkind.Denied)
	}
	if _, err := h.Open(t.Context(), h.request(tess, "press-1")); err != nil {
		t.Errorf("the rest of the policy does not hold: %v", err)
	}
	p, err := h.CurrentPolicy(t.Context())
	if err != nil || p.Files[0].Text != old {
		t.Errorf("the stored text was changed: %v", err)
	}
	_, err = h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: old}}, "again")
	wantKind(t, "the old policy as a new version", err, errkind.Usage)
	raw, err := os.ReadFile(h.dir + "/state/policy.json")
	if err != nil || json.Unmarshal(raw, &p) != nil || p.Files[0].Text != old {
		t.Errorf("the refused version was stored: %v", err)
	}
}

func TestASignerStartsWithAStoredRoleThatIsTooLargeForAPass(t *testing.T) {
	h := newHouse(t)
	var log bytes.Buffer
	h.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	ports := make([]string, authz.MaxScope)
	for i := range ports {
		ports[i] = fmt.Sprintf("%q", fmt.Sprintf("plc.local:%d", 1000+i))
	}
	old := strings.Replace(policy, `shell = { as = ["svc"] }`,
		"shell = { as = [\"svc\"] }\nports = ["+strings.Join(ports, ", ")+"]", 1)
	h.store(old)
	if !strings.Contains(log.String(), "65 actions") || !strings.Contains(log.String(), "policy apply") {
		t.Errorf("the log does not say what to do: %s", &log)
	}
	_, err := h.Open(t.Context(), h.request(tess, "press-1"))
	wantKind(t, "the role", err, errkind.Denied)
	r := h.request(tess, "press-2")
	r.Argv = []string{"/usr/bin/uptime", "-p"}
	if _, err := h.Open(t.Context(), r); err != nil {
		t.Errorf("the rest of the policy does not hold: %v", err)
	}
	_, err = h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: old}}, "again")
	wantKind(t, "the old policy as a new version", err, errkind.Usage)
}
