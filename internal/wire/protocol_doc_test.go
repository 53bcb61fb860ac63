package wire_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

var update = flag.Bool("update", false, "write the examples of docs/protocol.md anew")

const document = "../../docs/protocol.md"

// TestTheExamplesOfTheProtocolAreWhatTheCodeMakes keeps docs/protocol.md true: every example of it is made again by the
// encoders and by a real handshake with fixed keys. Somebody writes an agent by these bytes.
func TestTheExamplesOfTheProtocolAreWhatTheCodeMakes(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	want := examples(t)
	seen := map[string]bool{}
	out := fence.ReplaceAllStringFunc(string(text), func(block string) string {
		m := fence.FindStringSubmatch(block)
		form, name, body := m[1], m[2], m[3]
		raw, known := want[name]
		if !known || seen[name] {
			t.Errorf("example %q: nobody makes it, or it stands there twice", name)
			return block
		}
		seen[name] = true
		if got := read(t, form, body); !bytes.Equal(got, raw) && !*update {
			t.Errorf("example %q: the document has\n%x\nthe code makes\n%x", name, got, raw)
		}
		return "```" + form + " " + name + "\n" + write(form, raw) + "```"
	})
	for name := range want {
		if !seen[name] {
			t.Errorf("example %q is not in the document", name)
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(document, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// fence finds the examples: hex bytes, text whose line breaks do not count, or lines that are meant as they stand.
var fence = regexp.MustCompile("(?s)```(hex|wrapped|lines) ([a-z0-9-]+)\n(.*?)```")

const width = 100

func write(form string, raw []byte) string {
	if form == "lines" {
		return string(raw)
	}
	text := string(raw)
	if form == "hex" {
		text = hex.EncodeToString(raw)
	}
	var b strings.Builder
	for ; len(text) > width; text = text[width:] {
		b.WriteString(text[:width] + "\n")
	}
	return b.String() + text + "\n"
}

func read(t *testing.T, form, body string) []byte {
	switch form {
	case "lines":
		return []byte(body)
	case "wrapped":
		return []byte(strings.ReplaceAll(body, "\n", ""))
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(body, "\n", ""))
	if err != nil {
		t.Errorf("hex: %v", err)
	}
	return raw
}

// The keys of the examples: a private key is one byte, 32 times.
const (
	rootSeed, caSeed, hostSeed, sessionSeed, logSeed byte = 1, 2, 3, 4, 9
	nextSeed                                         byte = 10
	gatewayNoise, deviceNoise                        byte = 5, 6
	deviceEphemeral, gatewayEphemeral                byte = 7, 8
)

func fill(b byte) (out [32]byte) {
	for i := range out {
		out[i] = b
	}
	return out
}

func signer(seed byte) ssh.Signer {
	s := fill(seed)
	k, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(s[:]))
	if err != nil {
		panic(err)
	}
	return k
}

// house is everything that the examples say to each other.
type house struct {
	t      *testing.T
	sid    id.Session
	out    map[string][]byte
	bundle wire.Signed
	status wire.Signed
	pass   *wire.Pass
	raw    []byte // the pass
	noise  [2]wire.NoiseKey
}

func examples(t *testing.T) map[string][]byte {
	h := &house{t: t, out: map[string][]byte{}}
	for i := range h.sid {
		h.sid[i] = 0x5a
	}
	h.noise = [2]wire.NoiseKey{noiseOf(t, deviceNoise), noiseOf(t, gatewayNoise)}
	h.makeBundle()
	h.makeStatus()
	h.makeJoinCode()
	h.makePass()
	h.makeOpen()
	h.makeLine()
	h.makeSmall()
	h.makeEvents()
	return h.out
}

func (h *house) put(name string, raw []byte, err error) []byte {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("example %q: %v", name, err)
	}
	h.out[name] = raw
	return raw
}

func noiseOf(t *testing.T, b byte) wire.NoiseKey {
	var k wire.NoiseKey
	withRandom(fill(b), func() {
		var err error
		if k, err = wire.NewNoiseKey(); err != nil {
			t.Fatal(err)
		}
	})
	return k
}

// withRandom makes keys that are the same each time. What crypto/rand gives elsewhere does not pass through its Reader.
func withRandom(first [32]byte, do func()) { withReader(bytes.NewReader(first[:]), do) }

func withReader(r io.Reader, do func()) {
	old := rand.Reader
	rand.Reader = r
	defer func() { rand.Reader = old }()
	do()
}

// logKey gives the log's keys in the forms of golang.org/x/mod/sumdb/note.
func logKey(t *testing.T) (note.Signer, string) {
	seed := fill(logSeed)
	key := ed25519.NewKeyFromSeed(seed[:])
	v, err := note.NewEd25519VerifierKey("gw.example/log", key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	hash := strings.Split(v, "+")[1]
	s, err := note.NewSigner("PRIVATE+KEY+gw.example/log+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func (h *house) makeBundle() {
	_, key := logKey(h.t)
	body, err := json.Marshal(wire.Bundle{V: 1, Serial: 1, Root: wire.PublicKey{PublicKey: signer(rootSeed).PublicKey()},
		Gateway: []wire.Hash{h.noise[1].Public}, SessionCA: []wire.PublicKey{{PublicKey: signer(caSeed).PublicKey()}},
		Log: wire.LogIdentity{Origin: "gw.example/log", Key: key}, Hosts: []string{"gw.example:443"}})
	h.put("bundle-body", body, err)
	h.bundle, err = wire.Make(signer(rootSeed), wire.PurposeBundle, body)
	h.put("bundle-signature", h.bundle.Sig, err)
	_, err = wire.ParseBundle(h.bundle)
	sum := wire.Sum(body)
	h.put("bundle-hash", sum[:], err)
}

func (h *house) device() wire.Hash { return wire.Fingerprint(signer(hostSeed).PublicKey()) }

func (h *house) nonce() []byte { return bytes.Repeat([]byte{0x11}, 16) }

func (h *house) makeStatus() {
	fp := h.device()
	h.put("device-fp", fp[:], nil)
	var err error
	h.status, err = wire.Status{Nonce: h.nonce(), Device: fp, Time: 1_800_000_000_000, Epoch: 1_799_990_000, Bundle: 1, State: wire.StateOK}.Sign(signer(caSeed))
	h.put("status-body", h.status.Body, err)
	h.put("status-signature", h.status.Sig, nil)
}

func (h *house) makeJoinCode() {
	c := wire.JoinCode{URL: "https://gw.example", ID: [16]byte(bytes.Repeat([]byte{0x21}, 16)), Secret: fill(0x22), Bundle: wire.Sum(h.bundle.Body), Noise: h.noise[1].Public}
	_, err := wire.ParseJoinCode(c.String())
	h.put("join-code", []byte(c.String()), err)
	proof := wire.EnrolProof(h.noise[0].Public[:], c.ID[:], c.Secret[:])
	h.put("enrol-proof", proof, nil)
	sig, err := wire.Sign(signer(hostSeed), wire.PurposeEnrol, proof)
	h.put("enrol-signature", sig, err)
	hello := h.hello()
	hello.Enrol = &wire.EnrolPart{ID: c.ID[:], Secret: c.Secret[:], HostKey: wire.PublicKey{PublicKey: signer(hostSeed).PublicKey()}, Name: "press-7", Serial: "A-17", OS: "Debian", Proof: sig}
	raw, err := json.Marshal(hello.Enrol)
	h.put("enrol-part", raw, err)
}

func (h *house) hello() wire.Hello {
	return wire.Hello{V: wire.OfferedVersions(), Device: h.device(), TLS: bytes.Repeat([]byte{0x33}, 32), Bundle: 1, Epoch: 1_799_990_000,
		Log: wire.TreeHead{}, Boot: "1f0c", Agent: "example 1", Nonce: h.nonce()}
}

func (h *house) makePass() {
	from := time.Unix(1_800_000_000, 0)
	g := wire.Grant{V: wire.GrantVersion, Session: h.sid, Device: h.device(), Subject: wire.Subject{Pseudonym: bytes.Repeat([]byte{0x44}, 32), Display: "Jana"},
		Reason: "valve", Ticket: "T-1", Approvers: []string{}, PolicySHA256: fill(0x45), Epoch: 1_799_990_000,
		IssuedMS: 1_800_000_000_000, MaxConcurrent: 1}
	scope, err := authz.ParseScope("svc", []string{"run:svc /bin/ls '{word}'", "shell:svc"},
		[]authz.Template{{{Literal: "/bin/ls"}, {Literal: "-l"}, {Placeholder: authz.AnyWord}}})
	if err != nil {
		h.t.Fatal(err)
	}
	g.SetScope(scope)
	raw, err := wire.MarshalCBOR(g)
	h.put("grant", raw, err)
	p, err := wire.NewPass(g, signer(sessionSeed).PublicKey(), signer(caSeed).PublicKey(), from.Add(-30*time.Second), from.Add(time.Hour))
	if err != nil {
		h.t.Fatal(err)
	}
	p.Cert.Nonce = bytes.Repeat([]byte{0x46}, 32)
	h.raw, err = p.Sign(signer(caSeed))
	h.put("pass", h.raw, err)
	h.pass, err = wire.ParsePass(h.raw, []ssh.PublicKey{signer(caSeed).PublicKey()})
	if err != nil {
		h.t.Fatal(err)
	}
	h.put("pass-hash", h.pass.Hash[:], nil)
}

// makeOpen announces the session of the pass as the first leaf of a log.
func (h *house) makeOpen() {
	h0, nonce := fill(0x51), [16]byte(bytes.Repeat([]byte{0x52}, 16))
	key := fill(0x53)
	body, err := ledger.OpenBody{Session: h.sid, Device: fill(0x54), DeviceFP: h.device(), H0: h0, Pass: h.pass.Hash, SlotRK: fill(0x55), SlotSK: fill(0x56),
		GatewayKey: fill(0x57), GatewayPub: key[:], RetainUntil: 1_900_000_000}.Marshal()
	if err != nil {
		h.t.Fatal(err)
	}
	leaf, err := ledger.Leaf{Type: "open", Commit: ledger.Commit(nonce, body)}.Marshal()
	h.put("open-leaf", leaf, err)
	sign, verifier := logKey(h.t)
	root := tlog.RecordHash(leaf)
	cp, err := note.Sign(&note.Note{Text: fmt.Sprintf("gw.example/log\n1\n%s\n", root)}, sign)
	h.put("checkpoint", cp, err)
	if _, err := ledger.ParseCheckpoint(cp, verifier); err != nil {
		h.t.Fatal(err)
	}
	msg, err := wire.Encode(wire.Open{T: wire.TypeOpen, Session: h.sid, Ticket: bytes.Repeat([]byte{0x58}, 32), Host: "gw.example:443", Pass: h.raw, Status: h.status, H0: h0,
		Leaf: leaf, Nonce: nonce[:], Body: body, Proof: []wire.Hash{}, Checkpoint: cp})
	h.put("message-open", msg, err)
	h.makeRenewal(leaf)
	h.put("ticket-header", []byte(wire.B64.EncodeToString(bytes.Repeat([]byte{0x58}, 32))), nil)
	h.put("session-ended", wire.SessionEnded{Reason: wire.EndedGrant}.Marshal(), nil)
	h.put("session-channel", wire.SessionChannel{Channel: 1}.Marshal(), nil)
}

// makeRenewal announces the next pass of the session as the second leaf of the log.
func (h *house) makeRenewal(open []byte) {
	nonce, from := [16]byte(bytes.Repeat([]byte{0x59}, 16)), time.Unix(1_800_003_000, 0)
	g := h.pass.Grant
	g.IssuedMS = from.UnixMilli()
	p, err := wire.NewPass(g, signer(nextSeed).PublicKey(), signer(caSeed).PublicKey(), from.Add(-30*time.Second), from.Add(time.Hour))
	if err != nil {
		h.t.Fatal(err)
	}
	p.Cert.Nonce = bytes.Repeat([]byte{0x47}, 32)
	raw, err := p.Sign(signer(caSeed))
	if err != nil {
		h.t.Fatal(err)
	}
	if p, err = wire.ParsePass(raw, []ssh.PublicKey{signer(caSeed).PublicKey()}); err != nil {
		h.t.Fatal(err)
	}
	body, err := ledger.PassBody{Session: h.sid, N: 1, Pass: p.Hash, Prev: h.pass.Hash, AtMS: from.UnixMilli()}.Marshal()
	h.put("pass-leaf-body", body, err)
	leaf, err := ledger.Leaf{Type: "pass", Ref: []uint64{0}, Commit: ledger.Commit(nonce, body)}.Marshal()
	h.put("pass-leaf", leaf, err)
	first, second := tlog.RecordHash(open), tlog.RecordHash(leaf)
	sign, _ := logKey(h.t)
	cp, err := note.Sign(&note.Note{Text: fmt.Sprintf("gw.example/log\n2\n%s\n", tlog.NodeHash(first, second))}, sign)
	if err != nil {
		h.t.Fatal(err)
	}
	root := [32]byte(tlog.NodeHash(first, second))
	err = errors.Join(ledger.CheckInclusion(leaf, 1, 2, root, [][32]byte{first}),
		ledger.CheckConsistency(1, first, 2, root, [][32]byte{second}))
	if err != nil {
		h.t.Fatal(err)
	}
	msg, err := wire.Encode(wire.Renew{T: wire.TypeRenew, Session: h.sid, N: 1, Pass: raw, Status: h.status, Leaf: leaf, Nonce: nonce[:], Body: body,
		Index: 1, Proof: []wire.Hash{wire.Hash(first)}, Consistency: []wire.Hash{wire.Hash(second)}, Checkpoint: cp})
	h.put("message-renew", msg, err)
}

// makeLine runs a real handshake, both sides of it, and the device's first message after it.
func (h *house) makeLine() {
	hello, err := json.Marshal(h.hello())
	h.put("hello", hello, err)
	reply, err := json.Marshal(wire.HelloReply{V: wire.ControlVersion, Node: "gw", TLS: bytes.Repeat([]byte{0x33}, 32), Status: &h.status, Name: "press-7", Ping: 30})
	h.put("hello-reply", reply, err)
	ping, err := wire.Encode(wire.Ping{T: wire.TypePing, Nonce: bytes.Repeat([]byte{0x12}, 16)})
	h.put("message-ping", ping, err)
	dev, gw := newWire(), newWire()
	dev.peer, gw.peer = gw, dev
	dance := append(bytes.Repeat([]byte{deviceEphemeral}, 32), bytes.Repeat([]byte{gatewayEphemeral}, 32)...)
	responder, err := wire.NewResponder(h.noise[1])
	if err != nil {
		h.t.Fatal(err)
	}
	withReader(bytes.NewReader(dance), func() {
		got := make(chan error, 1)
		go func() {
			l, err := responder.Respond(context.Background(), gw, func(peer wire.Hash, payload []byte) ([]byte, error) {
				if peer != h.noise[0].Public || !bytes.Equal(payload, hello) {
					return nil, errors.New("another hello")
				}
				return reply, nil
			})
			if err == nil {
				var m []byte
				if m, err = l.Receive(time.Time{}); err == nil && !bytes.Equal(m, ping) {
					err = errors.New("another ping")
				}
			}
			got <- err
		}()
		l, payload, err := wire.Initiate(context.Background(), dev, h.noise[0], h.noise[1].Public, hello)
		if err != nil || !bytes.Equal(payload, reply) {
			h.t.Fatalf("handshake: %v", err)
		}
		if err := l.Send(ping, time.Second); err != nil {
			h.t.Fatal(err)
		}
		if err := <-got; err != nil {
			h.t.Fatal(err)
		}
		h.put("noise-binding", l.Binding(), nil)
	})
	h.put("noise-first", dev.sent[0], nil)
	h.put("noise-second", gw.sent[0], nil)
	h.put("noise-ping", dev.sent[1], nil)
}

func (h *house) makeSmall() {
	for name, m := range map[string]any{
		"message-accepted":     wire.Accepted{T: wire.TypeAccepted, Session: h.sid},
		"message-renewed":      wire.Accepted{T: wire.TypeAccepted, Session: h.sid, N: 1},
		"message-refuse":       wire.Refuse{T: wire.TypeRefuse, Session: h.sid, Clause: "frozen", Text: "the owner has frozen this machine"},
		"message-end":          wire.End{T: wire.TypeEnd, Session: h.sid, Reason: "grant ended"},
		"message-pong":         wire.Pong{T: wire.TypePong, Status: h.status},
		"message-pong-alone":   wire.Pong{T: wire.TypePong},
		"message-report":       wire.Report{T: wire.TypeReport, Kind: "checkpoint", Text: "the checkpoint was refused"},
		"message-gateway-ping": map[string]string{"t": wire.TypePing},
	} {
		raw, err := wire.Encode(m)
		h.put(name, raw, err)
	}
}

func (h *house) makeEvents() {
	for name, e := range map[string]wire.Event{
		"event-verdict": {Kind: wire.EventVerdict, Channel: 1, Offset: 70, Len: 5, Hidden: true},
		"event-command": {Kind: wire.EventCommand, Channel: 1, Source: "agent.exec", Argv: []string{"/bin/sh", "-l"}, PID: 4711},
		"event-ended":   {Kind: wire.EventCommand, Channel: 1, Source: "agent.exec", PID: 4711, Ended: true, Status: 7},
		"event-refused": {Kind: wire.EventRefused, Channel: 2, Text: "X11 forwarding is refused"},
	} {
		var buf bytes.Buffer
		err := wire.WriteEvent(&buf, e)
		h.put(name, buf.Bytes(), err)
	}
}

// memory carries messages between the two ends and keeps what was sent.
type memory struct {
	in   chan []byte
	peer *memory
	sent [][]byte
}

func newWire() *memory { return &memory{in: make(chan []byte, 4)} }

func (m *memory) ReadMessage() ([]byte, error) { return <-m.in, nil }

func (m *memory) WriteMessage(b []byte) error {
	m.sent = append(m.sent, bytes.Clone(b))
	m.peer.in <- bytes.Clone(b)
	return nil
}
func (*memory) SetReadDeadline(time.Time) error  { return nil }
func (*memory) SetWriteDeadline(time.Time) error { return nil }
func (*memory) Close() error                     { return nil }
