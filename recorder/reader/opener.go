package reader

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

// opener decrypts the sealed chunks of a part, in order, and takes them apart into frames. It holds
// one chunk, one block and one unfinished frame.
type opener struct {
	hdr  *format.Header
	file string

	read format.Ladder  // on the open segment
	seal *format.Ladder // nil below level C
	k, v cipher.AEAD
	uses uint32 // of V in the open segment
	open bool   // a segment is open

	z     *inflater
	plain []byte       // decrypted chunk
	buf   []byte       // frame bytes that were not parsed
	used  int          // of buf
	frame format.Frame // what next returned

	seq    uint32 // of the open chunk
	at     int64  // where it begins
	ct     uint64 // its time
	seq0   uint32 // of the chunk in which buf[used:] begins
	at0    int64
	ct0    uint64
	seq1   uint32 // of the sealed chunk after that one; seq0 until the frame continues in it
	ct1    uint64 // its time
	last   uint64 // time of the frame before
	wall   int64  // of the anchor before, ns
	wallAt uint64 // its time
	opened []byte
}

// newOpener checks the keys against the header's commitments.
func newOpener(file string, hdr *format.Header, rk, sk *[32]byte) (*opener, error) {
	o := &opener{hdr: hdr, file: file, z: newInflater(), wall: hdr.T0}
	var commit [32]byte
	if o.read, commit = format.ReadLadder(&hdr.Salt, rk); commit != hdr.KeyCommit {
		return nil, &format.Fault{File: file, Offset: format.HeaderAt, Rule: format.RuleKey,
			Detail: "the reading key is not the one that the header commits to"}
	}
	if sk == nil {
		return o, nil
	}
	seal, commit := format.SealLadder(&hdr.Salt, sk)
	if commit != hdr.SealCommit {
		return nil, &format.Fault{File: file, Offset: format.HeaderAt, Rule: format.RuleKey,
			Detail: "the unsealing key is not the one that the header commits to"}
	}
	o.seal = &seal
	return o, nil
}

func (o *opener) fault(rule, text string, args ...any) error {
	return &format.Fault{File: o.file, Offset: o.at, Rule: rule, Detail: fmt.Sprintf(text, args...)}
}

// chunk opens a sealed chunk of segment j. All frames of the chunk before must have been taken.
func (o *opener) chunk(c *format.Chunk, j uint32) error {
	if c.Type == format.ChunkSegment {
		if err := o.end(); err != nil {
			return err
		}
		o.begin(j, c.T)
	}
	o.seq, o.at, o.ct = c.Seq, c.Offset, c.T
	if c.T < o.last {
		return o.fault(format.RuleFrame, "a frame of the chunk before is later than this chunk")
	}
	n := format.Nonce(c.Seq)
	aad := append(append(make([]byte, 0, format.ChunkHeaderLen+32), c.Head[:]...), c.Before[:]...)
	plain, err := o.k.Open(o.plain[:0], n[:], c.Body, aad)
	if err != nil {
		return o.fault(format.RuleTag, "chunk %d does not open under the key of segment %d", c.Seq, j)
	}
	o.plain = plain
	packed, err := format.Unpad(plain)
	if err != nil {
		return o.fault(format.RulePadding, "%v", err)
	}
	if err := o.z.take(packed); err != nil {
		return o.fault(format.RuleZstd, "%v", err)
	}
	switch {
	case o.used == len(o.buf):
		o.begun()
	case o.seq0 == o.seq1: // this is the first chunk after the one in which the frame began
		o.ct1, o.seq1 = o.ct, o.seq
	}
	return nil
}

// begun notes that the next frame begins in the open chunk.
func (o *opener) begun() {
	o.seq0, o.at0, o.ct0 = o.seq, o.at, o.ct
	o.seq1 = o.seq
}

// begin derives the keys of segment j, which is never behind the open one.
func (o *opener) begin(j uint32, t uint64) {
	o.read = o.read.To(j)
	o.k = format.NewAEAD(o.read.Key())
	if o.seal != nil {
		*o.seal = o.seal.To(j)
		o.v = format.NewAEAD(o.seal.Key())
	}
	o.z.begin()
	o.uses, o.last, o.open = 0, t, true
}

// end demands that no frame is unfinished: none goes on behind its segment.
func (o *opener) end() error {
	if o.used != len(o.buf) {
		return &format.Fault{File: o.file, Offset: o.at0, Rule: format.RuleFrame,
			Detail: "a frame goes on behind its segment"}
	}
	return nil
}

// next gives the next frame of the open chunk; io.EOF when another chunk is needed. The frame and its
// data are good until the next call.
func (o *opener) next() (*format.Frame, error) {
	for {
		f, dt, rest, err := format.ParseFrame(o.buf[o.used:])
		if err == nil {
			return o.take(f, dt, len(o.buf)-o.used-len(rest))
		}
		if !errors.Is(err, format.ErrShortFrame) {
			return nil, o.frameFault("%v", err)
		}
		block, err := o.z.next()
		if err == io.EOF {
			return nil, io.EOF
		}
		if err != nil {
			return nil, o.fault(format.RuleZstd, "%v", err)
		}
		o.buf = append(o.buf[:copy(o.buf, o.buf[o.used:])], block...)
		o.used = 0
	}
}

func (o *opener) frameFault(text string, args ...any) error {
	return &format.Fault{File: o.file, Offset: o.at0, Rule: format.RuleFrame, Detail: fmt.Sprintf(text, args...)}
}

// take places a parsed frame of size bytes in time and opens what V sealed.
func (o *opener) take(f format.Frame, dt uint64, size int) (*format.Frame, error) {
	if dt > math.MaxInt64-o.last {
		return nil, o.frameFault("time out of range")
	}
	f.T = o.last + dt
	if f.T < o.ct0 {
		return nil, o.frameFault("a frame is earlier than its chunk")
	}
	if o.seq1 != o.seq0 && f.T > o.ct1 {
		return nil, o.frameFault("a frame is later than the chunk in which it continues")
	}
	o.last = f.T
	f.Seq, f.Offset, f.Segment = o.seq0, o.at0, o.read.At
	if f.Kind == format.KindAnchor {
		a, _ := f.Anchor() // parseFrame read it already
		o.wall, o.wallAt = int64(a.WallNs), f.T
	}
	f.Wall = time.Unix(0, o.wall+int64(f.T-o.wallAt)*1000)
	if err := o.unseal(&f); err != nil {
		return nil, err
	}
	o.used += size
	o.begun()
	o.frame = f
	return &o.frame, nil
}

// unseal counts the uses of V and, at level C, opens what it sealed.
func (o *opener) unseal(f *format.Frame) error {
	var fields, ct []byte
	switch {
	case f.Kind == format.KindSealed:
		fields, ct = format.AppendStreamHead(nil, f.Kind, f.Ch, f.Stream, f.At, f.Actor), f.Data
	case f.Kind == format.KindAttest && f.Data[0] == 1:
		fields, ct = f.Data[:1], f.Data[1:]
	default:
		return nil
	}
	o.uses++
	f.SealedAt = o.uses
	if o.v == nil {
		return nil
	}
	n := format.Nonce(o.uses)
	plain, err := o.v.Open(o.opened[:0], n[:], ct, format.SealedAAD(o.hdr, f.Kind, fields))
	if err != nil {
		return &format.Fault{File: o.file, Offset: o.at0, Rule: format.RuleSealed,
			Detail: fmt.Sprintf("sealed frame %d of segment %d does not open", o.uses, o.read.At)}
	}
	o.opened = plain
	if f.Kind == format.KindSealed {
		f.Data, f.Opened = plain, true
	}
	return nil
}
