package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/rendezvous"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/writer"
)

// brokerHouse is a gateway in this process without its site: broker, signer, log, database, recorder and lines. The
// device is the real agent. It is for what has no way in yet.
type brokerHouse struct {
	*gateway.Broker
	t       *testing.T
	dir     string
	login   string
	db      *sqlite.DB
	signer  *signer.Service
	lines   *rendezvous.Registry
	node    *writer.Node
	reader  *age.X25519Identity
	key     ed25519.PrivateKey
	passing time.Duration // how long a pass is good
}

func (h *brokerHouse) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func newBrokerHouse(t *testing.T, passTime time.Duration) *brokerHouse {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	h := &brokerHouse{t: t, dir: t.TempDir(), login: me.Username, passing: passTime}
	noise, err := wire.NewNoiseKey()
	h.must(err)
	mux := http.NewServeMux()
	mux.HandleFunc(wire.ControlPath, func(w http.ResponseWriter, r *http.Request) { h.lines.Control(w, r) })
	mux.HandleFunc(wire.SessionPath, func(w http.ResponseWriter, r *http.Request) { h.lines.Session(w, r) })
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	host := strings.TrimPrefix(site.URL, "http://")
	h.openParts(host, noise)
	log := &audit.Log{Signer: h.signer, Rows: h.db}
	office := &enroll.Office{Store: h.db, Signer: h.signer, Audit: log, URL: site.URL, Noise: noise.Public}
	h.lines = rendezvous.New(rendezvous.Config{NoiseKey: noise, Signer: h.signer, Store: h.db, Office: office, Audit: log,
		Node: "test", Host: host, NoTLS: true})
	office.Lines = h.lines
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.lines.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	rules := &gateway.Rules{}
	h.must(rules.Load(ctx, h.signer))
	h.Broker = gateway.New(gateway.Config{Signer: h.signer, Rules: rules, Store: h.db, Lines: h.lines, Recorder: h.node,
		Key: h.key.Public().(ed25519.PublicKey), Audit: log, Node: "test"})
	h.join(office)
	return h
}

// openParts opens database, signer and recorder.
func (h *brokerHouse) openParts(host string, noise wire.NoiseKey) {
	h.t.Helper()
	var err error
	h.db, err = sqlite.Open(context.Background(), filepath.Join(h.dir, "db"), sqlite.Options{})
	h.must(err)
	h.t.Cleanup(func() { h.db.Close() })
	h.signer, err = signer.New(signer.Config{Dir: filepath.Join(h.dir, "signer"), Origin: "test/log", Hosts: []string{host},
		NoiseKey: noise.Public, PassTime: h.passing, SignInAge: 12 * time.Hour, RetainFor: time.Hour})
	h.must(err)
	h.t.Cleanup(func() { h.signer.Close() })
	who := func(sub string) id.Principal { return id.Principal{Issuer: "https://idp.test", Subject: sub} }
	expires := time.Now().Add(time.Hour)
	h.must(h.signer.Seed(context.Background(), []signer.PolicyFile{{Name: "p.toml",
		Text: strings.ReplaceAll(bundletest.Policy, `"svc"`, strconv.Quote(h.login))}}, []signer.Token{
		{ID: "t1", Hash: wire.Sum([]byte("spt_tech")), Principal: who("tess"), Name: "Tess", Groups: []string{"technicians"},
			Scopes: []string{"session"}, Expires: expires},
		{ID: "t2", Hash: wire.Sum([]byte("spt_admin")), Principal: who("ada"), Name: "Ada", Groups: []string{"administrators"},
			Scopes: []string{"administer"}, Expires: expires}}))
	h.reader, err = age.GenerateX25519Identity()
	h.must(err)
	_, h.key, err = ed25519.GenerateKey(rand.Reader)
	h.must(err)
	h.node, _, err = writer.OpenNode(context.Background(), writer.NodeConfig{Dir: filepath.Join(h.dir, "rec"), Key: h.key,
		LogOrigin: "test/log", Readers: []age.Recipient{h.reader.Recipient()}, Unsealers: []age.Recipient{h.reader.Recipient()},
		JournalBytes: 8 << 20, Ballast: 1 << 20, LowWater: 1 << 20})
	h.must(err)
	h.t.Cleanup(func() { h.node.Close(context.Background()) })
}

// join enrols a real agent as press-1, admits it and runs it.
func (h *brokerHouse) join(office *enroll.Office) {
	h.t.Helper()
	ada := enroll.Actor{Name: "ada"}
	code, _, err := office.CreateToken(context.Background(), ada, enroll.TokenSpec{Name: "press-1"})
	h.must(err)
	if got := testenv.Finish(h.t, h.agent("enroll", code.String(), "--preset", "open", "--no-wait", "--ephemeral")); got.Status != 0 {
		h.t.Fatalf("enroll: %+v", got)
	}
	_, err = office.Admit(context.Background(), signer.Evidence{APIToken: "spt_admin"}, ada, "press-1", enroll.Admission{})
	h.must(err)
	p := testenv.Launch(h.t, filepath.Join(h.dir, "agent.log"), h.agent("run", "--ephemeral"))
	h.t.Cleanup(func() {
		for _, sid := range state.At(h.stateDir()).Sessions() {
			var ok bool
			state.At(h.stateDir()).CallSession(sid, state.Ask{Op: "end"}, &ok)
		}
		p.End(syscall.SIGTERM)
		if h.t.Failed() {
			h.t.Log(p.Output())
		}
	})
	eventually(h.t, time.Minute, "press-1 is online", func() bool {
		d, err := h.db.Device(context.Background(), "press-1")
		return err == nil && d.Online()
	})
}

func (h *brokerHouse) stateDir() string { return filepath.Join(h.dir, "press-1") }

func (h *brokerHouse) agent(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(testenv.Binaries(h.t), "sallyport-agent"), append(args, "--state", h.stateDir())...)
}

// session opens one on press-1.
func (h *brokerHouse) session(argv ...string) (*gateway.Channel, *keptDoor) {
	h.t.Helper()
	row, err := h.Ask(context.Background(), gateway.Ask{Evidence: signer.Evidence{APIToken: "spt_tech"}, Key: "t1", Device: "press-1",
		Login: h.login, Start: sessionline.Start{Argv: argv}, Front: "cli", Person: authz.Person{
			ID: id.Principal{Issuer: "https://idp.test", Subject: "tess"}, Name: "Tess", Groups: []string{"technicians"}, ViaToken: true}})
	h.must(err)
	p := &keptDoor{}
	c, err := h.Open(context.Background(), row.ID, p)
	h.must(err)
	return c, p
}

// keptDoor is a door that keeps what it is given.
type keptDoor struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (p *keptDoor) Output(_ format.Stream, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Write(b)
	return nil
}

func (p *keptDoor) Notice(string, string) {}

func (p *keptDoor) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}
