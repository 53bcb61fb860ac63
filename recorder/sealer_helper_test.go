package recorder

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
)

// testPart makes a container by driving a sealer directly, with keys and times that a test chooses.
type testPart struct {
	tb     testing.TB
	rk, sk [32]byte
	key    ed25519.PrivateKey
	s      *sealer
	w      *workbench
	file   []byte
	data   []byte
	es     []entry
	t      uint64
	at     map[streamID]uint64
}

func filled(b byte) (k [32]byte) {
	for i := range k {
		k[i] = b
	}
	return k
}

func testKey() ed25519.PrivateKey {
	seed := filled(7)
	return ed25519.NewKeyFromSeed(seed[:])
}

func pub(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func testHeader() Header {
	return Header{V: Version, Session: id.Session(bytes.Repeat([]byte{5}, 16)), LogOrigin: "log.example/test", Suite: suite,
		Salt: filled(3), DeviceFP: filled(4), GatewayKeyID: KeyID(pub(testKey())), T0: 1_700_000_000_000_000_000, ClockSync: ClockSynced}
}

func newTestPart(tb testing.TB, hdr Header) *testPart {
	tb.Helper()
	p := &testPart{tb: tb, rk: filled(1), sk: filled(2), key: testKey(), w: newWorkbench(), at: map[streamID]uint64{}}
	rk, sk := p.rk, p.sk
	var err error
	if p.s, p.file, err = newSealer(hdr, &rk, &sk); err != nil {
		tb.Fatal(err)
	}
	return p
}

// pass lets time go by.
func (p *testPart) pass(us uint64) { p.t += us }

func (p *testPart) put(e entry, head, body []byte) {
	e.t, e.size = p.t, len(head)+len(body)
	p.data = append(append(p.data, head...), body...)
	p.es = append(p.es, e)
}

func (p *testPart) stream(kind Kind, ch uint32, stream uint8, actor uint64, b []byte) (at uint64) {
	sid := streamID{ch, stream}
	at = p.at[sid]
	p.at[sid] += uint64(len(b))
	head := appendStreamHead(nil, kind, ch, stream, at, actor)
	e := entry{kind: kind, actor: actor}
	if kind == KindSealed {
		e.head = len(head)
	}
	p.put(e, head, b)
	return at
}

func (p *testPart) out(ch uint32, text string) {
	p.stream(KindOutput, ch, StreamOut, 0, []byte(text))
}
func (p *testPart) stderr(ch uint32, text string) {
	p.stream(KindOutput, ch, StreamErr, 0, []byte(text))
}
func (p *testPart) in(ch uint32, actor uint64, text string) uint64 {
	return p.stream(KindSealed, ch, StreamIn, actor, []byte(text))
}

func (p *testPart) reveal(ch uint32, actor, at uint64, text string) {
	p.put(entry{kind: KindReveal, actor: actor}, appendStreamHead(nil, KindReveal, ch, StreamIn, at, actor), []byte(text))
}

func (p *testPart) event(kind Kind, data []byte) { p.put(entry{kind: kind}, nil, data) }

func (p *testPart) encoded(kind Kind, v any) {
	b, err := encMode.Marshal(v)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.event(kind, b)
}

// flush seals what was put, in as few chunks as it takes.
func (p *testPart) flush() {
	data, es := p.data, p.es
	for len(es) > 0 {
		var n int
		var err error
		if p.file, n, err = p.s.next(p.w, p.file, data, es); err != nil {
			p.tb.Fatal(err)
		}
		for _, e := range es[:n] {
			data = data[e.size:]
		}
		es = es[n:]
	}
	p.data, p.es = nil, nil
}

// newSegment makes the next flush begin one.
func (p *testPart) newSegment() { p.s.endSegment() }

func (p *testPart) close(reason string) []byte {
	p.flush()
	var err error
	if p.file, err = p.s.end(p.w, p.file, p.t, reason, p.key); err != nil {
		p.tb.Fatal(err)
	}
	return p.file
}

// all gives the options of a verifier who has every key.
func (p *testPart) all() VerifyOptions {
	return VerifyOptions{File: "test.srec", Key: pub(p.key), RK: &p.rk, SK: &p.sk}
}

func verifyBytes(tb testing.TB, file []byte, opt VerifyOptions) (*Report, error) {
	tb.Helper()
	return Verify(tb.Context(), bytes.NewReader(file), int64(len(file)), opt)
}

// smallPart is a session with one of everything.
func smallPart(tb testing.TB) *testPart {
	p := newTestPart(tb, testHeader())
	p.event(KindNotice, []byte("proof"))
	p.event(KindResize, appendResize(nil, 1, 80, 24))
	p.event(KindAttest, append([]byte{0}, bytes.Repeat([]byte{9}, 32)...))
	p.put(entry{kind: KindAttest, head: 1}, []byte{1}, bytes.Repeat([]byte{8}, 32))
	p.out(1, "$ ")
	p.flush()
	p.pass(400_000)
	at := p.in(1, 11, "sudo id\r")
	p.flush()
	p.pass(1000)
	p.reveal(1, 11, at, "sudo id\r")
	p.out(1, "sudo id\r\nPassword: ")
	p.encoded(KindCommand, Command{Ch: 1, Source: "agent.exec", Argv: []string{"sudo", "id"}, PID: 4})
	p.event(kindStatement, lp(lp(nil, []byte("body")), []byte("sig")))
	p.flush()
	p.pass(2_000_000)
	p.in(1, 11, "hunter2\r")
	p.flush()
	p.pass(70_000_000)
	ch := uint32(1)
	p.encoded(KindNote, Note{Kind: NoteNoVerdict, Ch: &ch, At: 8, N: 8})
	p.out(1, "\r\nuid=0(root)\r\n")
	p.stderr(1, "warning\r\n")
	p.encoded(KindGap, Gap{Reason: "budget", From: 1, To: 2, Bytes: 77})
	p.event(KindExit, appendExit(nil, Exit{Ch: 1}))
	p.flush()
	return p
}

// frameBytes encodes a frame as the sealer does.
func frameBytes(dt uint64, kind Kind, data []byte) []byte {
	b := binary.AppendUvarint(nil, dt)
	b = append(b, byte(kind))
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}
