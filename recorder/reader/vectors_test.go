package reader

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/scan"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

var update = flag.Bool("update", false, "write anew what is computed from the test vectors of "+
	"docs/recording-format.md; a recording itself only if it is gone")

const vectors = "testdata/vectors"

// hexBytes are hexadecimal in the vectors.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func h32(b [32]byte) hexBytes { return b[:] }

// vector is what a verifier computes on its way through a recording.
type vector struct {
	RK        hexBytes `json:"rk"`
	SK        hexBytes `json:"sk"`
	RecordKey hexBytes `json:"record_key"`
	KeyID     hexBytes `json:"gateway_key_id"`
	HeaderLen int      `json:"header_len"`
	Salt      hexBytes `json:"salt"`
	P         hexBytes `json:"P"`
	Q         hexBytes `json:"Q"`
	KeyCommit hexBytes `json:"key_commit"`
	SealComm  hexBytes `json:"seal_commit"`

	Segments []vectorSegment `json:"segments"`
	H0       hexBytes        `json:"h0"`
	Chunks   []vectorChunk   `json:"chunks"`
	Frames   []vectorFrame   `json:"frames"`
	Close    vectorClose     `json:"close"`
	Trailer  hexBytes        `json:"trailer"`
	HFinal   hexBytes        `json:"h_final"`
	Hidden   Hidden          `json:"hidden"`
	Faults   []vectorFault   `json:"faults"`
}

type vectorSegment struct {
	S hexBytes `json:"S"`
	K hexBytes `json:"K"`
	U hexBytes `json:"U"`
	V hexBytes `json:"V"`
}

type vectorChunk struct {
	Offset  int64    `json:"offset"`
	Type    uint8    `json:"type"`
	Seq     uint32   `json:"seq"`
	T       uint64   `json:"t_us"`
	Body    int      `json:"ct_len"`
	H       hexBytes `json:"h"`
	Segment *uint64  `json:"segment,omitempty"`
	Nonce   hexBytes `json:"nonce,omitempty"`
	AAD     hexBytes `json:"aad,omitempty"`
	Plain   hexBytes `json:"plaintext,omitempty"`
}

type vectorFrame struct {
	Chunk  uint32         `json:"chunk"`
	T      uint64         `json:"t_us"`
	Kind   string         `json:"kind"`
	Ch     *uint32        `json:"ch,omitempty"`
	Stream *format.Stream `json:"stream,omitempty"`
	Offset *uint64        `json:"offset,omitempty"`
	Actor  *uint64        `json:"actor,omitempty"`
	Nonce  hexBytes       `json:"nonce,omitempty"`
	AAD    hexBytes       `json:"aad,omitempty"`
	Data   hexBytes       `json:"data"` // of s: opened
}

type vectorClose struct {
	Body    hexBytes `json:"body"`
	Message hexBytes `json:"signed_message"`
	Blob    hexBytes `json:"signature_blob"`
}

// vectorFault is a change of small.srec and the fault that it must give.
type vectorFault struct {
	What   string `json:"what"`
	At     int64  `json:"at"`
	Xor    uint8  `json:"xor,omitempty"`
	CutTo  int64  `json:"cut_to,omitempty"`
	Rule   string `json:"rule,omitempty"` // empty: a cut
	Offset int64  `json:"offset"`
}

// derive is HKDF-Expand as the specification says it, not as keys.go does it.
func derive(t *testing.T, prk []byte, label string) []byte {
	t.Helper()
	b, err := hkdf.Expand(sha256.New, prk, "sallyport/rec/v1/"+label, 32)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func extract(t *testing.T, salt, key []byte) []byte {
	t.Helper()
	b, err := hkdf.Extract(sha256.New, key, salt)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// compute goes through the container and writes down every value on the way.
func compute(t *testing.T, name string, file []byte, rk, sk [32]byte) vector {
	t.Helper()
	sc, err := scan.New(name, bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	hdr := &sc.Header
	v := vector{RK: rk[:], SK: sk[:], RecordKey: hexBytes(sealtest.Public(sealtest.Key())),
		KeyID: h32(format.KeyID(sealtest.Public(sealtest.Key()))), HeaderLen: int(sc.Offset) - format.HeaderAt,
		Salt: hdr.Salt[:], H0: h32(sc.H0)}
	v.P, v.Q = extract(t, hdr.Salt[:], rk[:]), extract(t, hdr.Salt[:], sk[:])
	v.KeyCommit, v.SealComm = derive(t, v.P, "commit"), derive(t, v.Q, "seal-commit")
	op, err := newOpener(name, hdr, &rk, &sk)
	if err != nil {
		t.Fatal(err)
	}
	s, u := derive(t, v.P, "s0"), derive(t, v.Q, "u0")
	for {
		c, err := sc.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		vc := vectorChunk{Offset: c.Offset, Type: uint8(c.Type), Seq: c.Seq, T: c.T, Body: len(c.Body), H: h32(c.After)}
		if c.Type == format.ChunkSegment {
			if len(v.Segments) > 0 {
				s, u = derive(t, s, "next"), derive(t, u, "next")
			}
			v.Segments = append(v.Segments, vectorSegment{S: s, K: derive(t, s, "key"), U: u, V: derive(t, u, "key")})
		}
		if c.Type == format.ChunkClose {
			body, sig, err := format.SplitSigned(c.Body)
			if err != nil {
				t.Fatal(err)
			}
			v.Close = vectorClose{Body: bytes.Clone(body), Blob: bytes.Clone(sig)}
		}
		if c.Sealed() {
			v.sealed(t, op, c, &vc, hdr)
		}
		v.Chunks = append(v.Chunks, vc)
	}
	v.Close.Message = append([]byte("sallyport/v1/close\x00"), v.Close.Body...)
	v.Trailer, v.HFinal = file[len(file)-format.TrailerLen:], h32(sc.H)
	return v
}

func (v *vector) sealed(t *testing.T, op *opener, c *format.Chunk, vc *vectorChunk, hdr *format.Header) {
	t.Helper()
	j, n := uint64(len(v.Segments)-1), format.Nonce(c.Seq)
	vc.Segment, vc.Nonce, vc.AAD = &j, bytes.Clone(n[:]), append(bytes.Clone(c.Head[:]), c.Before[:]...)
	plain, err := format.NewAEAD([32]byte(v.Segments[j].K)).Open(nil, n[:], c.Body, vc.AAD)
	if err != nil {
		t.Fatal(err)
	}
	vc.Plain = plain
	if err := op.chunk(c, uint32(j)); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := op.next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		v.Frames = append(v.Frames, frameVector(f, hdr))
	}
}

func frameVector(f *format.Frame, hdr *format.Header) vectorFrame {
	out := vectorFrame{Chunk: f.Seq, T: f.T, Kind: string(f.Kind), Data: bytes.Clone(f.Data)}
	if stream := f.Kind == format.KindOutput || f.Kind == format.KindSealed || f.Kind == format.KindReveal; stream || f.Kind == format.KindClear {
		ch, stream, at, actor := f.Ch, f.Stream, f.At, f.Actor
		out.Ch, out.Stream, out.Offset = &ch, &stream, &at
		if f.Kind != format.KindOutput {
			out.Actor = &actor
		}
	}
	if f.SealedAt > 0 {
		n := format.Nonce(f.SealedAt)
		out.Nonce = bytes.Clone(n[:])
		fields := []byte{1}
		if f.Kind == format.KindSealed {
			fields = format.AppendStreamHead(nil, f.Kind, f.Ch, f.Stream, f.At, f.Actor)
		}
		out.AAD = format.SealedAAD(hdr, f.Kind, fields)
	}
	return out
}

// spoil gives the changes whose faults are part of the vectors.
func spoil(file []byte, v *vector) []vectorFault {
	first, last := v.Chunks[0], v.Chunks[len(v.Chunks)-1]
	end := int64(len(file) - format.TrailerLen)
	out := []vectorFault{
		{What: "magic", At: 0, Xor: 1},
		{What: "header length", At: 11, Xor: 1},
		{What: "salt, so that no key matches", At: int64(bytes.Index(file, v.Salt)), Xor: 1},
		{What: "length of the first chunk", At: first.Offset, Xor: 1},
		{What: "type of the first chunk", At: first.Offset + 7, Xor: 0x30},
		{What: "number of the first chunk", At: first.Offset + 4, Xor: 2},
		{What: "body of the first chunk", At: first.Offset + 20, Xor: 1},
		{What: "time of the close", At: last.Offset + 8, Xor: 1},
		{What: "signature of the close", At: end - 1, Xor: 1},
		{What: "chain state in the trailer", At: end + 40, Xor: 1},
		{What: "cut inside the close", CutTo: last.Offset + 30},
		{What: "cut before the close", CutTo: last.Offset},
		{What: "cut inside the trailer", CutTo: end + 10},
	}
	return out
}

func (f vectorFault) apply(file []byte) []byte {
	if f.CutTo > 0 {
		return file[:f.CutTo]
	}
	out := bytes.Clone(file)
	out[f.At] ^= f.Xor
	return out
}

// outcome is what Verify says to a changed file.
func (f vectorFault) outcome(t *testing.T, file []byte, opt VerifyOptions) (rule string, offset int64) {
	t.Helper()
	r, err := verifyBytes(t, f.apply(file), opt)
	var fault *format.Fault
	switch {
	case errors.As(err, &fault):
		return fault.Rule, fault.Offset
	case err != nil || r.Cut == nil:
		t.Fatalf("%s: got %v, want a fault or a cut", f.What, err)
	}
	return "", r.Cut.Offset
}

// writeVectors makes a recording of version 2, and slots that the keys of the first one open.
func writeVectors(t *testing.T, name string, p *sealtest.Part) {
	t.Helper()
	files := map[string][]byte{name + ".srec": p.Close("exit")}
	for slot, key := range map[string]*[32]byte{"rk": &p.RK, "sk": &p.SK} {
		ids, err := age.ParseIdentities(bytes.NewReader(readVector(t, slot+".key")))
		if err != nil {
			t.Fatal(err)
		}
		who := ids[0].(*age.X25519Identity).Recipient()
		if files[name+"."+slot+".age"], err = format.Wrap(key, []age.Recipient{who}); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(vectors, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readVector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// slotKey opens a slot of a vector.
func slotKey(t *testing.T, name, slot string) [32]byte {
	t.Helper()
	ids, err := age.ParseIdentities(bytes.NewReader(readVector(t, slot+".key")))
	if err != nil {
		t.Fatal(err)
	}
	key, err := format.Unlock(bytes.NewReader(readVector(t, name+"."+slot+".age")), ids...)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sample is a recording of the specification.
type sample struct {
	name    string
	version uint64
	make    func(testing.TB) *sealtest.Part // nil: it is never written again
}

func TestTheVectorsOfTheSpecificationHold(t *testing.T) {
	for _, v := range []sample{
		{"small", format.Version1, nil},
		{"small2", format.Version2, sealtest.Small},
		{"command", format.Version2, sealtest.Command},
	} {
		t.Run(v.name, v.holds)
	}
}

func (is sample) holds(t *testing.T) {
	name := is.name
	path := filepath.Join(vectors, name+".srec")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && *update && is.make != nil {
		writeVectors(t, name, is.make(t)) // once: what was written must stay readable
	}
	file, rk, sk := readVector(t, name+".srec"), slotKey(t, name, "rk"), slotKey(t, name, "sk")
	opt := VerifyOptions{File: name + ".srec", Key: sealtest.Public(sealtest.Key()), RK: &rk, SK: &sk}
	r, err := verifyBytes(t, file, opt)
	if err != nil || r.Version != is.version {
		t.Fatalf("got %v of %+v, want version %d", err, r, is.version)
	}
	v := compute(t, name+".srec", file, rk, sk)
	v.Hidden = r.Hidden
	for _, f := range spoil(file, &v) {
		f.Rule, f.Offset = f.outcome(t, file, opt)
		v.Faults = append(v.Faults, f)
	}
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(filepath.Join(vectors, name+".json"), got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readVector(t, name+".json"); !bytes.Equal(got, want) {
		t.Errorf("%s.json is not what this code computes from the recording; look at the difference, then run "+
			"with -update", name)
	}
	hdr, err := format.ParseHeader(file[format.HeaderAt : format.HeaderAt+v.HeaderLen])
	if err != nil || !bytes.Equal(v.KeyCommit, hdr.KeyCommit[:]) || !bytes.Equal(v.SealComm, hdr.SealCommit[:]) {
		t.Error("the commitments of the specification are not those of the header")
	}
}
