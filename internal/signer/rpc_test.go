package signer

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// serve puts a house's signer behind a socket until the test ends.
func serve(t *testing.T, s Signer, mode os.FileMode, uids ...int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "signer.sock")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, s, socket, mode, uids...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	for range 30000 {
		if info, err := os.Stat(socket); err == nil && info.Mode().Perm() == mode {
			return socket
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatal("no socket within a minute")
	return ""
}

func TestOverTheSocketEveryCallAnswersAsInTheProcess(t *testing.T) {
	h := newHouse(t)
	c := NewClient(serve(t, h.Service, 0o600))
	ctx := t.Context()
	r := h.request(tess, "press-1")
	r.AckSize = 1
	o, err := c.Open(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.ParsePass(o.Pass, h.ca()); err != nil {
		t.Error(err)
	}
	same := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v; want %v", what, got, err, want)
		}
	}
	n, err := c.Renew(ctx, RenewRequest{Evidence: tess, Session: r.Session, Open: o.Index, Pass: o.Pass, Needs: "shell:svc",
		SessionKey: freshKey()})
	if err != nil || n.N != 1 || n.Index != o.Index+1 || h.parse(n.Pass).Follows(h.parse(o.Pass)) != nil {
		t.Errorf("renew: got %+v, %v", n, err)
	}
	body, _ := ledger.EventBody{By: "x"}.Marshal()
	a, err := c.Append(ctx, AppendRequest{Type: "viewed", Ref: []uint64{o.Index}, Body: body})
	if err != nil || a.Index != n.Index+1 {
		t.Errorf("append: got %+v, %v", a, err)
	}
	want, _ := h.Service.Entry(ctx, o.Index)
	got, err := c.Entry(ctx, o.Index)
	same("entry", got, want, err)
	some, _ := h.Service.Entries(ctx, o.Index)
	entries, err := c.Entries(ctx, o.Index)
	same("entries", entries, some, err)
	none, err := c.Entries(ctx, a.Index+1)
	same("entries beyond the head", none, []Entry{}, err)
	begun, err := c.Unended(ctx, r.H0)
	same("unended", begun, &o.Index, err)
	begun, err = c.Unended(ctx, wire.Sum([]byte("another")))
	same("unended of no recording", begun, (*uint64)(nil), err)
	head, err := c.Head(ctx)
	same("head", head, h.log.Head().Note, err)
	proof, _ := h.Service.Prove(ctx, o.Index, a.Index+1)
	p, err := c.Prove(ctx, o.Index, a.Index+1)
	same("prove", p, proof, err)
	proof, _ = h.Service.ProveConsistency(ctx, 1, a.Index+1)
	p, err = c.ProveConsistency(ctx, 1, a.Index+1)
	same("consistency", p, proof, err)
	b, err := c.Bundle(ctx)
	same("bundle", b, h.bundle, err)
	k, err := c.Keys(ctx)
	same("log key", k.LogKey, h.keys.logVerifier, err)
	st, err := c.Status(ctx, machine("press-1", "1").FP, make([]byte, 16))
	if _, perr := wire.ParseStatus(st, h.ca()); err != nil || perr != nil {
		t.Errorf("status: %v, %v", err, perr)
	}
	if _, err := c.PutDevice(ctx, ada, machine("press-3", "1")); err != nil {
		t.Error(err)
	}
	if _, err := c.Restrict(ctx, machine("press-3", "1").FP, wire.StateLocked, "x"); err != nil {
		t.Error(err)
	}
	if v, err := c.ApplyPolicy(ctx, ada, []PolicyFile{{Name: "p.toml", Text: policy + "\n"}}, "again"); err != nil || v.Version != 2 {
		t.Errorf("policy: got %+v, %v", v, err)
	}
	v, err := c.CurrentPolicy(ctx)
	same("policy", v.Version, uint64(2), err)
	tok := Token{ID: "n", Hash: wire.Sum([]byte("n")), Principal: person("tess").Principal, Scopes: []string{ScopeSession}, Expires: t0.Add(time.Hour)}
	if _, err := c.PutToken(ctx, tess, tok); err != nil {
		t.Error(err)
	}
	if _, err := c.RevokeToken(ctx, "n", "lost"); err != nil {
		t.Error(err)
	}
	if err := c.SignOut(ctx, TokenHash(tess.IDToken)); err != nil {
		t.Error(err)
	}
	wantKind(t, "after the sign-out", c.Identify(ctx, tess), errkind.Signin)
}

func TestARefusalKeepsItsKindTextAndHintOverTheSocket(t *testing.T) {
	h := newHouse(t)
	c := NewClient(serve(t, h.Service, 0o600))
	r := h.request(tess, "press-2")
	_, near := h.Service.Open(t.Context(), r)
	_, far := c.Open(t.Context(), r)
	a, _ := errkind.Of(near)
	b, ok := errkind.Of(far)
	if !ok || a.Kind != b.Kind || a.Text != b.Text || a.Hint != b.Hint {
		t.Errorf("got %+v, want %+v", b, a)
	}
	_, err := NewClient(filepath.Join(t.TempDir(), "none")).Head(t.Context())
	wantKind(t, "no signer", err, errkind.Unavailable)
}

func TestTheSocketTakesNothingButItsCalls(t *testing.T) {
	h := newHouse(t)
	socket := serve(t, h.Service, 0o600)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	for what, c := range map[string]struct {
		name, body string
		status     int
	}{"seeding": {"seed", "{}", 404}, "an unknown field": {"status", `{"device":"","x":1}`, 400}, "a name twice": {"restrict", `{"why":"a","Why":"b"}`, 400}, "too much": {"append", `{"type":"` + strings.Repeat("x", maxCall) + `"}`, 400}} {
		resp, err := client.Post("http://signer/"+c.name, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: got %d, want %d", what, resp.StatusCode, c.status)
		}
	}
}

func TestTheSocketAnswersOnlyTheUsersItWasToldOf(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("as an ordinary user only the own user can be shown")
		if _, err := NewClient(serve(t, newHouse(t).Service, 0o600)).Head(t.Context()); err != nil {
			t.Error(err)
		}
		return
	}
	h := newHouse(t)
	ask := func(socket string) (int, error) {
		openUp(t, filepath.Dir(socket))
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dialAsNobody(socket) }}}
		resp, err := client.Post("http://signer/head", "application/json", strings.NewReader("{}"))
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.StatusCode, nil
	}
	if status, err := ask(serve(t, h.Service, 0o600)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a stranger got %d, %v through a socket of mode 0600", status, err)
	}
	if status, err := ask(serve(t, h.Service, 0o666)); err == nil {
		t.Errorf("a stranger got %d through a socket that everybody may open", status)
	}
	if status, err := ask(serve(t, h.Service, 0o666, 65534)); err != nil || status != 200 {
		t.Errorf("the gateway's user got %d, %v", status, err)
	}
}

// dialAsNobody connects with another user's id. The kernel notes the id of the thread that connects.
func dialAsNobody(socket string) (net.Conn, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become := func(euid uintptr) error {
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), euid, ^uintptr(0)); e != 0 {
			return e
		}
		return nil
	}
	if err := become(65534); err != nil {
		return nil, err
	}
	c, err := net.Dial("unix", socket)
	return c, errors.Join(err, become(0))
}

func TestASocketThatAnswersIsNotTakenOver(t *testing.T) {
	h := newHouse(t)
	socket := serve(t, h.Service, 0o600)
	if err := Serve(t.Context(), h.Service, socket, 0o600); err == nil || !strings.Contains(err.Error(), "another signer") {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, err := NewClient(socket).Head(t.Context()); err != nil {
		t.Errorf("the first signer does not answer any more: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	if err := Serve(t.Context(), h.Service, file, 0o600); err == nil {
		t.Error("a file was replaced by a socket")
	}
}
