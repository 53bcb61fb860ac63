package bundle

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// forged is a part of a session that an attacker with every key of the signer and of the gateway can make. All hashes
// and signatures are valid, whatever a test changes.
type forged struct {
	hdr     format.Header
	rk, sk  []byte // slot files
	grant   any    // encoded as CBOR into the pass; []byte is taken as it is
	login   string // principal of the pass
	pass    func(c *ssh.Certificate)
	fill    func(p *sealtest.Part)
	open    func(b *ledger.OpenBody)
	openRef []uint64
	asker   any // statement of who asked, encoded as CBOR; nil: none
	end     func(b *ledger.CloseBody)
	cut     bool // no close, and an interrupted leaf
	gone    bool // no files
	unended bool // no leaf for the end
	events  []forgedEvent
	passes  map[int][]byte // further passes, by the number of the event that announces each
}

// forgedEvent is a leaf about the part, before its end. Its references are relative to the open leaf.
type forgedEvent struct {
	typ  string
	ref  []int
	body func(at uint64, open ledger.OpenBody) any // encoded as CBOR; []byte is taken as it is
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	if raw, ok := v.([]byte); ok {
		return raw
	}
	return must(encMode.Marshal(v))(t)
}

// honest returns a part without a fault.
func honest(t testing.TB, h *house, sid id.Session) *forged {
	hdr := sealtest.Header()
	hdr.Session, hdr.LogOrigin, hdr.DeviceFP = sid, "test/log", wire.Fingerprint(h.Host)
	hdr.T0 = time.Now().Add(-h.Ago).UnixNano()
	rk, sk := sealtest.Filled(1), sealtest.Filled(2)
	return &forged{hdr: hdr, login: "svc", cut: false,
		rk: must(format.Wrap(&rk, []age.Recipient{h.Reader.Recipient()}))(t),
		sk: must(format.Wrap(&sk, []age.Recipient{h.Officer.Recipient()}))(t),
		grant: wire.Grant{V: wire.GrantVersion, Session: sid, Device: wire.Fingerprint(h.Host), Login: "svc",
			Subject: wire.Subject{Pseudonym: []byte{1}, Display: "Tess"}, Approvers: []string{}, Epoch: 5, IssuedMS: 1,
			Actions: []string{"shell:svc"}},
		asker: ledger.Asker{V: ledger.AskerVersion, Nonce: [32]byte{9}, Session: sid, Device: "press-1",
			Issuer: "https://idp.test", Subject: "tess", SignedInMS: hdr.T0 / 1e6, Methods: []string{"pwd", "otp"}},
		fill: func(p *sealtest.Part) { p.Out(1, "hello") }}
}

// forge makes a session of honest parts with the given changes, one for each part, and returns its bundle.
func (h *house) forge(changes ...func(f *forged)) ([]byte, bundletest.Ran) {
	h.t.Helper()
	ran := bundletest.Ran{SID: id.NewSession()}
	ca := h.CA()
	h.Forge(func(add func(typ string, body []byte, ref ...uint64) uint64) {
		var head [32]byte
		for n, change := range changes {
			f := honest(h.t, h, ran.SID)
			f.hdr.Part, f.hdr.PrevHead = uint32(n), head
			if n > 0 {
				f.openRef = []uint64{ran.Parts[n-1].Open}
			}
			if change != nil {
				change(f)
			}
			var p bundletest.Part
			p, head = f.write(h, ca, add)
			ran.Parts = append(ran.Parts, p)
		}
	})
	h.Reopen()
	return h.export(ran), ran
}

// write writes the files and the leaves of a part, and returns its last chain state.
func (f *forged) write(h *house, ca ssh.Signer, add func(string, []byte, ...uint64) uint64) (bundletest.Part, [32]byte) {
	h.t.Helper()
	p := sealtest.New(h.t, f.hdr)
	h0 := format.ChainStart(p.File)
	f.fill(p)
	p.Flush()
	file, typ := p.File, "interrupted"
	if !f.cut {
		file, typ = p.Close("exit"), "close"
	}
	pass, hash := signedPass(h.t, ca, encoded(h.t, f.grant), f.login, f.hdr, f.pass)
	key := sealtest.Public(sealtest.Key())
	open := ledger.OpenBody{Session: f.hdr.Session, Part: f.hdr.Part, DeviceFP: f.hdr.DeviceFP, H0: h0, Pass: hash,
		SlotRK: sha256.Sum256(f.rk), SlotSK: sha256.Sum256(f.sk), GatewayKey: format.KeyID(key), GatewayPub: key,
		RetainUntil: f.hdr.T0 / 1e9}
	if len(f.openRef) > 0 {
		open.PrevOpen = &f.openRef[0]
	}
	out := bundletest.Part{Pass: pass, Started: time.Unix(0, f.hdr.T0)}
	if f.asker != nil {
		out.Asker = encoded(h.t, f.asker)
		asked := ledger.CommitAsker(out.Asker)
		open.Asker = &asked
	}
	if f.open != nil {
		f.open(&open)
	}
	out.Open = add("open", must(open.Marshal())(h.t), f.openRef...)
	for i, e := range f.events {
		ref := []uint64{}
		for _, r := range e.ref {
			ref = append(ref, uint64(int(out.Open)+r))
		}
		at := add(e.typ, encoded(h.t, e.body(out.Open, open)), ref...)
		if raw := f.passes[i]; raw != nil {
			out.Passes = map[uint64][]byte{at: raw}
		}
	}
	end := ledger.CloseBody{Session: f.hdr.Session, Part: f.hdr.Part, Open: out.Open, HFinal: p.Sealer.H,
		Seq: lastSeq(file), Bytes: int64(len(file)), Gaps: p.Sealer.Totals.Gaps, Reason: "exit", AtMS: f.hdr.T0 / 1e6}
	if f.end != nil {
		f.end(&end)
	}
	if !f.unended {
		at := add(typ, must(end.Marshal())(h.t), out.Open)
		out.End = &at
	}
	rk, sk := format.SlotNames(f.hdr.Session, f.hdr.Part)
	name := format.FileName(f.hdr.Session, f.hdr.Part)
	for name, content := range map[string][]byte{rk: f.rk, sk: f.sk, name: file} {
		if f.gone {
			continue
		}
		path := filepath.Join(h.Recordings(), format.Day(out.Started), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			h.t.Fatal(err)
		}
	}
	return out, p.Sealer.H
}

// signedPass signs a pass with the grant given, good for an hour around the beginning of the recording.
func signedPass(t testing.TB, ca ssh.Signer, grant []byte, login string, hdr format.Header,
	change func(c *ssh.Certificate)) (raw []byte, hash [32]byte) {
	t.Helper()
	from := uint64(hdr.T0/1e9 - 60)
	c := &ssh.Certificate{Nonce: make([]byte, 32), Key: must(ssh.ParsePublicKey(freshKeyOf(t)))(t), CertType: ssh.UserCert,
		KeyId: "sp1:" + hdr.Session.String(), ValidPrincipals: []string{login}, ValidAfter: from, ValidBefore: from + 3600,
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{grantOption: string(grant)}}}
	if change != nil {
		change(c)
	}
	c.SignatureKey = ca.PublicKey()
	bare := c.Marshal() // with the length of the absent signature behind it
	body := bare[:len(bare)-4]
	c.Signature = must(ca.Sign(rand.Reader, body))(t)
	return c.Marshal(), sha256.Sum256(body)
}

func freshKeyOf(t testing.TB) []byte {
	t.Helper()
	sid := id.NewSession()
	return sshSigner(t, sid.String()).PublicKey().Marshal()
}

// verdicts verifies a forged session as a bundle and in a census.
func (h *house) verdicts(raw []byte) (bundle, census error) {
	h.t.Helper()
	_, bundle = check(h.t, raw, Options{LogKey: h.LogKey, Identities: h.both()})
	_, census = h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()})
	return bundle, census
}

func TestAForgedSessionInWhichNothingIsWrongHolds(t *testing.T) {
	h := newHouse(t)
	raw, _ := h.forge(nil, nil)
	b, c := h.verdicts(raw)
	if b != nil || c != nil {
		t.Errorf("closed: got %v and %v", b, c)
	}
	h = newHouse(t)
	raw, _ = h.forge(func(f *forged) { f.cut = true })
	if b, c = h.verdicts(raw); b != nil || c != nil {
		t.Errorf("interrupted: got %v and %v", b, c)
	}
}
