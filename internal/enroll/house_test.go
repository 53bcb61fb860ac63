package enroll_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
)

const policy = `
format = 1
name = "test"
contact = "the test"
groups = ["technicians", "administrators"]
[labels.hall]
one_of = ["1", "2"]
[duties]
administer = ["administrators"]
`

// house is an office on real parts: database, signer, log. Its clock is the test's.
type house struct {
	*enroll.Office
	t           *testing.T
	db          *sqlite.DB
	signer      *signer.Service
	clock       time.Time
	told        sync.Mutex  // guards cut
	cut, drop   []wire.Hash // what the control lines were told
	admin, tech signer.Evidence
}

func (h *house) Cut(device wire.Hash, _ string) {
	h.told.Lock()
	defer h.told.Unlock()
	h.cut = append(h.cut, device)
}

func (h *house) cuts() []wire.Hash {
	h.told.Lock()
	defer h.told.Unlock()
	return h.cut
}

func (h *house) Drop(device wire.Hash, _ string) { h.drop = append(h.drop, device) }
func (h *house) Refresh(wire.Hash)               {}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// ada is whoever administers here.
var ada = enroll.Actor{Name: "ada", ID: "https://idp.test admin"}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t: t, clock: time.Now(), admin: signer.Evidence{APIToken: "spt_admin"}, tech: signer.Evidence{APIToken: "spt_tech"}}
	h.db = must(sqlite.Open(t.Context(), filepath.Join(dir, "db"), sqlite.Options{}))(t)
	t.Cleanup(func() { h.db.Close() })
	noise := must(wire.NewNoiseKey())(t)
	h.signer = must(signer.New(signer.Config{Dir: filepath.Join(dir, "signer"), Origin: "test/log", Hosts: []string{"127.0.0.1:1"}, NoiseKey: noise.Public,
		PassTime: time.Hour, SignInAge: 12 * time.Hour, RetainFor: time.Hour}))(t)
	t.Cleanup(func() { h.signer.Close() })
	token := func(name, group, scope string) signer.Token {
		return signer.Token{ID: name, Hash: wire.Sum([]byte("spt_" + name)), Principal: id.Principal{Issuer: "https://idp.test", Subject: name}, Name: name,
			Groups: []string{group}, Scopes: []string{scope}, Expires: time.Now().Add(time.Hour)}
	}
	err := h.signer.Seed(t.Context(), []signer.PolicyFile{{Name: "p.toml", Text: policy}},
		[]signer.Token{token("tech", "technicians", "session"), token("admin", "administrators", "administer")})
	if err != nil {
		t.Fatal(err)
	}
	h.Office = &enroll.Office{Store: h.db, Signer: h.signer, Audit: &audit.Log{Signer: h.signer, Rows: h.db}, Lines: h, URL: "http://127.0.0.1:1",
		Noise: noise.Public, Now: func() time.Time { return h.clock }}
	return h
}

func (h *house) code(s enroll.TokenSpec) wire.JoinCode {
	h.t.Helper()
	c, _, err := h.CreateToken(context.Background(), ada, s)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) token(c wire.JoinCode) store.JoinToken {
	h.t.Helper()
	return must(h.db.JoinToken(context.Background(), c.ID))(h.t)
}

// joins gives the phases of the events of devices with a right secret, the newest first.
func (h *house) joins() (phases []string) {
	h.t.Helper()
	for _, e := range must(h.db.AuditEvents(context.Background(), store.AuditFilter{Type: "join", Limit: 100}))(h.t) {
		if strings.Contains(string(e.Body), "device enrolled") {
			phases = append(phases, e.Phase)
		}
	}
	return phases
}

// machine is a device's keys.
type machine struct {
	t     testing.TB
	host  ssh.Signer
	noise wire.NoiseKey
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &machine{t, signerOf(t, key), noiseKey(t)}
}

func signerOf(t testing.TB, key any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func noiseKey(t testing.TB) wire.NoiseKey {
	t.Helper()
	k, err := wire.NewNoiseKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// with is what the machine shows for a code.
func (m *machine) with(c wire.JoinCode) enroll.Joiner {
	m.t.Helper()
	proof, err := wire.Sign(m.host, wire.PurposeEnrol, wire.EnrolProof(m.noise.Public[:], c.ID[:], c.Secret[:]))
	if err != nil {
		m.t.Fatal(err)
	}
	return enroll.Joiner{Noise: m.noise.Public, Device: wire.Fingerprint(m.host.PublicKey()), Agent: "test", Addr: "192.0.2.7",
		Part: wire.EnrolPart{ID: c.ID[:], Secret: c.Secret[:], HostKey: wire.PublicKey{PublicKey: m.host.PublicKey()}, Name: "Press.plant.example", Serial: "SN-1", OS: "linux", Proof: proof}}
}

func (h *house) join(m *machine, c wire.JoinCode) (enroll.Joined, error) {
	return h.Redeem(context.Background(), m.with(c))
}

// devices counts the rows.
func (h *house) devices() int {
	h.t.Helper()
	_, total, err := h.db.Devices(context.Background(), store.DeviceFilter{})
	if err != nil {
		h.t.Fatal(err)
	}
	return total
}

// refusal checks that err is one for people, with words and what to do next.
func refusal(t *testing.T, what string, err error, kind errkind.Kind, words string) {
	t.Helper()
	text, hint, reference := errkind.ForPeople(err)
	if err == nil || errkind.KindOf(err) != kind || !strings.Contains(text, words) || hint == "" || reference != "" {
		t.Errorf("%s: got kind %v, %q, hint %q, want kind %v, %q and a hint", what, errkind.KindOf(err), text, hint, kind, words)
	}
}
