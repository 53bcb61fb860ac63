package rendezvous

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/connlimit"
	"github.com/sallyport/sallyport/internal/enroll"
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
[labels.kind]
one_of = ["press"]
[duties]
administer = ["administrators"]
[role.maintain]
why = "repair"
shell = { as = ["svc"] }
[[allow]]
id = "A1"
why = "everywhere"
who = ["technicians"]
role = "maintain"
devices = "all"
hours = "always"
`

// house is a gateway on real parts: WebSockets, signer, log, database, office. The devices are in this process.
type house struct {
	*Registry
	t      *testing.T
	db     *sqlite.DB
	signer *signer.Service
	office *enroll.Office
	srv    *httptest.Server
	limits *connlimit.Limits // of srv
	host   string
	noise  wire.NoiseKey
	admin  signer.Evidence
	stop   func()
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newHouse(t *testing.T, change ...func(*Config)) *house { return newHouseTLS(t, false, change...) }

func newHouseTLS(t *testing.T, withTLS bool, change ...func(*Config)) *house {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	h := &house{t: t, admin: signer.Evidence{APIToken: "spt_admin"}, noise: must(wire.NewNoiseKey())(t)}
	mux := http.NewServeMux()
	mux.HandleFunc(wire.ControlPath, func(w http.ResponseWriter, r *http.Request) { h.Control(w, r) })
	mux.HandleFunc(wire.SessionPath, func(w http.ResponseWriter, r *http.Request) { h.Session(w, r) })
	h.srv = httptest.NewUnstartedServer(mux)
	h.host = h.srv.Listener.Addr().String()
	h.limits = connlimit.New(connlimit.Config{PerPeer: 10_000, Total: 10_000})
	h.srv.Listener, h.srv.Config.ConnContext = h.limits.Listener(h.srv.Listener), connlimit.Context
	if withTLS {
		_, port, _ := net.SplitHostPort(h.host)
		h.host = "localhost:" + port
		h.srv.StartTLS()
	} else {
		h.srv.Start()
	}
	t.Cleanup(h.srv.Close)
	h.db = must(sqlite.Open(ctx, filepath.Join(dir, "db"), sqlite.Options{}))(t)
	t.Cleanup(func() { h.db.Close() })
	h.signer = must(signer.New(signer.Config{Dir: filepath.Join(dir, "signer"), Origin: "test/log", Hosts: []string{h.host}, NoiseKey: h.noise.Public,
		PassTime: time.Hour, SignInAge: 12 * time.Hour, RetainFor: time.Hour}))(t)
	t.Cleanup(func() { h.signer.Close() })
	h.seed()
	log := &audit.Log{Signer: h.signer, Rows: h.db}
	h.office = &enroll.Office{Store: h.db, Signer: h.signer, Audit: log, URL: "http://127.0.0.1:80", Noise: h.noise.Public}
	cfg := Config{NoiseKey: h.noise, Signer: h.signer, Store: h.db, Office: h.office, Audit: log, Node: "test", Host: h.host, NoTLS: !withTLS}
	for _, c := range change {
		c(&cfg)
	}
	h.Registry = New(cfg)
	h.probe = 300 * time.Millisecond
	h.office.Lines = h.Registry
	h.run()
	return h
}

func (h *house) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				h.t.Error(err)
			}
		case <-time.After(bound):
			h.t.Errorf("Run did not return within %s", bound)
		}
	}
	h.t.Cleanup(func() { h.stop() })
	within(h.t, "begin", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.Registry.open })
}

func (h *house) seed() {
	h.t.Helper()
	expires := time.Now().Add(time.Hour)
	who := func(sub string) id.Principal { return id.Principal{Issuer: "https://idp.test", Subject: sub} }
	err := h.signer.Seed(context.Background(), []signer.PolicyFile{{Name: "p.toml", Text: policy}}, []signer.Token{
		{ID: "t1", Hash: wire.Sum([]byte("spt_tech")), Principal: who("tess"), Name: "Tess", Groups: []string{"technicians"}, Scopes: []string{"session"}, Expires: expires},
		{ID: "t2", Hash: wire.Sum([]byte("spt_admin")), Principal: who("ada"), Name: "Ada", Groups: []string{"administrators"}, Scopes: []string{"administer"}, Expires: expires},
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// bound is how long a test waits for what must come: far longer than the second or two promised, for a busy machine.
const bound = time.Minute

// within polls until ok, and gives how long that took.
func within(t testing.TB, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > bound {
			t.Fatalf("not within %s: %s", bound, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(began)
}

// machine is a device: its keys, and how it behaves.
type machine struct {
	h      *house
	host   ssh.Signer
	noise  wire.NoiseKey
	gen    uint32
	boot   string
	bundle uint64
	tls    func([]byte) []byte // what it says about its exporter; nil: the truth
	wall   int64               // what its own clock says
	speaks []int               // versions that it names; nil: those of this release
	name   id.Device
	silent *atomic.Bool // its session lines answer nothing
}

func newMachine(h *house) *machine {
	h.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return &machine{h: h, host: must(ssh.NewSignerFromSigner(must(key, err)(h.t)))(h.t), noise: must(wire.NewNoiseKey())(h.t), boot: "boot-1", silent: new(atomic.Bool)}
}

func (m *machine) fp() wire.Hash { return wire.Fingerprint(m.host.PublicKey()) }

func (m *machine) row() store.Device {
	m.h.t.Helper()
	return must(m.h.db.DeviceByFP(context.Background(), m.fp()))(m.h.t)
}

// ctl is the device's end of a control line.
type ctl struct {
	m     *machine
	line  *wire.Line
	ws    *wire.WS
	reply wire.HelloReply
	mute  bool // does not answer the gateway's pings
	got   chan []byte
	ended chan error
}

func (m *machine) dial(path, sub string, limit int64, header http.Header) (*wire.WS, error) {
	d := wire.Dial{Host: m.h.host, Path: path, Subprotocol: sub, Limit: limit, Header: header}
	if m.h.srv.TLS != nil {
		pool := m.h.srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		d.TLS = &tls.Config{RootCAs: pool, ServerName: "example.com"}
		d.NetDial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, m.h.srv.Listener.Addr().String())
		}
	}
	return wire.DialWS(m.h.t.Context(), d)
}

func (m *machine) versions() []int {
	if m.speaks != nil {
		return m.speaks
	}
	return wire.OfferedVersions()
}

func (m *machine) hello(ws *wire.WS, part *wire.EnrolPart) []byte {
	m.h.t.Helper()
	x := ws.Exporter()
	if m.tls != nil {
		x = m.tls(x)
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	return must(wire.Encode(wire.Hello{V: m.versions(), Device: m.fp(), Gen: m.gen, TLS: x, Bundle: m.bundle, Log: wire.TreeHead{Origin: "test/log"},
		Boot: m.boot, Agent: "0.1", Nonce: nonce, Wall: m.wall, Enrol: part}))(m.h.t)
}

// greet runs the handshake only.
func (m *machine) greet(part *wire.EnrolPart) (*ctl, error) {
	ws, err := m.dial(wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil)
	if err != nil {
		return nil, err
	}
	line, raw, err := wire.Initiate(m.h.t.Context(), ws, m.noise, m.h.noise.Public, m.hello(ws, part))
	if err != nil {
		ws.Close()
		return nil, err
	}
	c := &ctl{m: m, line: line, ws: ws, got: make(chan []byte, 256), ended: make(chan error, 1)}
	if err := wire.StrictJSON(raw, &c.reply); err != nil {
		return nil, err
	}
	return c, nil
}

// connect also pings, and answers from then on.
func (m *machine) connect(mute ...bool) (*ctl, error) {
	c, err := m.greet(nil)
	if err != nil {
		return nil, err
	}
	c.mute = len(mute) > 0
	m.h.t.Cleanup(func() { c.ws.Close() })
	if err := c.ping(); err != nil {
		return nil, err
	}
	go c.read()
	return c, nil
}

func (c *ctl) ping() error {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	return c.line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: nonce}, time.Second)
}

func (c *ctl) read() {
	for {
		raw, err := c.line.Receive(time.Time{})
		if err != nil {
			c.ended <- err
			return
		}
		if kind, _ := wire.Kind(raw); kind == wire.TypePing {
			if !c.mute {
				c.ping()
			}
			continue
		}
		c.got <- raw
	}
}

// next gives the next message of a type; others are passed over.
func next[T any](t testing.TB, c *ctl, kind string) T {
	t.Helper()
	late := time.After(bound)
	for {
		select {
		case raw := <-c.got:
			if k, _ := wire.Kind(raw); k == kind {
				return must(wire.Decode[T](raw))(t)
			}
		case err := <-c.ended:
			t.Fatalf("waiting for %s: %v", kind, err)
		case <-late:
			t.Fatalf("no %s within %s", kind, bound)
		}
	}
}

// end waits until the gateway has closed the line, and gives the close code.
func (c *ctl) end() int {
	c.m.h.t.Helper()
	select {
	case err := <-c.ended:
		return wire.CloseCode(err)
	case <-time.After(bound):
		c.m.h.t.Fatalf("the line is up after %s", bound)
		return 0
	}
}

// state checks a status under the signer's key.
func (h *house) state(s wire.Signed) wire.Status {
	h.t.Helper()
	keys := must(h.signer.Keys(context.Background()))(h.t)
	return must(wire.ParseStatus(s, []ssh.PublicKey{keys.SessionCA.PublicKey}))(h.t)
}

func (h *house) code(s enroll.TokenSpec) wire.JoinCode {
	h.t.Helper()
	c, _, err := h.office.CreateToken(context.Background(), enroll.Actor{Name: "ada"}, s)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (m *machine) part(c wire.JoinCode) *wire.EnrolPart {
	m.h.t.Helper()
	proof := must(wire.Sign(m.host, wire.PurposeEnrol, wire.EnrolProof(m.noise.Public[:], c.ID[:], c.Secret[:])))(m.h.t)
	return &wire.EnrolPart{ID: c.ID[:], Secret: c.Secret[:], HostKey: wire.PublicKey{PublicKey: m.host.PublicKey()}, Name: "Press.plant.example", OS: "linux", Proof: proof}
}

func (m *machine) enrol(c wire.JoinCode) error {
	l, err := m.greet(m.part(c))
	if err != nil {
		return err
	}
	l.ws.Close()
	if l.reply.Error != "" {
		return errors.New(l.reply.Error)
	}
	m.name = id.Device(l.reply.Name)
	return nil
}

// admitted is a machine that is known and admitted.
func (h *house) admitted(name string) *machine {
	h.t.Helper()
	m := newMachine(h)
	if err := m.enrol(h.code(enroll.TokenSpec{Name: name})); err != nil {
		h.t.Fatal(err)
	}
	h.admit(m)
	return m
}

func (h *house) admit(m *machine) {
	h.t.Helper()
	must(h.office.Admit(context.Background(), h.admin, enroll.Actor{Name: "ada"}, m.name, enroll.Admission{Fingerprint: enroll.Fingerprint(m.fp())}))(h.t)
}

func (h *house) up(m *machine) *ctl {
	h.t.Helper()
	c := must(m.connect())(h.t)
	within(h.t, "online", func() bool { return h.Online(m.fp()) })
	next[wire.Pong](h.t, c, wire.TypePong)
	return c
}

// order has the signer announce a session and sign a pass, as the broker does.
func (h *house) order(m *machine) gateway.Order {
	h.t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	plain := must(ssh.NewSignerFromSigner(must(key, err)(h.t)))(h.t)
	sid := id.NewSession()
	o := must(h.signer.Open(context.Background(), signer.OpenRequest{Evidence: signer.Evidence{APIToken: "spt_tech"}, Session: sid, Device: m.name, Login: "svc",
		H0: wire.Sum(sid[:]), RecordKey: pub, SessionKey: plain.PublicKey().Marshal(), AckSize: h.Ack(m.fp())}))(h.t)
	cert := must(ssh.ParsePublicKey(o.Pass))(h.t).(*ssh.Certificate)
	return gateway.Order{Session: sid, Device: m.fp(), Login: "svc", Signer: must(ssh.NewCertSigner(cert, plain))(h.t),
		Open: wire.Open{Pass: o.Pass, Leaf: o.Leaf, Nonce: o.Nonce, Body: o.Body, Index: o.Index, Proof: o.Proof, Consistency: o.Consistency, Checkpoint: o.Checkpoint}}
}

type opened struct {
	line *sessionline.Line
	err  error
}

func (h *house) opening(o gateway.Order) <-chan opened {
	out := make(chan opened, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*bound)
		defer cancel()
		l, err := h.Open(ctx, o)
		out <- opened{l, err}
	}()
	return out
}

// dialBack is the supervisor: it serves SSH under a host key and takes the pass of the open message only.
func (m *machine) dialBack(o wire.Open, host ssh.Signer) (*ssh.ServerConn, error) {
	ws, err := m.dial(wire.SessionPath, wire.SessionSubprotocol, wire.MaxStream, http.Header{wire.TicketHeader: {wire.B64.EncodeToString(o.Ticket)}})
	if err != nil {
		return nil, err
	}
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != "svc" || string(k.Marshal()) != string(o.Pass) {
			return nil, errors.New("not the pass")
		}
		return &ssh.Permissions{CriticalOptions: k.(*ssh.Certificate).CriticalOptions}, nil
	}}
	cfg.AddHostKey(host)
	conn, chans, reqs, err := ssh.NewServerConn(ws.Stream(), cfg)
	if err != nil {
		ws.Close()
		return nil, err
	}
	go func() {
		for r := range reqs {
			if !m.silent.Load() {
				r.Reply(false, nil)
			}
		}
	}()
	go func() {
		for c := range chans {
			if ch, creqs, err := c.Accept(); err == nil {
				go ssh.DiscardRequests(creqs)
				wire.WriteEvent(ch, wire.Event{Kind: wire.EventNotice, Text: "hello from " + strings.ToLower(string(m.name))})
				ch.Close()
			}
		}
	}()
	return conn, nil
}
