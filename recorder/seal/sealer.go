// Package seal turns frames into the chunks of a container: compressed, sealed, chained, and signed at the end. It owns
// the keys of one part, which only go forward, and it knows no files.
//
// What a Sealer gives is final. It never takes a chunk back, so no nonce is used twice; a recording that a crash cut is
// never sealed on. writer drives it for real recordings, and sealtest with keys and times that a test chooses.
package seal

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/sallyport/sallyport/recorder/format"
)

// Sealer turns frames into chunks: it owns the keys, the chain and the open segment of one part.
// It knows no files; what it appends to dst is final and goes to disk as it is. It is used by one
// goroutine at a time and never rewinds, so a nonce is never used twice.
type Sealer struct {
	Header format.Header
	H      [32]byte // chain state after the last chunk
	Seq    uint32   // of the last chunk
	Offset int64    // where the next chunk begins in the file

	read, seal format.Ladder // on the segment that is open, or that comes next
	k, v       cipher.AEAD   // of the open segment; nil between segments
	sealed     uint32        // uses of V in the open segment: its nonce

	enc   *zstd.Encoder // from the pool while a segment is open
	began uint64        // time of the open segment
	last  uint64        // time of the last frame in it
	Plain int           // frame bytes in it
	body  int           // ct_len in it
	actor uint64        // whose input is in its compression window, if typed
	typed bool

	Drift   int64 // wall clock against record time, in ns, since the part began
	Stepped bool  // the wall clock was stepped and no anchor says so yet

	// What the close record will say.
	Index  []format.IndexEntry
	Stride uint32
	Totals format.Totals
}

// Workbench is what sealing needs for a moment. All sealers of a goroutine share one.
type Workbench struct {
	out  []byte // u32 length, compressed frames, padding
	ct   []byte
	head []byte
	aad  [format.ChunkHeaderLen + 32]byte
	d    hash.Hash
}

// NewWorkbench makes one for a goroutine.
func NewWorkbench() *Workbench { return &Workbench{d: sha256.New()} }

// Write takes what the zstd encoder gives out.
func (w *Workbench) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// Entry is a frame that waits to be sealed. Its data lie in a pending buffer, after those of the
// entry before.
type Entry struct {
	T     uint64
	Kind  format.Kind
	Size  int
	Head  int    // bytes of data that are clear; what follows is sealed under V. 0: all is clear
	Actor uint64 // s, i
}

// KindStatement marks an entry that becomes a chunk of its own.
const KindStatement format.Kind = 0

// encoders is shared by all parts: an encoder is most of what an open recording costs in memory,
// and an idle recording holds none.
var encoders = sync.Pool{New: func() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(format.MaxWindow),
		zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // fixed options
	}
	return z
}}

// New begins a part and gives the file's first bytes. The caller erases rk and sk.
func New(hdr format.Header, rk, sk *[32]byte) (*Sealer, []byte, error) {
	s := &Sealer{Stride: 1}
	s.read, hdr.KeyCommit = format.ReadLadder(&hdr.Salt, rk)
	s.seal, hdr.SealCommit = format.SealLadder(&hdr.Salt, sk)
	prefix, err := hdr.Encode()
	if err != nil {
		return nil, nil, err
	}
	s.Header, s.H, s.Offset = hdr, format.ChainStart(prefix), int64(len(prefix))
	return s, prefix, nil
}

var errPartFull = errors.New("the part has no chunk numbers left")

// Next seals one chunk from the first of es, appends it to dst and says how many entries went into
// it. Plain text that it seals under V is erased in pending.
func (s *Sealer) Next(w *Workbench, dst, pending []byte, es []Entry) ([]byte, int, error) {
	if s.Seq >= format.MaxSeq-1 { // the last number is the close's
		return dst, 0, errPartFull
	}
	if es[0].Kind == KindStatement {
		s.Totals.Statements++
		return s.ClearChunk(w, dst, format.ChunkStatement, es[0].T, pending[:es[0].Size]), 1, nil
	}
	typ, first := format.ChunkData, es[0]
	w.out = append(w.out[:0], 0, 0, 0, 0)
	if s.enc == nil || !s.fits(first, 0) {
		s.EndSegment()
		s.beginSegment(w, first.T)
		typ = format.ChunkSegment
		s.anchor(w, first.T)
	}
	n, gathered := 0, 0
	for _, e := range es {
		if e.Kind == KindStatement || n > 0 && !s.fits(e, gathered) {
			break
		}
		s.feed(w, e, pending[:e.Size])
		pending = pending[e.Size:]
		gathered += e.Size
		n++
	}
	dst, err := s.close(w, dst, typ, first.T)
	return dst, n, err
}

// fits says whether e may go into the open segment, and into a chunk that already holds gathered
// bytes. Input of another actor starts a segment: what one person types must not be measurable in the
// compressed length of what another types.
func (s *Sealer) fits(e Entry, gathered int) bool {
	const slack = 64 // dt, kind, lengths and the tag of a sealed frame
	return !s.Stepped &&
		gathered+e.Size <= ChunkPlain &&
		s.Plain+e.Size+slack <= SegmentPlain &&
		s.body+gathered+e.Size <= segmentBody &&
		e.T-s.began < segmentTimeUs &&
		!(isInput(e.Kind) && s.typed && e.Actor != s.actor)
}

func isInput(k format.Kind) bool {
	return k == format.KindSealed || k == format.KindReveal || k == format.KindClear
}

func (s *Sealer) beginSegment(w *Workbench, t uint64) {
	s.k, s.v = format.NewAEAD(s.read.Key()), format.NewAEAD(s.seal.Key())
	s.enc = encoders.Get().(*zstd.Encoder)
	s.enc.Reset(w)
	s.began, s.last = t, t
	s.Plain, s.body, s.sealed, s.typed = 0, 0, 0, false
	s.note(t)
	s.Totals.Segments++
}

// note puts the segment that begins into the index, thinning the index when it is full.
func (s *Sealer) note(t uint64) {
	j := s.Totals.Segments
	if st := format.Stride(j + 1); st != s.Stride {
		s.Stride = st
		s.Index = format.ThinIndex(s.Index)
	}
	if j%uint64(s.Stride) == 0 {
		s.Index = append(s.Index, format.IndexEntry{Seq: s.Seq + 1, Offset: uint64(s.Offset), T: t, H: s.H})
	}
}

// EndSegment forgets the open segment's keys and gives its encoder back.
func (s *Sealer) EndSegment() {
	if s.enc == nil {
		return
	}
	s.enc.Reset(nil)
	encoders.Put(s.enc)
	s.enc, s.k, s.v = nil, nil, nil
	s.read.Step()
	s.seal.Step()
}

// anchor ties the segment's beginning to the wall clock.
func (s *Sealer) anchor(w *Workbench, t uint64) {
	wall := s.Header.T0 + int64(t)*1000 + s.Drift
	data := format.AppendAnchor(nil, uint64(max(wall, 0)), s.Stepped)
	s.Stepped = false
	s.feed(w, Entry{T: t, Kind: format.KindAnchor, Size: len(data)}, data)
}

// feed compresses one frame.
func (s *Sealer) feed(w *Workbench, e Entry, data []byte) {
	s.count(e, data)
	var ct []byte
	if e.Head > 0 {
		s.sealed++
		n := format.Nonce(s.sealed)
		w.ct = s.v.Seal(w.ct[:0], n[:], data[e.Head:], format.SealedAAD(&s.Header, e.Kind, data[:e.Head]))
		clear(data[e.Head:])
		data, ct = data[:e.Head], w.ct
	}
	w.head = binary.AppendUvarint(w.head[:0], e.T-s.last)
	w.head = append(w.head, byte(e.Kind))
	w.head = binary.AppendUvarint(w.head, uint64(len(data)+len(ct)))
	// The encoder writes to memory, which cannot fail; its error would come back from Flush.
	s.enc.Write(w.head)
	s.enc.Write(data)
	s.enc.Write(ct)
	s.last = e.T
	s.Plain += len(w.head) + len(data) + len(ct)
	if isInput(e.Kind) {
		s.actor, s.typed = e.Actor, true
	}
}

// count adds a frame to the part's totals.
func (s *Sealer) count(e Entry, data []byte) {
	s.Totals.Frames++
	switch e.Kind {
	case format.KindOutput:
		s.Totals.Out += format.StreamLen(e.Kind, data)
	case format.KindSealed:
		s.Totals.In += uint64(len(data) - e.Head)
	case format.KindReveal:
		s.Totals.Revealed += format.StreamLen(e.Kind, data)
	case format.KindClear:
		n := format.StreamLen(e.Kind, data)
		s.Totals.In += n
		s.Totals.Revealed += n
	case format.KindGap:
		s.Totals.Gaps++
		var g format.Gap
		if format.DecodeExact(data, &g) == nil {
			s.Totals.GapBytes += g.Bytes
		}
	}
}

// close flushes the compressor and seals what it gave out as one chunk.
func (s *Sealer) close(w *Workbench, dst []byte, typ format.ChunkType, t uint64) ([]byte, error) {
	if err := s.enc.Flush(); err != nil {
		return dst, fmt.Errorf("compress: %w", err)
	}
	binary.LittleEndian.PutUint32(w.out, uint32(len(w.out)-4))
	for len(w.out)%format.Padding != 0 {
		w.out = append(w.out, 0)
	}
	at := len(dst)
	dst = append(dst, make([]byte, format.ChunkHeaderLen)...)
	s.Seq++
	format.PutChunkHeader(dst[at:], len(w.out)+format.TagLen, typ, s.Seq, t)
	copy(w.aad[:], dst[at:])
	copy(w.aad[format.ChunkHeaderLen:], s.H[:])
	n := format.Nonce(s.Seq)
	dst = s.k.Seal(dst, n[:], w.out, w.aad[:])
	clear(w.out)
	s.body += len(w.out) + format.TagLen
	s.advance(w, dst[at:])
	return dst, nil
}

// Raw seals bytes that need not be frames as a data chunk of the open segment: frames are compressed, packed is sealed
// as it is. A recorder never calls it. Tests of readers make hostile recordings with it, which are well-formed but for
// what is in that chunk.
func (s *Sealer) Raw(w *Workbench, dst []byte, t uint64, frames, packed []byte) ([]byte, error) {
	w.out = append(w.out[:0], 0, 0, 0, 0)
	if packed != nil {
		w.out = append(w.out, packed...)
		s.enc.Reset(io.Discard) // so that nothing of its own comes in between
	}
	if _, err := s.enc.Write(frames); err != nil {
		return dst, err
	}
	return s.close(w, dst, format.ChunkData, t)
}

// ClearChunk appends a chunk that is not sealed.
func (s *Sealer) ClearChunk(w *Workbench, dst []byte, typ format.ChunkType, t uint64, body []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, format.ChunkHeaderLen)...)
	s.Seq++
	format.PutChunkHeader(dst[at:], len(body), typ, s.Seq, t)
	dst = append(dst, body...)
	s.advance(w, dst[at:])
	return dst
}

func (s *Sealer) advance(w *Workbench, chunk []byte) {
	w.d.Reset()
	w.d.Write(s.H[:])
	w.d.Write(chunk)
	w.d.Sum(s.H[:0])
	s.Offset += int64(len(chunk))
	s.Totals.Chunks++
}

// Forget erases the keys of the part. Nothing can be sealed after it.
func (s *Sealer) Forget() {
	s.EndSegment()
	s.read.Erase()
	s.seal.Erase()
}

// End appends the close chunk and the trailer.
func (s *Sealer) End(w *Workbench, dst []byte, t uint64, reason string, key ed25519.PrivateKey) ([]byte, error) {
	s.EndSegment()
	rec := format.CloseRecord{V: s.Header.V, Session: s.Header.Session, Part: s.Header.Part,
		Reason: format.Clip(reason, 500), Seq: s.Seq + 1, T: t,
		Wall: s.Header.T0 + int64(t)*1000 + s.Drift, Head: s.H, Totals: s.Totals, Stride: s.Stride, Index: s.Index}
	body, err := format.Encode(rec)
	if err != nil {
		return dst, fmt.Errorf("encode close: %w", err)
	}
	at := s.Offset
	dst = s.ClearChunk(w, dst, format.ChunkClose, t,
		format.AppendLP(format.AppendLP(nil, body), format.SignClose(key, body)))
	s.Forget()
	return append(dst, format.Trailer(at, s.Seq, s.H)...), nil
}
