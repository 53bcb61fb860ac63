package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// timed is a session whose recording has output at times that a test chooses. Its passes are good for an hour.
type timed struct {
	version uint64
	began   time.Duration   // before the first pass was made
	output  []time.Duration // since it began
	renewed []time.Duration // when a next pass is made, since the first was
	closed  bool
}

// bundle makes its bundle. The device's output comes in one chunk each.
func (x timed) bundle(t *testing.T) (*house, []byte) {
	t.Helper()
	h := newHouse(t)
	hdr := sealtest.Header()
	hdr.V, hdr.Session, hdr.LogOrigin, hdr.DeviceFP = x.version, id.NewSession(), "test/log", wire.Fingerprint(h.Host)
	made := time.Now().Add(-h.Ago)
	hdr.T0 = made.Add(-x.began).UnixNano()
	p := sealtest.New(t, hdr)
	h0 := format.ChainStart(p.File)
	slot := []byte("a slot file")
	ask := signer.OpenRequest{Evidence: signer.Evidence{APIToken: "tess"}, Session: hdr.Session, Device: "press-1",
		Login: "svc", H0: h0,
		SlotRK: sha256.Sum256(slot), SlotSK: sha256.Sum256(slot), RecordKey: sealtest.Public(sealtest.Key()),
		SessionKey: freshKey(t)}
	o := must(h.Signer.Open(t.Context(), ask))(t)
	for _, at := range x.output {
		p.T = uint64(at.Microseconds())
		p.Out(1, "x")
		p.Flush()
	}
	var file []byte
	typ := "interrupted"
	if file = p.File; x.closed {
		p.T += uint64(time.Hour.Microseconds()) // a close is no moment of the session
		file, typ = p.Close("exit"), "close"
	}
	part := bundletest.Part{Open: o.Index, Pass: o.Pass, Passes: map[uint64][]byte{}, Started: time.Unix(0, hdr.T0)}
	for pass, ago := o.Pass, h.Ago; len(part.Passes) < len(x.renewed); {
		h.Ago = ago - x.renewed[len(part.Passes)]
		n := h.Renew(hdr.Session, o.Index, pass)
		pass, part.Passes[n.Index] = n.Pass, n.Pass
	}
	end := ledger.CloseBody{Session: hdr.Session, Open: o.Index, HFinal: p.Sealer.H, Seq: lastSeq(file),
		Bytes: int64(len(file)), Reason: "exit", AtMS: 1}
	leaf := must(h.Signer.Append(t.Context(), signer.AppendRequest{Type: typ, Ref: []uint64{o.Index},
		Body: must(end.Marshal())(t)}))(t)
	part.End = &leaf.Index
	rk, sk := format.SlotNames(hdr.Session, 0)
	for name, content := range map[string][]byte{rk: slot, sk: slot, format.FileName(hdr.Session, 0): file} {
		path := filepath.Join(h.Recordings(), filepath.Dir(format.Place(hdr.Session, 0, part.Started)), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return h, h.export(bundletest.Ran{SID: hdr.Session, Parts: []bundletest.Part{part}})
}

func freshKey(t *testing.T) []byte {
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	return must(ssh.NewPublicKey(pub))(t).Marshal()
}

// lastSeq reads the number of the last chunk.
func lastSeq(file []byte) (seq uint32) {
	at := format.HeaderAt + int(binary.LittleEndian.Uint32(file[8:]))
	for at+format.ChunkHeaderLen <= len(file) && !bytes.HasPrefix(file[at:], []byte("SLYEND1\n")) {
		seq = binary.LittleEndian.Uint32(file[at+4:]) & format.MaxSeq
		at += format.ChunkHeaderLen + int(binary.LittleEndian.Uint32(file[at:]))
	}
	return seq
}

// TestEveryMomentLiesInTheWindowOfAPass: of recordings of version 2, and of version 1 with a next pass. Others of version 1
// were not held to it, and the report says so: who writes the recording chooses its version.
func TestEveryMomentLiesInTheWindowOfAPass(t *testing.T) {
	const m, h = time.Minute, time.Hour
	for what, c := range map[string]struct {
		timed
		uncovered int // which output; 0: none, and the recording holds
	}{
		"within its one pass":         {timed{output: []time.Duration{0, 59 * m}}, 0},
		"closed long after":           {timed{output: []time.Duration{0, 59 * m}, closed: true}, 0},
		"what ends with the pass":     {timed{output: []time.Duration{0, 60*m + 50*time.Second}}, 0},
		"after its one pass":          {timed{output: []time.Duration{0, 59 * m, 62 * m}}, 3},
		"long after, and closed":      {timed{output: []time.Duration{0, 30 * h}, closed: true}, 2},
		"before its pass was made":    {timed{began: 2 * m, output: []time.Duration{0, 3 * m}}, 1},
		"as long as an opening takes": {timed{began: 20 * time.Second, output: []time.Duration{0, 3 * m}}, 0},
		"under its second pass": {timed{output: []time.Duration{0, 62 * m, 109 * m},
			renewed: []time.Duration{50 * m}}, 0},
		"after its second pass": {timed{output: []time.Duration{0, 62 * m, 112 * m},
			renewed: []time.Duration{50 * m}}, 3},
		"under its third pass": {timed{output: []time.Duration{0, 62 * m, 155 * m},
			renewed: []time.Duration{50 * m, 100 * m}}, 0},
		"a pass that is shorter than both": {timed{output: []time.Duration{0, 70 * m},
			renewed: []time.Duration{20 * m, 21 * m}}, 0},
	} {
		c.version = format.Version2
		house, raw := c.bundle(t)
		rep, err := check(t, raw, Options{LogKey: house.LogKey})
		if c.uncovered == 0 {
			if err != nil || !strings.Contains(text(rep), "every moment of it") {
				t.Errorf("%s: got %v\n%s", what, err, text(rep))
			}
			continue
		}
		wantRule(t, what, err, RulePass)
		var f *format.Fault
		if errors.As(err, &f) && (!strings.Contains(f.File, ".srec") || f.Offset != house.chunk(t, raw, c.uncovered) ||
			!strings.Contains(f.Detail, c.output[c.uncovered-1].String()+" after it began")) {
			t.Errorf("%s: got %+v, want the chunk of output %d", what, f, c.uncovered)
		}
		c.version = format.Version1
		house, raw = c.bundle(t)
		rep, err = check(t, raw, Options{LogKey: house.LogKey})
		if len(c.renewed) > 0 {
			wantRule(t, what+", in version 1", err, RulePass)
		} else if err != nil || strings.Contains(text(rep), "every moment of it") ||
			!strings.Contains(text(rep), "version 1 of the format, which does not promise a pass for each moment: not checked") {
			t.Errorf("%s, in version 1: got %v\n%s", what, err, text(rep))
		}
	}
}

// chunk gives where the chunk of an output begins. The first one stands with what begins the recording.
func (h *house) chunk(t *testing.T, raw []byte, output int) (at int64) {
	t.Helper()
	forge(t, raw, func(_ *manifest, pieces map[string][]byte) {
		for name, file := range pieces {
			if !strings.HasSuffix(name, ".srec") {
				continue
			}
			at = int64(format.HeaderAt + int(binary.LittleEndian.Uint32(file[8:])))
			for range output - 1 {
				at += format.ChunkHeaderLen + int64(binary.LittleEndian.Uint32(file[at:]))
			}
		}
	})
	return at
}

// TestAPassCoversNothingFromBeforeItsLeaf: a signer that lies can make a pass for a time that is over.
func TestAPassCoversNothingFromBeforeItsLeaf(t *testing.T) {
	at := func(minutes int) time.Time {
		return time.Unix(1_700_000_000, 0).Add(time.Duration(minutes) * time.Minute)
	}
	windows := []window{{at(0), at(60)}, {later(at(30), at(90)), at(120)}}
	for minute, want := range map[int]bool{-1: false, 0: true, 60: true, 62: false, 89: false, 90: true, 120: true,
		122: false} {
		if got := within(windows, at(minute)); got != want {
			t.Errorf("minute %d: got %v, want %v", minute, got, want)
		}
	}
}

// TestAPassThatIsNotThereCoversNothing: its leaf alone does not say until when it was good.
func TestAPassThatIsNotThereCoversNothing(t *testing.T) {
	h, raw := timed{version: format.Version2, output: []time.Duration{0, 90 * time.Minute},
		renewed: []time.Duration{50 * time.Minute}}.bundle(t)
	if _, err := check(t, raw, Options{LogKey: h.LogKey}); err != nil {
		t.Fatal(err)
	}
	lost := forge(t, raw, func(m *manifest, _ map[string][]byte) { m.Parts[0].Passes[0].Pass = nil })
	_, err := check(t, lost, Options{LogKey: h.LogKey})
	wantRule(t, "without it", err, RulePass)
}
