package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

const policy = `
format = 1
name = "test"
contact = "the test"
groups = ["technicians", "administrators", "compliance"]
never_together = [["compliance", "technicians"]]
[duties]
administer = ["administrators"]
[labels]
hall = { needed = true, one_of = ["1", "2"] }
[role.look]
why = "read the log"
run = { as = ["svc"], argv = [["/usr/bin/uptime", "-p"]] }
[role.maintain]
why = "repair"
shell = { as = ["svc"] }
[[allow]]
id = "A1"
why = "hall 1"
who = ["technicians"]
role = "maintain"
devices = { hall = "1" }
hours = "always"
[[allow]]
id = "A2"
why = "looking, everywhere"
who = ["technicians"]
role = "look"
devices = "all"
hours = "always"
`

var t0 = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// provider is an identity provider's verifier: it knows the tokens it has given out.
type provider map[string]Identity

func (p provider) VerifyIDToken(_ context.Context, raw, _ string) (Identity, error) {
	who, ok := p[raw]
	if !ok {
		return who, errors.New("signature does not hold")
	}
	return who, nil
}

func person(sub string, groups ...string) Identity {
	return Identity{Principal: id.Principal{Issuer: "https://idp.test", Subject: sub}, Name: sub, Groups: groups, SignedInAt: t0}
}

// house is a signer with people, tokens and two devices.
type house struct {
	*Service
	t   testing.TB
	dir string
	cfg Config
	mu  sync.Mutex
	now time.Time
}

func (h *house) clock() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }
func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

var (
	tess  = evidence("tess")
	ada   = evidence("ada")
	robot = Evidence{APIToken: "spt_robot", ClientAddr: "10.1.2.3"}
)

// evidence is a sign-in with a web session of its own.
func evidence(idToken string) Evidence {
	return Evidence{IDToken: idToken, Session: wire.Sum([]byte("web session of " + idToken))}
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, dir: filepath.Join(t.TempDir(), "signer"), now: t0}
	h.cfg = Config{Dir: h.dir, Origin: "test/log", Hosts: []string{"127.0.0.1:1"}, NoiseKey: wire.Sum([]byte("noise")), PassTime: time.Hour, SignInAge: 12 * time.Hour,
		RetainFor: time.Hour, Now: h.clock, Identities: provider{"tess": person("tess", "technicians"), "ada": person("ada", "administrators"),
			"both": person("both", "technicians", "compliance"), "nobody": person("nobody")}}
	h.start()
	t.Cleanup(func() { h.Close() })
	err := h.Seed(t.Context(), []PolicyFile{{Name: "p.toml", Text: policy}}, []Token{
		{ID: "robot", Hash: wire.Sum([]byte("spt_robot")), Principal: person("tess").Principal, Name: "Tess", Groups: []string{"technicians"}, Scopes: []string{ScopeSession},
			Network: "10.0.0.0/8", Expires: t0.Add(time.Hour)}})
	if err != nil {
		t.Fatal(err)
	}
	h.admit("press-1", "1")
	h.admit("press-2", "2")
	return h
}

func (h *house) start() {
	h.t.Helper()
	var err error
	if h.Service, err = New(h.cfg); err != nil {
		h.t.Fatal(err)
	}
}

func hostKey(name string) wire.PublicKey {
	seed := wire.Sum([]byte(name))
	k, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	if err != nil {
		panic(err)
	}
	return wire.PublicKey{PublicKey: k}
}

func machine(name, hall string) Device {
	k := hostKey(name)
	return Device{Name: id.Device(name), Site: "ulm", FP: wire.Fingerprint(k), HostKey: k, Labels: map[string]string{"hall": hall}}
}

func (h *house) admit(name, hall string) Device {
	h.t.Helper()
	d := machine(name, hall)
	if _, err := h.PutDevice(h.t.Context(), ada, d); err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *house) request(e Evidence, device string) OpenRequest {
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	key, _ := ssh.NewPublicKey(pub)
	sid := id.NewSession()
	return OpenRequest{Evidence: e, Session: sid, Device: id.Device(device), Login: "svc", Reason: "noise", H0: wire.Sum(sid[:]),
		SlotRK: wire.Sum([]byte("rk")), SlotSK: wire.Sum([]byte("sk")), RecordKey: pub, SessionKey: key.Marshal()}
}

func (h *house) ca() []ssh.PublicKey {
	k, _ := h.Keys(context.Background())
	return []ssh.PublicKey{k.SessionCA.PublicKey}
}

func wantKind(t *testing.T, what string, err error, want errkind.Kind) {
	t.Helper()
	if err == nil || errkind.KindOf(err) != want {
		t.Errorf("%s: got %v (kind %d), want kind %d", what, err, errkind.KindOf(err), want)
	}
}
