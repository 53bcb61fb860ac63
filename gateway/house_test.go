package gateway_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/writer"
)

const policy = `
format = 1
name = "test"
contact = "the test"
groups = ["technicians", "administrators"]
[duties]
administer = ["administrators"]
[labels]
hall = { needed = true, one_of = ["1", "2"] }
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
[[request]]
id = "R1"
why = "the rest"
who = ["technicians"]
role = "maintain"
devices = "all"
at_most = "4h"
ask_for = ["reason"]
agree = [{ from = "administrators", count = 1 }]
answer_within = "30m"
`

// house is a broker on real parts: signer, log, database, recorder. Only the device is in this process.
type house struct {
	*gateway.Broker
	t      *testing.T
	dir    string
	db     *sqlite.DB
	signer *signer.Service
	node   *writer.Node
	rules  *gateway.Rules
	dev    *device
	admin  signer.Evidence
	reader *age.X25519Identity
	unseal *age.X25519Identity
	key    ed25519.PrivateKey
}

// screen is a door that keeps what it is given.
type screen struct {
	mu       sync.Mutex
	out, err bytes.Buffer
	notices  []string
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{t: t, dir: t.TempDir(), dev: newDevice(t), rules: &gateway.Rules{}, admin: signer.Evidence{APIToken: "spt_admin"}}
	h.db = must(sqlite.Open(ctx, filepath.Join(h.dir, "db"), sqlite.Options{}))(t)
	t.Cleanup(func() { h.db.Close() })
	noise := must(wire.NewNoiseKey())(t)
	h.signer = must(signer.New(signer.Config{Dir: filepath.Join(h.dir, "signer"), Origin: "test/log", Hosts: []string{"127.0.0.1:1"}, NoiseKey: noise.Public,
		PassTime: time.Hour, SignInAge: 12 * time.Hour, RetainFor: time.Hour}))(t)
	t.Cleanup(func() { h.signer.Close() })
	expires := time.Now().Add(time.Hour)
	who := func(sub string) id.Principal { return id.Principal{Issuer: "https://idp.test", Subject: sub} }
	tokens := []signer.Token{
		{ID: "t1", Hash: wire.Sum([]byte("spt_tech")), Principal: who("tess"), Name: "Tess", Groups: []string{"technicians"}, Scopes: []string{"session"}, Expires: expires},
		{ID: "t2", Hash: wire.Sum([]byte("spt_admin")), Principal: who("ada"), Name: "Ada", Groups: []string{"administrators"}, Scopes: []string{"administer"}, Expires: expires},
	}
	if err := h.signer.Seed(ctx, []signer.PolicyFile{{Name: "p.toml", Text: policy}}, tokens); err != nil {
		t.Fatal(err)
	}
	h.enrol("press-1", "1", h.dev)
	h.enrol("press-2", "2", newDevice(t))
	if err := h.rules.Load(ctx, h.signer); err != nil {
		t.Fatal(err)
	}
	h.reader, h.unseal = must(age.GenerateX25519Identity())(t), must(age.GenerateX25519Identity())(t)
	_, h.key, _ = ed25519.GenerateKey(rand.Reader)
	h.node = h.openNode()
	t.Cleanup(func() { h.node.Close(context.Background()) })
	h.Broker = h.newBroker()
	return h
}

func (h *house) openNode() *writer.Node {
	h.t.Helper()
	n, _, err := writer.OpenNode(context.Background(), writer.NodeConfig{Dir: filepath.Join(h.dir, "rec"), Key: h.key, LogOrigin: "test/log",
		Readers: []age.Recipient{h.reader.Recipient()}, Unsealers: []age.Recipient{h.unseal.Recipient()}, JournalBytes: 8 << 20, Ballast: 1 << 20, LowWater: 1 << 20})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) newBroker() *gateway.Broker { return h.newBrokerWith(func(*gateway.Config) {}) }

func (h *house) newBrokerWith(change func(*gateway.Config)) *gateway.Broker {
	c := gateway.Config{Signer: h.signer, Rules: h.rules, Store: h.db, Lines: h.dev, Recorder: h.node, Key: h.key.Public().(ed25519.PublicKey),
		Audit: &audit.Log{Signer: h.signer, Rows: h.db}, Node: "test"}
	change(&c)
	return gateway.New(c)
}

func (h *house) enrol(name, hall string, d *device) {
	h.t.Helper()
	ctx := context.Background()
	fp := wire.Fingerprint(d.host.PublicKey())
	labels := map[string]string{"hall": hall}
	if _, err := h.signer.PutDevice(ctx, h.admin, signer.Device{Name: id.Device(name), FP: fp, HostKey: wire.PublicKey{PublicKey: d.host.PublicKey()}, Labels: labels}); err != nil {
		h.t.Fatal(err)
	}
	err := h.db.AddDevice(ctx, store.Device{FP: fp, Name: id.Device(name), Labels: labels, State: store.OK, HostKey: d.host.PublicKey().Marshal(),
		NoiseKey: wire.Sum([]byte(name)), ConnectedAt: time.Now(), EnrolledAt: time.Now()})
	if err != nil {
		h.t.Fatal(err)
	}
}

// ask is the technician's, by API token.
func (h *house) ask(device string, argv ...string) gateway.Ask {
	return gateway.Ask{Evidence: signer.Evidence{APIToken: "spt_tech"}, Key: "t1", Device: id.Device(device), Login: "svc", Start: sessionline.Start{Argv: argv}, Front: "cli",
		Person: authz.Person{ID: id.Principal{Issuer: "https://idp.test", Subject: "tess"}, Name: "Tess", Groups: []string{"technicians"}, ViaToken: true}}
}

func (h *house) open(a gateway.Ask) (*gateway.Channel, *screen) {
	h.t.Helper()
	row := must(h.Ask(context.Background(), a))(h.t)
	out := &screen{}
	s := must(h.Open(context.Background(), row.ID, out))(h.t)
	return s, out
}

func (h *house) row(s id.Session) store.Session {
	h.t.Helper()
	return must(h.db.Session(context.Background(), s))(h.t)
}

func (s *screen) Output(stream format.Stream, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stream == format.StreamErr {
		s.err.Write(p)
	} else {
		s.out.Write(p)
	}
	return nil
}

func (s *screen) Notice(kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = append(s.notices, kind+": "+text)
}

func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func within(t *testing.T, d time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > d {
			t.Fatalf("not within %s: %s", d, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

// notes reads the notes of a session's record.
func (h *house) notes(s id.Session) (out []string) {
	h.t.Helper()
	h.eachNote(s, func(n format.Note) { out = append(out, n.Kind+": "+n.Text) })
	return out
}

func (h *house) eachNote(s id.Session, fn func(format.Note)) {
	h.t.Helper()
	arch := must(archive.Open(archive.Config{Dir: filepath.Join(h.dir, "rec"), Identity: []age.Identity{h.reader}}))(h.t)
	_, err := arch.Frames(context.Background(), []archive.Part{{Session: s}}, func(m archive.Moment) error {
		if m.Kind == format.KindNote {
			n, err := m.Note()
			fn(n)
			return err
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}
