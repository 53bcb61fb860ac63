package reader

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/scan"
)

// VerifyOptions says what is known about a container from elsewhere. Everything is optional; what is
// missing is not checked, and the report says so.
type VerifyOptions struct {
	File string            // its name in faults
	Key  ed25519.PublicKey // the record key, for the close
	RK   *[32]byte         // level B
	SK   *[32]byte         // level C, with RK

	Session  *id.Session
	Part     *uint32
	DeviceFP *[32]byte
	Origin   string    // of the log that has its leaves; in version 1 it is not compared
	PrevHead *[32]byte // h_final of the part before
	H0       *[32]byte // from the open leaf
	HFinal   *[32]byte // from the close or interrupted leaf: the chain's state at the end
	Heads    []Head    // from progress leaves: states in between

	lanes int // tests set it; otherwise it goes by size and processors
}

// Head is the chain state after a chunk.
type Head struct {
	Seq uint32
	H   [32]byte
}

// verifier is one run.
type verifier struct {
	opt   VerifyOptions
	sc    *scan.Scanner
	op    *opener // nil at level A
	tally *tally
	heads map[uint32][32]byte
	cut   *format.Cut
}

// Verify checks one container and stops at the first fault, which it returns as a *Fault. Without keys
// it checks the chain (level A), with RK the frames (B), with SK what was sealed (C). A recording that
// is cut is good up to there, and the report says so. Memory does not grow with the recording.
func Verify(ctx context.Context, src io.ReaderAt, size int64, opt VerifyOptions) (*Report, error) {
	v, err := newVerifier(src, size, opt)
	if err != nil {
		return nil, err
	}
	if !v.sideBySide(ctx) {
		if err := v.chunks(ctx, toEnd); err != nil {
			return nil, err
		}
	}
	if err := v.ending(); err != nil {
		return nil, err
	}
	return v.report(), nil
}

// newVerifier reads the header and compares it with what is known.
func newVerifier(src io.ReaderAt, size int64, opt VerifyOptions) (*verifier, error) {
	if opt.SK != nil && opt.RK == nil {
		return nil, errors.New("the unsealing key alone opens nothing: the reading key is needed too")
	}
	v := &verifier{opt: opt, heads: map[uint32][32]byte{}}
	var err error
	if v.sc, err = scan.New(opt.File, src, size); err != nil {
		return nil, err
	}
	v.sc.Key, v.tally = opt.Key, newTally(v.sc.Header.V)
	for _, h := range opt.Heads {
		if have, ok := v.heads[h.Seq]; ok && have != h.H {
			return nil, v.sc.Fault(0, format.RuleHead, "two progress leaves name two states after chunk %d", h.Seq)
		}
		v.heads[h.Seq] = h.H
	}
	return v, v.header()
}

// header compares the header with what is known, and the keys with it.
func (v *verifier) header() error {
	h, want := &v.sc.Header, &v.opt
	var what string
	switch {
	case want.Session != nil && *want.Session != h.Session:
		what = "session_id is of another session"
	case want.Part != nil && *want.Part != h.Part:
		what = fmt.Sprintf("part is %d, want %d", h.Part, *want.Part)
	case want.DeviceFP != nil && *want.DeviceFP != h.DeviceFP:
		what = "device_fp is another device's"
	case want.Origin != "" && h.V >= format.Version2 && want.Origin != h.LogOrigin:
		what = fmt.Sprintf("log_origin is %.80q, and the log that announced it is %.80q", h.LogOrigin, want.Origin)
	case want.PrevHead != nil && *want.PrevHead != h.PrevHead:
		what = "prev_part_head is not where the part before ends"
	case want.Key != nil && format.KeyID(want.Key) != h.GatewayKeyID:
		what = "gateway_key_id names another record key"
	}
	if what != "" {
		return &format.Fault{File: want.File, Offset: format.HeaderAt, Length: v.sc.Offset - format.HeaderAt,
			Rule: format.RuleHeader, Detail: what}
	}
	if want.H0 != nil && *want.H0 != v.sc.H0 {
		return v.sc.Broken(v.sc.Offset, format.RuleHead, "h[0] is not the one that the log's open leaf commits to")
	}
	if want.H0 != nil {
		v.sc.Held = v.sc.Offset
	}
	if err := v.mark(0, v.sc.H0, v.sc.Offset); err != nil || want.RK == nil {
		return err
	}
	var err error
	v.op, err = newOpener(want.File, h, want.RK, want.SK)
	return err
}

// mark compares the chain's state at end, which is that of a chunk, with a progress leaf's.
func (v *verifier) mark(seq uint32, h [32]byte, end int64) error {
	if len(v.heads) == 0 {
		return nil
	}
	want, ok := v.heads[seq]
	if ok && want != h {
		return v.sc.Broken(end, format.RuleHead, "h[%d] is not the one that the log's progress leaf names", seq)
	}
	if ok {
		v.sc.Held = end
	}
	delete(v.heads, seq)
	return nil
}

const toEnd int64 = -1

// chunks walks the container up to an offset where a chunk begins, or to its end.
func (v *verifier) chunks(ctx context.Context, until int64) error {
	for v.sc.Offset != until {
		c, err := v.sc.Next()
		switch {
		case err == io.EOF:
			return nil
		case err == format.ErrCut:
			v.cut = v.sc.Cut()
			return nil
		case err != nil:
			return err
		}
		if err := v.mark(c.Seq, c.After, v.sc.Offset); err != nil {
			return err
		}
		if c.Seq%64 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := v.open(c); err != nil {
			return err
		}
	}
	return nil
}

// open checks what a chunk holds, with the keys there are.
func (v *verifier) open(c *format.Chunk) error {
	switch {
	case c.Type == format.ChunkClose:
		return v.close(c)
	case v.op == nil || !c.Sealed():
		return nil
	}
	if err := v.op.chunk(c, uint32(v.sc.Totals.Segments-1)); err != nil {
		return v.placed(err)
	}
	v.sc.Held = v.sc.Offset // what it was sealed with names the state before it
	for {
		f, err := v.op.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if rule, err := v.tally.add(f); err != nil {
			return v.sc.Fault(f.Offset, rule, "%v", err)
		}
	}
}

// placed gives the bytes among which the fault of a chunk that does not open lies: its own, or of clear chunks before it that
// only the chain holds.
func (v *verifier) placed(err error) error {
	if f, ok := errors.AsType[*format.Fault](err); ok && f.Rule == format.RuleTag && v.sc.Held > 0 {
		f.Offset, f.Length = v.sc.Held, v.sc.Offset-v.sc.Held
	}
	return err
}

// close checks the signature, and the totals against the frames.
func (v *verifier) close(c *format.Chunk) error {
	if v.opt.Key != nil {
		if err := v.sc.Signature(v.opt.Key); err != nil {
			return err
		}
	}
	if v.op == nil {
		return nil
	}
	if err := v.op.end(); err != nil {
		return err
	}
	said, found := v.sc.Closed.Totals, v.tally.totals
	found.Chunks, found.Segments, found.Statements = said.Chunks, said.Segments, said.Statements // the scan compared them
	if said != found {
		return v.sc.Fault(c.Offset, format.RuleTotals, "the close says %+v, the frames are %+v", said, found)
	}
	return nil
}

// ending compares the end with what the log says.
func (v *verifier) ending() error {
	if v.opt.HFinal != nil && *v.opt.HFinal != v.sc.H {
		return v.sc.Broken(v.sc.Offset, format.RuleHead, "the chain does not end where the log says")
	}
	for seq := range v.heads {
		return v.sc.Fault(v.sc.Offset, format.RuleHead, "the log knows chunk %d, the recording ends at %d", seq, v.sc.Seq)
	}
	return nil
}
