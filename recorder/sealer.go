package recorder

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// sealer turns frames into chunks: it owns the keys, the chain and the open segment of one part.
// It knows no files; what it appends to dst is final and goes to disk as it is. It is used by one
// goroutine at a time and never rewinds, so a nonce is never used twice.
type sealer struct {
	hdr Header
	h   [32]byte
	seq uint32 // of the last chunk
	off int64  // where the next chunk begins in the file

	read, seal ladder      // on the segment that is open, or that comes next
	k, v       cipher.AEAD // of the open segment; nil between segments
	sealed     uint32      // uses of V in the open segment: its nonce

	enc   *zstd.Encoder // from the pool while a segment is open
	began uint64        // time of the open segment
	last  uint64        // time of the last frame in it
	plain int           // frame bytes in it
	body  int           // ct_len in it
	actor uint64        // whose input is in its compression window, if typed
	typed bool

	drift   int64 // wall clock against record time, in ns, since the part began
	stepped bool  // the wall clock was stepped and no anchor says so yet

	index  []IndexEntry
	stride uint32
	totals Totals
}

// workbench is what sealing needs for a moment. All sealers of a goroutine share one.
type workbench struct {
	out  []byte // u32 length, compressed frames, padding
	ct   []byte
	head []byte
	aad  [chunkHeaderLen + 32]byte
	d    hash.Hash
}

func newWorkbench() *workbench { return &workbench{d: sha256.New()} }

// Write takes what the zstd encoder gives out.
func (w *workbench) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// entry is a frame that waits to be sealed. Its data lie in a pending buffer, after those of the
// entry before.
type entry struct {
	t     uint64
	kind  Kind
	size  int
	head  int    // bytes of data that are clear; what follows is sealed under V. 0: all is clear
	actor uint64 // s, i
}

// kindStatement marks an entry that becomes a chunk of its own.
const kindStatement Kind = 0

// encoders is shared by all parts: an encoder is most of what an open recording costs in memory,
// and an idle recording holds none.
var encoders = sync.Pool{New: func() any {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(maxWindow),
		zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // fixed options
	}
	return z
}}

// newSealer begins a part and gives the file's first bytes. The caller erases rk and sk.
func newSealer(hdr Header, rk, sk *[32]byte) (*sealer, []byte, error) {
	s := &sealer{stride: 1}
	s.read, hdr.KeyCommit = readLadder(&hdr.Salt, rk)
	s.seal, hdr.SealCommit = sealLadder(&hdr.Salt, sk)
	prefix, err := hdr.encode()
	if err != nil {
		return nil, nil, err
	}
	s.hdr, s.h, s.off = hdr, chainStart(prefix), int64(len(prefix))
	return s, prefix, nil
}

var errPartFull = errors.New("the part has no chunk numbers left")

// next seals one chunk from the first of es, appends it to dst and says how many entries went into
// it. Plain text that it seals under V is erased in pending.
func (s *sealer) next(w *workbench, dst, pending []byte, es []entry) ([]byte, int, error) {
	if s.seq >= maxSeq-1 { // the last number is the close's
		return dst, 0, errPartFull
	}
	if es[0].kind == kindStatement {
		s.totals.Statements++
		return s.clear(w, dst, ChunkStatement, es[0].t, pending[:es[0].size]), 1, nil
	}
	typ, first := ChunkData, es[0]
	w.out = append(w.out[:0], 0, 0, 0, 0)
	if s.enc == nil || !s.fits(first, 0) {
		s.endSegment()
		s.beginSegment(w, first.t)
		typ = ChunkSegment
		s.anchor(w, first.t)
	}
	n, gathered := 0, 0
	for _, e := range es {
		if e.kind == kindStatement || n > 0 && !s.fits(e, gathered) {
			break
		}
		s.feed(w, e, pending[:e.size])
		pending = pending[e.size:]
		gathered += e.size
		n++
	}
	dst, err := s.close(w, dst, typ, first.t)
	return dst, n, err
}

// fits says whether e may go into the open segment, and into a chunk that already holds gathered
// bytes. Input of another actor starts a segment: what one person types must not be measurable in the
// compressed length of what another types.
func (s *sealer) fits(e entry, gathered int) bool {
	const slack = 64 // dt, kind, lengths and the tag of a sealed frame
	input := e.kind == KindSealed || e.kind == KindReveal
	return !s.stepped &&
		gathered+e.size <= chunkPlain &&
		s.plain+e.size+slack <= segmentPlain &&
		s.body+gathered+e.size <= segmentBody &&
		e.t-s.began < segmentTimeUs &&
		!(input && s.typed && e.actor != s.actor)
}

func (s *sealer) beginSegment(w *workbench, t uint64) {
	s.k, s.v = newAEAD(s.read.key()), newAEAD(s.seal.key())
	s.enc = encoders.Get().(*zstd.Encoder)
	s.enc.Reset(w)
	s.began, s.last = t, t
	s.plain, s.body, s.sealed, s.typed = 0, 0, 0, false
	s.note(t)
	s.totals.Segments++
}

// note puts the segment that begins into the index, thinning the index when it is full.
func (s *sealer) note(t uint64) {
	j := s.totals.Segments
	if st := stride(j + 1); st != s.stride {
		s.stride = st
		s.index = thin(s.index)
	}
	if j%uint64(s.stride) == 0 {
		s.index = append(s.index, IndexEntry{Seq: s.seq + 1, Offset: uint64(s.off), T: t, H: s.h})
	}
}

// endSegment forgets the open segment's keys and gives its encoder back.
func (s *sealer) endSegment() {
	if s.enc == nil {
		return
	}
	s.enc.Reset(nil)
	encoders.Put(s.enc)
	s.enc, s.k, s.v = nil, nil, nil
	s.read.step()
	s.seal.step()
}

// anchor ties the segment's beginning to the wall clock.
func (s *sealer) anchor(w *workbench, t uint64) {
	wall := s.hdr.T0 + int64(t)*1000 + s.drift
	data := appendAnchor(nil, uint64(max(wall, 0)), s.stepped)
	s.stepped = false
	s.feed(w, entry{t: t, kind: KindAnchor, size: len(data)}, data)
}

// feed compresses one frame.
func (s *sealer) feed(w *workbench, e entry, data []byte) {
	s.count(e, data)
	var ct []byte
	if e.head > 0 {
		s.sealed++
		n := nonce(s.sealed)
		w.ct = s.v.Seal(w.ct[:0], n[:], data[e.head:], sealedAAD(&s.hdr, e.kind, data[:e.head]))
		clear(data[e.head:])
		data, ct = data[:e.head], w.ct
	}
	w.head = binary.AppendUvarint(w.head[:0], e.t-s.last)
	w.head = append(w.head, byte(e.kind))
	w.head = binary.AppendUvarint(w.head, uint64(len(data)+len(ct)))
	// The encoder writes to memory, which cannot fail; its error would come back from Flush.
	s.enc.Write(w.head)
	s.enc.Write(data)
	s.enc.Write(ct)
	s.last = e.t
	s.plain += len(w.head) + len(data) + len(ct)
	if e.kind == KindSealed || e.kind == KindReveal {
		s.actor, s.typed = e.actor, true
	}
}

// count adds a frame to the part's totals.
func (s *sealer) count(e entry, data []byte) {
	s.totals.Frames++
	switch e.kind {
	case KindOutput:
		s.totals.Out += streamLen(e.kind, data)
	case KindSealed:
		s.totals.In += uint64(len(data) - e.head)
	case KindReveal:
		s.totals.Revealed += streamLen(e.kind, data)
	case KindGap:
		s.totals.Gaps++
		var g Gap
		if decodeExact(data, &g) == nil {
			s.totals.GapBytes += g.Bytes
		}
	}
}

// streamLen gives the number of stream bytes in the data of an o or i frame.
func streamLen(k Kind, data []byte) uint64 {
	f := Frame{Kind: k, Data: data}
	if f.parseHead() != nil {
		return 0
	}
	return uint64(len(f.Data))
}

// sealedAAD binds what V seals to its place: the frame's clear fields are channel, stream, offset and
// actor.
func sealedAAD(h *Header, k Kind, fields []byte) []byte {
	b := append([]byte(labelPrefix), byte(k), 0)
	b = append(b, h.Session[:]...)
	b = binary.BigEndian.AppendUint32(b, h.Part)
	return append(b, fields...)
}

// close flushes the compressor and seals what it gave out as one chunk.
func (s *sealer) close(w *workbench, dst []byte, typ ChunkType, t uint64) ([]byte, error) {
	if err := s.enc.Flush(); err != nil {
		return dst, fmt.Errorf("compress: %w", err)
	}
	binary.LittleEndian.PutUint32(w.out, uint32(len(w.out)-4))
	for len(w.out)%padding != 0 {
		w.out = append(w.out, 0)
	}
	at := len(dst)
	dst = append(dst, make([]byte, chunkHeaderLen)...)
	s.seq++
	putChunkHeader(dst[at:], len(w.out)+tagLen, typ, s.seq, t)
	copy(w.aad[:], dst[at:])
	copy(w.aad[chunkHeaderLen:], s.h[:])
	n := nonce(s.seq)
	dst = s.k.Seal(dst, n[:], w.out, w.aad[:])
	clear(w.out)
	s.body += len(w.out) + tagLen
	s.advance(w, dst[at:])
	return dst, nil
}

// clear appends a chunk that is not sealed.
func (s *sealer) clear(w *workbench, dst []byte, typ ChunkType, t uint64, body []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, chunkHeaderLen)...)
	s.seq++
	putChunkHeader(dst[at:], len(body), typ, s.seq, t)
	dst = append(dst, body...)
	s.advance(w, dst[at:])
	return dst
}

func (s *sealer) advance(w *workbench, chunk []byte) {
	w.d.Reset()
	w.d.Write(s.h[:])
	w.d.Write(chunk)
	w.d.Sum(s.h[:0])
	s.off += int64(len(chunk))
	s.totals.Chunks++
}

// end appends the close chunk and the trailer.
func (s *sealer) end(w *workbench, dst []byte, t uint64, reason string, key ed25519.PrivateKey) ([]byte, error) {
	s.endSegment()
	rec := CloseRecord{V: Version, Session: s.hdr.Session, Part: s.hdr.Part, Reason: clip(reason, 500), Seq: s.seq + 1, T: t,
		Wall: s.hdr.T0 + int64(t)*1000 + s.drift, Head: s.h, Totals: s.totals, Stride: s.stride, Index: s.index}
	body, err := encMode.Marshal(rec)
	if err != nil {
		return dst, fmt.Errorf("encode close: %w", err)
	}
	at := s.off
	dst = s.clear(w, dst, ChunkClose, t, lp(lp(nil, body), signClose(key, body)))
	clear(s.read.secret[:])
	clear(s.seal.secret[:])
	return append(dst, trailer(at, s.seq, s.h)...), nil
}
