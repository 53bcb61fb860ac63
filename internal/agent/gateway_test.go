package agent_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	_ "github.com/sallyport/sallyport/internal/agent/supervise" // what the binary is made of: go's test cache asks for it
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/programtest"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// agentBinary is the real agent, built once. With the tag it has a clock that tests may speed up; it is the same else.
var agentBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "agent-test")
	if err != nil {
		panic(err)
	}
	agentBinary = filepath.Join(dir, "sallyport-agent")
	sources, _ := filepath.Glob("../../cmd/sallyport-agent/*.go")
	for _, f := range sources {
		os.ReadFile(f) // makes it an input of the test cache
	}
	build := exec.Command("go", "build", "-tags", "testclock", "-o", agentBinary, "github.com/sallyport/sallyport/cmd/sallyport-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func newSigner() ssh.Signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	s, err := ssh.NewSignerFromKey(k)
	if err != nil {
		panic(err)
	}
	return s
}

// gate is a gateway and signer in one, written on internal/wire alone, that tells the truth unless a test has it lie.
type gate struct {
	reading atomic.Int32 // lines

	t        *testing.T
	srv      *httptest.Server
	host     string
	url      string
	root, ca ssh.Signer
	noise    wire.NoiseKey
	log      *ledger.Log
	logSign  note.Signer
	logKey   string
	code     wire.JoinCode

	mu      sync.Mutex
	bundle  wire.Signed
	serial  uint64
	epoch   uint64
	state   string
	waits   int           // how often a device was told that it waits
	waited  chan struct{} // closed when it was told so twice: it asks again once it has said so itself
	ping    int           // seconds
	mute    bool          // pings get no answer
	version int           // of the control protocol that it says it speaks
	hostKey ssh.PublicKey
	fp      wire.Hash
	hello   wire.Hello
	line    *wire.Line
	joined  chan struct{} // closed when a line is up
	nonce   []byte
	ack     uint64
	pings   uint64
	frozen  bool
	answers map[id.Session]chan any // wire.Accepted or wire.Refuse
	dials   map[string]chan *wire.WS
	strange int // session lines with an unknown ticket
	reports []wire.Report
}

var errUnknown = errors.New("unknown device")

const logOrigin = "test.example/log"

// newGate is one on loopback without TLS.
func newGate(t *testing.T) *gate {
	t.Helper()
	return newGateOn(t, "127.0.0.1", "", nil)
}

// newGateOn listens at an address. With a certificate it speaks TLS, and is known by the name.
func newGateOn(t *testing.T, addr, name string, cert *tls.Certificate) *gate {
	t.Helper()
	g := &gate{t: t, root: newSigner(), ca: newSigner(), serial: 1, epoch: 100, state: wire.StateOK, waited: make(chan struct{}), ping: 5, version: wire.ControlVersion,
		joined:  make(chan struct{}),
		answers: map[id.Session]chan any{}, dials: map[string]chan *wire.WS{}}
	var err error
	if g.noise, err = wire.NewNoiseKey(); err != nil {
		t.Fatal(err)
	}
	g.log, g.logSign, g.logKey = newLogKey(t)
	mux := http.NewServeMux()
	mux.HandleFunc(wire.ControlPath, g.control)
	mux.HandleFunc(wire.SessionPath, g.session)
	g.listen(addr, name, cert, mux)
	t.Cleanup(func() { g.srv.CloseClientConnections(); g.cut(); g.srv.Close() })
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bundle = g.makeBundle(nil)
	g.code = wire.JoinCode{URL: g.url, Bundle: wire.Sum(g.bundle.Body), Noise: g.noise.Public}
	rand.Read(g.code.ID[:])
	rand.Read(g.code.Secret[:])
	return g
}

func (g *gate) listen(addr, name string, cert *tls.Certificate, mux *http.ServeMux) {
	g.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.srv = httptest.NewUnstartedServer(mux)
	g.srv.Listener.Close()
	g.srv.Listener, g.srv.Config.ErrorLog = l, stdlog.New(io.Discard, "", 0)
	g.host, g.url = l.Addr().String(), "http://"+l.Addr().String()
	if cert == nil {
		g.srv.Start()
		return
	}
	g.host = net.JoinHostPort(name, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	g.url = "https://" + g.host
	g.srv.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	g.srv.StartTLS()
}

func newLogKey(t *testing.T) (*ledger.Log, note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, logOrigin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return createLog(t, s), s, vkey
}

func createLog(t *testing.T, s note.Signer) *ledger.Log {
	t.Helper()
	l, err := ledger.Create(filepath.Join(t.TempDir(), "log"), logOrigin, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func newLog(t *testing.T) (*ledger.Log, string) {
	l, _, key := newLogKey(t)
	return l, key
}

// fork makes another history of the log, longer than the first, signed by the same key.
func (g *gate) fork(t *testing.T) *ledger.Log {
	t.Helper()
	l := createLog(t, g.logSign)
	for range g.log.Head().Size + 1 {
		body, _ := ledger.EventBody{By: "x"}.Marshal()
		if _, err := l.Append(t.Context(), ledger.Entry{Leaf: ledger.Leaf{Type: "policy", Commit: ledger.Commit([16]byte{}, body)}, Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// speak makes it a gateway of a version of the control protocol.
func (g *gate) speak(version int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.version = version
}

func (g *gate) isFrozen() bool {
	for range 6000 {
		g.mu.Lock()
		f := g.frozen
		g.mu.Unlock()
		if f {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func (g *gate) makeBundle(change func(*wire.Bundle)) wire.Signed {
	b := wire.Bundle{V: 1, Serial: g.serial, Root: wire.PublicKey{PublicKey: g.root.PublicKey()}, Gateway: []wire.Hash{g.noise.Public},
		SessionCA: []wire.PublicKey{{PublicKey: g.ca.PublicKey()}}, Log: wire.LogIdentity{Origin: logOrigin, Key: g.logKey}, Hosts: []string{g.host}}
	if change != nil {
		change(&b)
	}
	body, err := json.Marshal(b)
	if err != nil {
		g.t.Fatal(err)
	}
	s, err := wire.Make(g.root, wire.PurposeBundle, body)
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

func (g *gate) status(nonce []byte, change func(*wire.Status)) wire.Signed {
	st := wire.Status{Nonce: nonce, Device: g.fp, Time: time.Now().UnixMilli(), Epoch: g.epoch, Bundle: g.serial, State: g.state}
	if change != nil {
		change(&st)
	}
	if st.State == wire.StateWaiting {
		if g.waits++; g.waits == 2 {
			close(g.waited)
		}
	}
	s, err := st.Sign(g.ca)
	if err != nil {
		panic(err)
	}
	return s
}

func (g *gate) control(w http.ResponseWriter, r *http.Request) {
	ws, err := wire.UpgradeWS(w, r, wire.ControlSubprotocol, wire.MaxControl)
	if err != nil {
		return
	}
	g.reading.Add(1)
	go func() {
		defer g.reading.Add(-1)
		g.greet(ws)
	}()
}

func (g *gate) greet(ws *wire.WS) {
	enrol := false
	responder, err := wire.NewResponder(g.noise)
	if err != nil {
		g.t.Error(err)
		return
	}
	l, err := responder.Respond(context.Background(), ws, func(peer wire.Hash, raw []byte) ([]byte, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		var h wire.Hello
		if err := wire.StrictJSON(raw, &h); err != nil {
			return nil, err
		}
		if !slices.Contains(h.V, g.version) {
			return nil, errors.New("hello: a field is not as it must be")
		}
		reply := wire.HelloReply{V: g.version, Node: "test", NoTLS: true, Ping: g.ping, Name: "press-1"}
		if p := h.Enrol; p != nil {
			enrol = true
			if string(p.Secret) != string(g.code.Secret[:]) || wire.Verify(p.HostKey, wire.PurposeEnrol, wire.EnrolProof(peer[:], p.ID, p.Secret), p.Proof) != nil {
				reply.Error = "this join code is not known"
				return json.Marshal(reply)
			}
			g.hostKey, g.fp = p.HostKey.PublicKey, wire.Fingerprint(p.HostKey)
			reply.Bundle = &g.bundle
			return json.Marshal(reply)
		}
		if h.Device != g.fp || g.fp.IsZero() {
			return nil, errUnknown
		}
		g.hello, g.nonce, g.ack = h, h.Nonce, h.Log.Size
		st := g.status(h.Nonce, nil)
		reply.Status = &st
		if h.Bundle < g.serial {
			reply.Bundle = &g.bundle
		}
		return json.Marshal(reply)
	})
	if errors.Is(err, errUnknown) {
		ws.CloseWith(wire.CloseUnknown, "")
		return
	}
	if err != nil {
		ws.Close()
		return
	}
	if enrol {
		ws.ReadMessage()
		ws.Close()
		return
	}
	g.read(l)
}

// read serves a line. It counts from its first message, as at a gateway: an enrolment that waits to be admitted has a line too,
// and what is sent on that as it goes reaches nobody.
func (g *gate) read(l *wire.Line) {
	for counts := false; ; {
		raw, err := l.Receive(time.Time{})
		if err != nil {
			if !counts {
				return
			}
			break
		}
		if !counts {
			counts = true
			g.mu.Lock()
			if g.line == nil { // otherwise it replaces a line that was lost without a close
				close(g.joined)
			}
			g.line = l
			g.mu.Unlock()
		}
		kind, _ := wire.Kind(raw)
		switch kind {
		case wire.TypePing:
			m, _ := wire.Decode[wire.Ping](raw)
			g.mu.Lock()
			g.nonce, g.ack, g.frozen = m.Nonce, m.Size, m.Frozen
			g.pings++
			pong, mute := wire.Pong{T: wire.TypePong, Status: g.status(m.Nonce, nil)}, g.mute
			g.mu.Unlock()
			if !mute {
				l.SendMsg(pong, time.Second)
			}
		case wire.TypeAccepted:
			m, _ := wire.Decode[wire.Accepted](raw)
			g.answer(m.Session, m)
		case wire.TypeRefuse:
			m, _ := wire.Decode[wire.Refuse](raw)
			g.answer(m.Session, m)
		case wire.TypeReport:
			m, _ := wire.Decode[wire.Report](raw)
			g.mu.Lock()
			g.reports = append(g.reports, m)
			g.mu.Unlock()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.line == l {
		g.line, g.joined = nil, make(chan struct{})
	}
}

func (g *gate) answer(sid id.Session, m any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ch := g.answers[sid]; ch != nil {
		ch <- m
	}
}

// cut breaks the control line.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.line != nil {
		g.line.Close()
	}
}

func (g *gate) session(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	ch := g.dials[r.Header.Get(wire.TicketHeader)]
	if ch == nil {
		g.strange++
	}
	g.mu.Unlock()
	if ch == nil {
		http.Error(w, "no such ticket", http.StatusForbidden)
		return
	}
	ws, err := wire.UpgradeWS(w, r, wire.SessionSubprotocol, wire.MaxStream)
	if err != nil {
		return
	}
	select {
	case ch <- ws:
	default:
		ws.Close()
	}
}

// online waits for the control line.
func (g *gate) online() *wire.Line {
	g.t.Helper()
	deadline := time.After(time.Minute)
	for {
		g.mu.Lock()
		l, joined := g.line, g.joined
		g.mu.Unlock()
		if l != nil {
			return l
		}
		select {
		case <-joined:
		case <-deadline:
			g.t.Fatal("the agent did not come online")
		}
	}
}

// order is an open before it is sent, with the keys that the gateway keeps to itself.
type order struct {
	open wire.Open
	key  ssh.Signer // presents the pass
	pass *wire.Pass
}

// wish is what a test wants otherwise.
type wish struct {
	login   string
	actions []string          // action words, with bare {word} and {number} for placeholders
	lie     func(*wire.Grant) // what no signer of this version would sign
	grant   func(*wire.Grant)
	cert    func(*ssh.Certificate)
	ca      ssh.Signer
	window  func() (from, until time.Time)
	status  func(*wire.Status)
	log     *ledger.Log
	body    func(*ledger.OpenBody)
	open    func(*wire.Open)
}

// order makes an open that a device agrees to, as far as the wish leaves it so.
func (g *gate) order(w wish) order {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	sid := id.NewSession()
	if w.login == "" {
		w.login = self()
	}
	if w.actions == nil {
		w.actions = []string{"shell:" + w.login}
	}
	grant := wire.Grant{V: wire.GrantVersion, Session: sid, Device: g.fp, Subject: wire.Subject{Pseudonym: []byte{1}, Display: "Jana Keller"},
		Reason: "valve", Approvers: []string{}, Epoch: g.epoch, IssuedMS: time.Now().UnixMilli()}
	grant.SetScope(programtest.Scope(w.login, w.actions...))
	if w.grant != nil {
		w.grant(&grant)
	}
	from, until := time.Now().Add(-30*time.Second), time.Now().Add(time.Hour)
	if w.window != nil {
		from, until = w.window()
	}
	ca := g.ca
	if w.ca != nil {
		ca = w.ca
	}
	key := newSigner()
	pass, err := wire.NewPass(grant, key.PublicKey(), ca.PublicKey(), from, until)
	if err != nil {
		g.t.Fatal(err)
	}
	if w.lie != nil {
		w.lie(&grant)
		raw, err := wire.MarshalCBOR(grant)
		if err != nil {
			g.t.Fatal(err)
		}
		pass.Cert.CriticalOptions[wire.GrantOption] = string(raw)
	}
	if w.cert != nil {
		w.cert(pass.Cert)
	}
	raw, err := pass.Sign(ca)
	if err != nil {
		g.t.Fatal(err)
	}
	o := order{key: key, pass: pass, open: wire.Open{T: wire.TypeOpen, Session: sid, Host: g.host, Pass: raw, H0: wire.Hash{7}, Status: g.status(g.nonce, w.status)}}
	o.open.Ticket = make([]byte, 32)
	rand.Read(o.open.Ticket)
	g.announce(&o, w)
	if w.open != nil {
		w.open(&o.open)
	}
	return o
}

func (g *gate) announce(o *order, w wish) {
	g.t.Helper()
	l := g.log
	if w.log != nil {
		l = w.log
	}
	ob := ledger.OpenBody{Session: o.open.Session, DeviceFP: g.fp, H0: o.open.H0, Pass: o.pass.Hash, GatewayPub: make(ed25519.PublicKey, 32)}
	if w.body != nil {
		w.body(&ob)
	}
	body, err := ob.Marshal()
	if err != nil {
		g.t.Fatal(err)
	}
	var n [16]byte
	rand.Read(n[:])
	leaf := ledger.Leaf{Type: "open", Commit: ledger.Commit(n, body)}
	rec, err := l.Append(g.t.Context(), ledger.Entry{Leaf: leaf, Nonce: n, Body: body})
	if err != nil {
		g.t.Fatal(err)
	}
	o.open.Leaf, _ = leaf.Marshal()
	o.open.Nonce, o.open.Body, o.open.Index, o.open.Checkpoint = n[:], body, rec.Index, rec.Checkpoint.Note
	proof, err := l.Prove(rec.Index, rec.Checkpoint.Size)
	if err != nil {
		g.t.Fatal(err)
	}
	o.open.Proof = hashes(proof)
	if g.ack > 0 && g.ack <= rec.Checkpoint.Size {
		proof, err = l.ProveConsistency(g.ack, rec.Checkpoint.Size)
		if err != nil {
			g.t.Fatal(err)
		}
		o.open.Consistency = hashes(proof)
	}
}

func hashes(in [][32]byte) []wire.Hash {
	out := make([]wire.Hash, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}

// send asks the device and gives its answer.
func (g *gate) send(o order) any {
	g.t.Helper()
	l := g.online()
	ch := make(chan any, 4)
	g.mu.Lock()
	g.answers[o.open.Session] = ch
	g.dials[wire.B64.EncodeToString(o.open.Ticket)] = make(chan *wire.WS, 3)
	g.mu.Unlock()
	if err := l.SendMsg(o.open, 5*time.Second); err != nil {
		g.t.Fatal(err)
	}
	select {
	case m := <-ch:
		return m
	case <-time.After(time.Minute):
		g.t.Fatal("the device gave no answer")
		return nil
	}
}

// dialled waits for the session line of an order.
func (g *gate) dialled(o order, within time.Duration) *wire.WS {
	g.mu.Lock()
	ch := g.dials[wire.B64.EncodeToString(o.open.Ticket)]
	g.mu.Unlock()
	select {
	case ws := <-ch:
		return ws
	case <-time.After(within):
		return nil
	}
}

// key is the enrolled host key.
func (g *gate) key() ssh.PublicKey {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hostKey
}

// live is a session line.
type live struct {
	g      *gate
	sid    id.Session
	conn   ssh.Conn
	opened atomic.Uint32 // number of the channel that was opened last
	mu     sync.Mutex
	events []wire.Event
	more   chan struct{}
}

// start opens a session and its events.
func (g *gate) start(w wish) *live {
	g.t.Helper()
	l := g.silent(w)
	l.listen()
	return l
}

// silent opens a session without its events.
func (g *gate) silent(w wish) *live {
	g.t.Helper()
	o := g.order(w)
	if m, ok := g.send(o).(wire.Accepted); !ok {
		g.t.Fatalf("not accepted: %+v", m)
	}
	return g.take(o)
}

// attach takes the session line that the device dialled, and opens the events.
func (g *gate) attach(o order) *live {
	g.t.Helper()
	l := g.take(o)
	l.listen()
	return l
}

func (l *live) listen() {
	l.g.t.Helper()
	ev, evReqs, err := l.conn.OpenChannel(wire.EventsChannel, nil)
	if err != nil {
		l.g.t.Fatal(err)
	}
	go ssh.DiscardRequests(evReqs)
	go l.readEvents(ev)
}

func (g *gate) take(o order) *live {
	g.t.Helper()
	ws := g.dialled(o, 10*time.Second)
	if ws == nil {
		g.t.Fatal("the supervisor did not dial")
	}
	cert, err := ssh.ParsePublicKey(o.open.Pass)
	if err != nil {
		g.t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert.(*ssh.Certificate), o.key)
	if err != nil {
		g.t.Fatal(err)
	}
	conn, chans, reqs, err := ssh.NewClientConn(ws.Stream(), "device", &ssh.ClientConfig{User: o.pass.Grant.Login, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.FixedHostKey(g.key())})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	go func() {
		for c := range chans {
			c.Reject(ssh.Prohibited, "no")
		}
	}()
	go ssh.DiscardRequests(reqs)
	return &live{g: g, sid: o.open.Session, conn: conn, more: make(chan struct{}, 1)}
}

func (l *live) readEvents(r io.Reader) {
	for {
		e, err := wire.ReadEvent(r)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.events = append(l.events, e)
		l.mu.Unlock()
		select {
		case l.more <- struct{}{}:
		default:
		}
	}
}

// verdicts gives one letter for each byte of input: c clear, h hidden, once as many bytes have a verdict.
func (l *live) verdicts(ch uint32, want int) string {
	l.g.t.Helper()
	deadline := time.After(time.Minute)
	for {
		var b strings.Builder
		l.mu.Lock()
		for _, e := range l.events {
			if e.Kind == wire.EventVerdict && e.Channel == ch {
				if int(e.Offset) != b.Len() {
					l.g.t.Errorf("a verdict at %d after %d bytes", e.Offset, b.Len())
				}
				b.WriteString(strings.Repeat(map[bool]string{true: "h", false: "c"}[e.Hidden], int(e.Len)))
			}
		}
		l.mu.Unlock()
		if b.Len() >= want {
			return b.String()
		}
		select {
		case <-l.more:
		case <-deadline:
			l.g.t.Fatalf("verdicts for %d bytes only, want %d", b.Len(), want)
		}
	}
}

// find waits until there are so many events of a kind: they come on a channel of their own, also after what they tell of.
func (l *live) find(kind wire.EventKind, want int) []wire.Event {
	var out []wire.Event
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		out = nil
		l.mu.Lock()
		for _, e := range l.events {
			if e.Kind == kind {
				out = append(out, e)
			}
		}
		l.mu.Unlock()
		if len(out) >= want || time.Now().After(end) {
			return out
		}
	}
}

// prog is one program on a channel.
type prog struct {
	ch     ssh.Channel
	status *uint32
	signal string
	closed chan struct{}
	why    string          // that the device gives for the end of the session
	seen   strings.Builder // output that nobody expected yet
}

func (l *live) channel() *prog {
	l.g.t.Helper()
	return l.numbered(l.opened.Add(1))
}

func (l *live) numbered(n uint32) *prog {
	l.g.t.Helper()
	ch, reqs, err := l.conn.OpenChannel("session", wire.SessionChannel{Channel: n}.Marshal())
	if err != nil {
		l.g.t.Fatal(err)
	}
	p := &prog{ch: ch, closed: make(chan struct{})}
	go func() {
		defer close(p.closed)
		for r := range reqs {
			switch r.Type {
			case "exit-status":
				var m struct{ Status uint32 }
				ssh.Unmarshal(r.Payload, &m)
				p.status = &m.Status
			case "exit-signal":
				var m struct {
					Name       string
					Core       bool
					Text, Lang string
				}
				ssh.Unmarshal(r.Payload, &m)
				p.signal = m.Name
			case wire.EndedRequest:
				e, err := wire.ParseSessionEnded(r.Payload)
				if p.why = e.Reason; err != nil || p.status != nil || p.signal != "" {
					l.g.t.Errorf("%q, %v comes after the program's end, or is wrong", r.Payload, err)
				}
			}
			if r.WantReply {
				r.Reply(false, nil)
			}
		}
	}()
	return p
}

func (p *prog) terminal(t *testing.T, cols, rows uint32) *prog {
	t.Helper()
	ok, err := p.ch.SendRequest("pty-req", true, ssh.Marshal(struct {
		Term       string
		C, R, W, H uint32
		Modes      string
	}{"xterm-256color", cols, rows, 0, 0, "\x00"}))
	if err != nil || !ok {
		t.Fatalf("pty-req: %v, %v", ok, err)
	}
	return p
}

func (p *prog) exec(command string) bool {
	ok, err := p.ch.SendRequest("exec", true, ssh.Marshal(struct{ C string }{command}))
	return err == nil && ok
}

// finish reads all and waits for the end.
func (p *prog) finish(t *testing.T) (stdout, stderr string) {
	t.Helper()
	var wg sync.WaitGroup
	var o, e []byte
	wg.Go(func() { o, _ = io.ReadAll(p.ch) })
	wg.Go(func() { e, _ = io.ReadAll(p.ch.Stderr()) })
	wg.Wait()
	select {
	case <-p.closed:
	case <-time.After(time.Minute):
		t.Fatal("the channel did not close")
	}
	return p.seen.String() + string(o), string(e)
}

// expect reads until the text has come, and gives all up to it. What came after it is kept for the next.
func (p *prog) expect(t *testing.T, text string) string {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() { p.ch.Close() })
	defer late.Stop()
	buf := make([]byte, 4096)
	for {
		if got := p.seen.String(); strings.Contains(got, text) {
			i := strings.Index(got, text) + len(text)
			p.seen.Reset()
			p.seen.WriteString(got[i:])
			return got[:i]
		}
		n, err := p.ch.Read(buf)
		p.seen.Write(buf[:n])
		if err != nil && !strings.Contains(p.seen.String(), text) {
			t.Fatalf("got %q, want %q in it (%v)", p.seen.String(), text, err)
		}
	}
}

func (p *prog) typ(text string) { io.WriteString(p.ch, text) }
