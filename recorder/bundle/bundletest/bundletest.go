// Package bundletest is a small house for tests of evidence: a real signer with its log, a real recorder, one device and
// somebody who may open a shell on it.
//
// The tests of the bundle change what such a house has made, byte by byte, and want to be told. It signs, so
// only tests import it: package bundle itself must never be able to make what it checks.
package bundletest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/writer"
)

// Policy lets technicians open a shell as svc everywhere.
const Policy = `
format = 1
name = "test"
contact = "the test"
groups = ["technicians", "administrators"]
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

// House is a real signer with its log, a real recorder, one device and somebody who may open a shell on it.
type House struct {
	t       testing.TB
	dir     string
	Signer  *signer.Service
	Node    *writer.Node
	Reader  *age.X25519Identity
	Officer *age.X25519Identity
	Host    ssh.PublicKey     // the device's
	Key     ed25519.PublicKey // record key
	LogKey  string
	Ago     time.Duration                                                          // how far in the past the house lives
	Midway  func(sid id.Session, part uint32, open uint64, rec recorder.Recording) // before a part is closed
	Renewed int                                                                    // how many further passes a part gets

	passes map[uint64][]byte // of the part that runs
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

// New makes one. It is closed at the test's end.
func New(t testing.TB) *House {
	t.Helper()
	h := &House{t: t, dir: t.TempDir(), Ago: 24 * time.Hour}
	h.Reader, h.Officer = must(age.GenerateX25519Identity())(t), must(age.GenerateX25519Identity())(t)
	h.Reopen()
	t.Cleanup(func() { h.Signer.Close() })
	who := func(name, group, scope string) signer.Token {
		return signer.Token{ID: name, Hash: wire.Sum([]byte(name)), Principal: id.Principal{Issuer: "https://idp.test", Subject: name}, Name: name, Groups: []string{group},
			Scopes: []string{scope}, Expires: time.Now().Add(time.Hour)}
	}
	err := h.Signer.Seed(t.Context(), []signer.PolicyFile{{Name: "p.toml", Text: Policy}}, []signer.Token{who("tess", "technicians", "session"), who("ada", "administrators", "administer")})
	if err != nil {
		t.Fatal(err)
	}
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	h.Host = must(ssh.NewPublicKey(pub))(t)
	_, err = h.Signer.PutDevice(t.Context(), signer.Evidence{APIToken: "ada"}, signer.Device{Name: "press-1", FP: wire.Fingerprint(h.Host), HostKey: wire.PublicKey{PublicKey: h.Host}})
	if err != nil {
		t.Fatal(err)
	}
	h.LogKey = must(h.Signer.Keys(t.Context()))(t).LogKey
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	h.Key = key.Public().(ed25519.PublicKey)
	node, _, err := writer.OpenNode(t.Context(), writer.NodeConfig{Dir: h.Recordings(), Key: key, LogOrigin: "test/log",
		Readers: []age.Recipient{h.Reader.Recipient()}, Unsealers: []age.Recipient{h.Officer.Recipient()}, JournalBytes: 8 << 20, Ballast: 1 << 20, LowWater: 1 << 20, Now: h.now})
	if err != nil {
		t.Fatal(err)
	}
	h.Node = node
	t.Cleanup(func() { h.Node.Close(context.Background()) })
	return h
}

// Reopen starts the signer, as after a Lie.
func (h *House) Reopen() {
	h.t.Helper()
	h.Signer = must(signer.New(signer.Config{Dir: filepath.Join(h.dir, "signer"), Origin: "test/log", Hosts: []string{"127.0.0.1:1"}, NoiseKey: wire.Sum([]byte("n")),
		PassTime: time.Hour, SignInAge: time.Hour, RetainFor: -time.Minute, Now: h.now}))(h.t) // kept until a minute ago: may be shredded
}

func (h *House) now() time.Time { return time.Now().Add(-h.Ago) }

// Dir holds everything.
func (h *House) Dir() string { return h.dir }

// Recordings is the directory of recordings.
func (h *House) Recordings() string { return filepath.Join(h.dir, "rec") }

// Find gives the path of the file name, of a part, below the directory of recordings. The test fails if it is missing.
func (h *House) Find(name string) string {
	h.t.Helper()
	return must(files.Locate(h.Recordings(), name, time.Time{}))(h.t)
}

// LogDir is the log's own directory.
func (h *House) LogDir() string { return filepath.Join(h.dir, "signer", "log") }

// Ran is a session, part by part.
type Ran struct {
	SID   id.Session
	Parts []Part
}

// Part is what the log and the signer gave for one container.
type Part struct {
	Open    uint64
	End     *uint64
	Pass    []byte
	Asker   []byte
	Passes  map[uint64][]byte // that Renew made, by the index of the leaf that announces each
	Started time.Time
}

// Run records a session: its output, and one line typed of which the second half stays hidden.
func (h *House) Run(output []byte, parts int) Ran {
	h.t.Helper()
	ctx := h.t.Context()
	out := Ran{SID: id.NewSession()}
	var head [32]byte
	for n := range parts {
		rec := must(h.Node.Create(ctx, recorder.PartConfig{Session: out.SID, Part: uint32(n), PrevHead: head, DeviceFP: wire.Fingerprint(h.Host)}))(h.t)
		o := h.Open(out, rec, uint32(n))
		fail := func(err error) {
			h.t.Helper()
			if err != nil {
				h.t.Fatal(err)
			}
		}
		fail(rec.Notice([]byte("announced")))
		h.Start(rec)
		for rest := output; len(rest) > 0; {
			k := min(len(rest), 16<<10)
			fail(rec.Output(ctx, 1, 1, rest[:k]))
			rest = rest[k:]
		}
		fail(rec.Input(ctx, 1, 0, []byte("su\nsecret\n")))
		rec.Verdict(1, 0, 3, false)
		rec.Verdict(1, 3, 7, true)
		h.passes = nil
		for pass := o.Pass; len(h.passes) < h.Renewed; {
			pass = h.Renew(out.SID, o.Index, pass).Pass
		}
		if h.Midway != nil {
			h.Midway(out.SID, uint32(n), o.Index, rec)
		}
		closed, end := h.End(out.SID, uint32(n), o.Index, rec)
		head = closed.HFinal
		out.Parts = append(out.Parts, Part{Open: o.Index, End: end, Pass: o.Pass, Asker: o.Asker, Passes: h.passes, Started: rec.Started()})
	}
	h.Event("viewed", out.SID.String())
	return out
}

// Start records the start of a shell on channel 1.
func (h *House) Start(rec recorder.Recording) {
	h.t.Helper()
	text := "channel 1 as svc; terminal xterm, 80 columns, 24 rows; no environment; a shell"
	if err := rec.Start(1, 80, 24, text); err != nil {
		h.t.Fatal(err)
	}
}

// Open has a part announced.
func (h *House) Open(r Ran, rec recorder.Recording, n uint32) signer.Opened {
	h.t.Helper()
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	q := signer.OpenRequest{Evidence: signer.Evidence{APIToken: "tess"}, Session: r.SID, Part: n, Device: "press-1", Login: "svc", Reason: "noise", H0: rec.H0(),
		SlotRK: rec.SlotRK(), SlotSK: rec.SlotSK(), RecordKey: h.Key, SessionKey: must(ssh.NewPublicKey(pub))(h.t).Marshal()}
	if n > 0 {
		q.PrevOpen = &r.Parts[n-1].Open
	}
	return must(h.Signer.Open(h.t.Context(), q))(h.t)
}

// Renew has the signer make the next pass of the part that runs.
func (h *House) Renew(sid id.Session, open uint64, pass []byte) signer.Renewed {
	h.t.Helper()
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	n := must(h.Signer.Renew(h.t.Context(), signer.RenewRequest{Evidence: signer.Evidence{APIToken: "tess"}, Session: sid, Open: open,
		Pass: pass, Needs: "shell:svc", SessionKey: must(ssh.NewPublicKey(pub))(h.t).Marshal()}))(h.t)
	if h.passes == nil {
		h.passes = map[uint64][]byte{}
	}
	h.passes[n.Index] = n.Pass
	return n
}

// Lie appends what the signer would refuse: the owner of the log's key can.
func (h *House) Lie(typ string, body []byte, ref ...uint64) {
	h.t.Helper()
	h.Forge(func(add func(typ string, body []byte, ref ...uint64) uint64) { add(typ, body, ref...) })
}

// Forge closes the signer and appends to its log with the log's key. add gives the index of the leaf.
func (h *House) Forge(lies func(add func(typ string, body []byte, ref ...uint64) uint64)) {
	h.t.Helper()
	if err := h.Signer.Close(); err != nil {
		h.t.Fatal(err)
	}
	secret := must(os.ReadFile(filepath.Join(h.dir, "signer", "keys", "log.key")))(h.t)
	line, _, _ := strings.Cut(string(secret), "\n")
	key := must(note.NewSigner(line))(h.t)
	log := must(ledger.Open(h.LogDir(), key))(h.t)
	lies(func(typ string, body []byte, ref ...uint64) uint64 {
		leaf := ledger.Leaf{Type: typ, Ref: ref, Commit: ledger.Commit([16]byte{1}, body)}
		return must(log.Append(h.t.Context(), ledger.Entry{Leaf: leaf, Nonce: [16]byte{1}, Body: body}))(h.t).Index
	})
	if err := log.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// CA is the signer's key for passes, as somebody has it who took the signer.
func (h *House) CA() ssh.Signer {
	h.t.Helper()
	text := must(os.ReadFile(filepath.Join(h.dir, "signer", "keys", "session-ca.key")))(h.t)
	return must(ssh.ParsePrivateKey(text))(h.t)
}

// End closes a part's recording and has its end announced.
func (h *House) End(sid id.Session, n uint32, open uint64, rec recorder.Recording) (recorder.Closed, *uint64) {
	h.t.Helper()
	closed := must(rec.Close(h.t.Context(), "exit"))(h.t)
	body := must(ledger.CloseBody{Session: sid, Part: n, Open: open, HFinal: closed.HFinal, Seq: closed.Seq, Bytes: closed.Bytes, Gaps: closed.Totals.Gaps, Reason: "exit", AtMS: 1}.Marshal())(h.t)
	end := must(h.Signer.Append(h.t.Context(), signer.AppendRequest{Type: "close", Ref: []uint64{open}, Body: body}))(h.t)
	return closed, &end.Index
}

// Event appends a leaf about something.
func (h *House) Event(typ, subject string, ref ...uint64) uint64 {
	h.t.Helper()
	body := must(ledger.EventBody{By: "olga", AtMS: h.now().UnixMilli(), Fields: map[string]string{"subject": subject, "phase": "done"}}.Marshal())(h.t)
	return must(h.Signer.Append(h.t.Context(), signer.AppendRequest{Type: typ, Ref: ref, Body: body}))(h.t).Index
}

// Access is the signer as an export reads it.
type Access struct{ *signer.Service }

// Entry reads a leaf and what it commits to.
func (a Access) Entry(ctx context.Context, i uint64) (leaf, nonce, body []byte, err error) {
	e, err := a.Service.Entry(ctx, i)
	return e.Leaf, e.Nonce, e.Body, err
}

// Entries reads some entries.
func (a Access) Entries(ctx context.Context, from uint64) ([]ledger.Stored, error) {
	some, err := a.Service.Entries(ctx, from)
	var out []ledger.Stored
	for _, e := range some {
		out = append(out, ledger.Stored(e))
	}
	return out, err
}

// Prove proves a leaf.
func (a Access) Prove(ctx context.Context, index, size uint64) ([][32]byte, error) {
	p, err := a.Service.Prove(ctx, index, size)
	out := make([][32]byte, len(p))
	for i, h := range p {
		out[i] = h
	}
	return out, err
}

// Trust gives the trust bundle.
func (a Access) Trust(ctx context.Context) (body, sig []byte, err error) {
	s, err := a.Bundle(ctx)
	return s.Body, s.Sig, err
}

// Head is the log's newest checkpoint.
func (h *House) Head() []byte { return must(h.Signer.Head(h.t.Context()))(h.t) }

// CopyOf copies the log or its tiles alone, as an outsider would get them.
func (h *House) CopyOf(tilesOnly bool) string {
	h.t.Helper()
	for range 500 { // tiles are published behind the log
		if raw, _ := os.ReadFile(filepath.Join(h.LogDir(), "checkpoint")); bytes.Equal(raw, h.Head()) {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	dir := h.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(h.LogDir())); err != nil {
		h.t.Fatal(err)
	}
	if tilesOnly {
		if err := os.Remove(filepath.Join(dir, "log.data")); err != nil {
			h.t.Fatal(err)
		}
	}
	return dir
}
