// Package sealtest makes containers with keys, times and frames that a test chooses, well-formed ones and ones that
// lie. It drives a real Sealer, so what it makes differs from a real recording only in what a test has asked for.
//
// Tests of reader and scan use it in place of writer, which always keeps to the format and needs a disk. It holds a
// fixed record key and only tests import it.
package sealtest

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
)

// Part makes a container by driving a sealer directly, with keys and times that a test chooses.
type Part struct {
	TB     testing.TB
	RK, SK [32]byte
	Key    ed25519.PrivateKey
	Sealer *seal.Sealer
	Bench  *seal.Workbench
	File   []byte
	data   []byte
	es     []seal.Entry
	T      uint64
	At     map[Place]uint64
}

// Place is a stream of a channel.
type Place struct {
	Ch     uint32
	Stream format.Stream
}

// Filled is a key of one byte, repeated.
func Filled(b byte) (k [32]byte) {
	for i := range k {
		k[i] = b
	}
	return k
}

// Key is the record key of all that is made here.
func Key() ed25519.PrivateKey {
	seed := Filled(7)
	return ed25519.NewKeyFromSeed(seed[:])
}

// Public gives the public half of a key.
func Public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// Header is that of a part 0, in version 2.
func Header() format.Header {
	return format.Header{V: format.Version2, Session: id.Session(bytes.Repeat([]byte{5}, 16)),
		LogOrigin: "log.example/test", Suite: format.Suite,
		Salt: Filled(3), DeviceFP: Filled(4), GatewayKeyID: format.KeyID(Public(Key())), T0: 1_700_000_000_000_000_000, ClockSync: format.ClockSynced}
}

// New begins a container in which channels 1 and 2 are started, where the version of the header wants that.
func New(tb testing.TB, hdr format.Header) *Part {
	tb.Helper()
	p := Bare(tb, hdr)
	if hdr.V >= format.Version2 {
		p.Start(1, 2)
	}
	return p
}

// Bare begins a container without anything in it. Its keys are RK and SK, and Key signs its close.
func Bare(tb testing.TB, hdr format.Header) *Part {
	tb.Helper()
	p := &Part{TB: tb, RK: Filled(1), SK: Filled(2), Key: Key(), Bench: seal.NewWorkbench(), At: map[Place]uint64{}}
	rk, sk := p.RK, p.SK
	var err error
	if p.Sealer, p.File, err = seal.New(hdr, &rk, &sk); err != nil {
		tb.Fatal(err)
	}
	return p
}

// Start records that channels are started, as the gateway does before it asks a device for one.
func (p *Part) Start(channels ...uint32) {
	for _, ch := range channels {
		p.Encoded(format.KindNote, format.Note{Kind: format.NoteStart, Ch: &ch, Text: "a shell"})
	}
}

// Pass lets time go by, in microseconds.
func (p *Part) Pass(us uint64) { p.T += us }

func (p *Part) put(e seal.Entry, head, body []byte) {
	e.T, e.Size = p.T, len(head)+len(body)
	p.data = append(append(p.data, head...), body...)
	p.es = append(p.es, e)
}

func (p *Part) stream(kind format.Kind, ch uint32, stream format.Stream, actor uint64, b []byte) (at uint64) {
	sid := Place{ch, stream}
	at = p.At[sid]
	p.At[sid] += uint64(len(b))
	head := format.AppendStreamHead(nil, kind, ch, stream, at, actor)
	e := seal.Entry{Kind: kind, Actor: actor}
	if kind == format.KindSealed {
		e.Head = len(head)
	}
	p.put(e, head, b)
	return at
}

// Out puts output of a channel.
func (p *Part) Out(ch uint32, text string) {
	p.stream(format.KindOutput, ch, format.StreamOut, 0, []byte(text))
}

// Stderr puts error output of a channel.
func (p *Part) Stderr(ch uint32, text string) {
	p.stream(format.KindOutput, ch, format.StreamErr, 0, []byte(text))
}

// In puts input of a channel by an actor, and gives its offset.
func (p *Part) In(ch uint32, actor uint64, text string) uint64 {
	return p.stream(format.KindSealed, ch, format.StreamIn, actor, []byte(text))
}

// Clear puts input of a channel without a terminal.
func (p *Part) Clear(ch uint32, actor uint64, text string) {
	p.stream(format.KindClear, ch, format.StreamIn, actor, []byte(text))
}

// Reveal puts input in the open, as from an offset on.
func (p *Part) Reveal(ch uint32, actor, at uint64, text string) {
	p.put(seal.Entry{Kind: format.KindReveal, Actor: actor},
		format.AppendStreamHead(nil, format.KindReveal, ch, format.StreamIn, at, actor), []byte(text))
}

// Event puts a frame with the data given.
func (p *Part) Event(kind format.Kind, data []byte) { p.put(seal.Entry{Kind: kind}, nil, data) }

// Encoded puts a frame whose data are the CBOR of v.
func (p *Part) Encoded(kind format.Kind, v any) {
	b, err := format.Encode(v)
	if err != nil {
		p.TB.Fatal(err)
	}
	p.Event(kind, b)
}

// Flush seals what was put, in as few chunks as it takes.
func (p *Part) Flush() {
	data, es := p.data, p.es
	for len(es) > 0 {
		var n int
		var err error
		if p.File, n, err = p.Sealer.Next(p.Bench, p.File, data, es); err != nil {
			p.TB.Fatal(err)
		}
		for _, e := range es[:n] {
			data = data[e.Size:]
		}
		es = es[n:]
	}
	p.data, p.es = nil, nil
}

// NewSegment makes the next flush begin one.
func (p *Part) NewSegment() { p.Sealer.EndSegment() }

// Close seals what was put, closes the container and gives it.
func (p *Part) Close(reason string) []byte {
	p.Flush()
	var err error
	if p.File, err = p.Sealer.End(p.Bench, p.File, p.T, reason, p.Key); err != nil {
		p.TB.Fatal(err)
	}
	return p.File
}

// Command is a session with a command without a terminal, which reads input and fails.
func Command(tb testing.TB) *Part {
	p := Bare(tb, Header())
	p.Event(format.KindNotice, []byte("proof"))
	p.Start(1)
	p.Flush()
	p.Pass(1000)
	p.Clear(1, 0, "one line\n")
	p.Flush()
	p.Clear(1, 0, "no end of line")
	ch := uint32(1)
	p.Encoded(format.KindNote, format.Note{Kind: format.NoteInputEnd, Ch: &ch, Text: "the end of input was sent"})
	p.Pass(1000)
	p.Out(1, "read 23 bytes\n")
	p.Stderr(1, "warning\n")
	p.Event(format.KindExit, format.AppendExit(nil, format.Exit{Ch: 1, Status: 3}))
	p.Flush()
	return p
}

// Small is a session with one of everything that a terminal has.
func Small(tb testing.TB) *Part {
	p := Bare(tb, Header())
	p.Event(format.KindNotice, []byte("proof"))
	p.Start(1)
	p.Event(format.KindResize, format.AppendResize(nil, 1, 80, 24))
	p.Event(format.KindAttest, append([]byte{0}, bytes.Repeat([]byte{9}, 32)...))
	p.put(seal.Entry{Kind: format.KindAttest, Head: 1}, []byte{1}, bytes.Repeat([]byte{8}, 32))
	p.Out(1, "$ ")
	p.Flush()
	p.Pass(400_000)
	at := p.In(1, 11, "sudo id\r")
	p.Flush()
	p.Pass(1000)
	p.Reveal(1, 11, at, "sudo id\r")
	p.Out(1, "sudo id\r\nPassword: ")
	p.Encoded(format.KindCommand, format.Command{Ch: 1, Source: "agent.exec", Argv: []string{"sudo", "id"}, PID: 4})
	p.Event(seal.KindStatement, format.AppendLP(format.AppendLP(nil, []byte("body")), []byte("sig")))
	p.Flush()
	p.Pass(2_000_000)
	p.In(1, 11, "hunter2\r")
	p.Flush()
	p.Pass(70_000_000)
	ch := uint32(1)
	p.Encoded(format.KindNote, format.Note{Kind: format.NoteNoVerdict, Ch: &ch, At: 8, N: 8})
	p.Out(1, "\r\nuid=0(root)\r\n")
	p.Stderr(1, "warning\r\n")
	p.Encoded(format.KindGap, format.Gap{Reason: "budget", From: 1, To: 2, Bytes: 77})
	p.Event(format.KindExit, format.AppendExit(nil, format.Exit{Ch: 1}))
	p.Flush()
	return p
}
