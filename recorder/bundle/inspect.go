package bundle

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Inspect checks the bundle that Write would write now, without writing it. It gives a gateway the answer that an
// outsider would get. Like Verify, it stops at the first fault and returns it as a *format.Fault. The report lists
// what was proven until then. It is also a fault if the export names entries that the log does not have.
func Inspect(ctx context.Context, log Log, e Export, opt Options) (*Report, error) {
	x, err := collect(ctx, log, e)
	if err != nil {
		return &Report{Session: e.Session}, err
	}
	src, err := x.source()
	if err != nil {
		return &Report{Session: e.Session}, err
	}
	defer src.Close()
	return Verify(ctx, src, opt)
}

// source opens the files of an export as the pieces of a bundle.
func (x *exporter) source() (*Source, error) {
	s, err := x.m.source()
	if err != nil {
		return nil, err
	}
	for _, p := range s.order {
		switch {
		case p.name == historyName:
			s.pieces[p.name] = io.NewSectionReader(bytes.NewReader(x.history), 0, p.size)
			continue
		case p.size == 0:
			s.pieces[p.name] = io.NewSectionReader(nil, 0, 0)
			continue
		}
		f, err := files.Open(x.e.Dir, p.name, x.started[p.name])
		if err != nil {
			s.Close()
			return nil, err
		}
		s.files = append(s.files, f)
		s.pieces[p.name] = io.NewSectionReader(f, 0, p.size) // a running recording grows meanwhile
	}
	return s, nil
}

// Evidence is the name in faults of a bundle that was not written. It stands alone, or before ": " and a file's name.
const Evidence = "evidence"

// source returns a bundle with this manifest and without pieces.
func (m *manifest) source() (*Source, error) {
	var head bytes.Buffer
	m.plain()
	if path, err := m.check(); err != nil {
		return nil, &format.Fault{File: Evidence, Rule: RuleBundle, Detail: path + ": " + err.Error()}
	}
	if err := m.writeHead(&head); err != nil {
		return nil, err
	}
	s := &Source{name: Evidence, head: int64(len(magic) + 4), pieces: map[string]*io.SectionReader{}}
	return s, s.manifest(head.Bytes()[s.head:])
}

// Outlined is what the log and the passes say about a session.
type Outlined struct {
	Parts   []Said
	Decided *ledger.EventBody // of the decision on its first channel; nil: the export does not name it
}

// Said is what the leaves and passes of one part say about its session.
type Said struct {
	Part        uint32
	DeviceFP    [32]byte
	Person      string
	Login       string
	Reason      string
	Ticket      string
	Issued      time.Time // of the first pass
	Until       time.Time // of the newest pass
	H0          [32]byte
	RetainUntil time.Time
	Asker       *ledger.Asker // nil: not known
	AskerLost   bool          // the open leaf commits to a statement of who asked, which the export does not have
	End         *SaidEnd      // nil: the export names none
}

// SaidEnd is what an end in the log says.
type SaidEnd struct {
	Cut    bool // an interrupted leaf: the recording has no close
	HFinal [32]byte
	Seq    uint32
	Bytes  int64
	Gaps   uint64
	Reason string
	At     time.Time
}

// Outline checks the leaves and passes of an export as Verify does, and returns what they say. It reads no recording,
// so its cost does not depend on the length of the session. The error is a *format.Fault if a leaf or pass is
// invalid.
func Outline(ctx context.Context, log Log, e Export, opt Options) (*Outlined, error) {
	x := &exporter{ctx: ctx, log: log, e: e}
	if err := x.begin(); err != nil {
		return nil, err
	}
	if err := x.decision(); err != nil {
		return nil, err
	}
	for _, p := range e.Parts {
		one, err := x.leaves(p)
		if err != nil {
			return nil, err
		}
		x.m.Parts = append(x.m.Parts, one)
	}
	src, err := x.m.source()
	if err != nil {
		return nil, err
	}
	v := &verifier{opt: opt, r: &Report{}, s: src, ends: map[uint64]bool{}}
	for _, step := range []func(context.Context) error{v.root, v.checkpoint, v.events} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return v.outline()
}

// outline checks leaves and passes part by part.
func (v *verifier) outline() (*Outlined, error) {
	out, c := &Outlined{}, &chain{v: v}
	for i := range v.s.m.Parts {
		n, p := uint32(i), &v.s.m.Parts[i]
		l, err := c.leaves(n, format.FileName(v.s.m.Session, n), p)
		if err != nil {
			return nil, err
		}
		out.Parts = append(out.Parts, l.said(n))
		c.prevOpen, c.prevPass = &p.Open.Index, l.newest
	}
	if len(v.s.m.Events) == 0 {
		return out, nil
	}
	e := &v.s.m.Events[0]
	l, _ := ledger.ParseLeaf(e.Leaf) // the events were read before
	b, err := ledger.ParseEventBody(e.Body)
	if err != nil || l.Type != "decided" || b.Fields["subject"] != v.s.m.Session.String() {
		return nil, v.fault(eventPath(0), RuleLeaf, "entry %d is not a decision on this session", e.Index)
	}
	out.Decided = &b
	return out, nil
}

func (l *partLeaves) said(n uint32) Said {
	g := &l.newest.grant
	s := Said{Part: n, DeviceFP: l.open.DeviceFP, Person: g.Subject.Display, Login: g.Login, Reason: g.Reason,
		Ticket: g.Ticket, Issued: time.UnixMilli(l.first.grant.IssuedMS).UTC(), Until: l.newest.until,
		H0: l.open.H0, Asker: l.asker, AskerLost: l.asker == nil && l.open.Asker != nil,
		RetainUntil: time.Unix(l.open.RetainUntil, 0).UTC()}
	if e := l.end; e != nil {
		s.End = &SaidEnd{Cut: l.cut, HFinal: e.HFinal, Seq: e.Seq, Bytes: e.Bytes, Gaps: e.Gaps, Reason: e.Reason,
			At: time.UnixMilli(e.AtMS).UTC()}
	}
	return s
}
