package bundle

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// census checks a whole log. Every beginning must have one end, or its session could still run when the log's newest
// entry was written. Every end must have its recording, or a leaf that says that it was shredded.
type census struct {
	r   *Report
	c   *ledger.Copy
	dir string // of recordings; empty: recordings are not checked
	log string

	places    map[string]string // of the files in dir, by name; relative to dir
	opens     []uint64
	opened    map[uint64]ledger.OpenBody // without bodies they are empty
	parts     map[format.PartID]uint64   // open leaf of each part, where bodies are there
	ends      map[uint64]uint64          // by open leaf
	shredded  map[uint64]int64           // time in Unix milliseconds, by the leaf that it refers to
	progress  map[uint64][]reader.Head
	passes    map[uint64][][32]byte // announced, by open leaf
	approvals map[approval]bool
	heads     map[uint64][32]byte // last chain state of a part, by open leaf, where it is known

	times
}

func (s *census) fault(rule, text string, args ...any) error {
	return &format.Fault{File: s.log, Rule: rule, Detail: fmt.Sprintf(text, args...)}
}

func (s *census) run(ctx context.Context) error {
	s.opened, s.ends, s.shredded = map[uint64]ledger.OpenBody{}, map[uint64]uint64{}, map[uint64]int64{}
	s.progress, s.passes, s.times = map[uint64][]reader.Head{}, map[uint64][][32]byte{}, newTimes()
	s.heads, s.parts = map[uint64][32]byte{}, map[format.PartID]uint64{}
	s.approvals = map[approval]bool{}
	for i := range s.c.Head.Size {
		if err := s.entry(i); err != nil {
			return err
		}
	}
	if err := s.unended(); err != nil {
		return err
	}
	if s.dir == "" {
		return nil
	}
	if !s.c.Bodies {
		return fmt.Errorf("%w: the copy of the log has leaves without bodies, which are needed to find recordings; "+
			"give the log's own directory", ErrAsked)
	}
	return s.recordings(ctx)
}

// unended checks the beginnings without an end. If the session could no longer run, its end was removed.
func (s *census) unended() error {
	open := 0
	for _, o := range s.opens {
		if _, ok := s.ends[o]; ok {
			continue
		}
		if !s.couldRun(o) {
			return s.fault(RuleEnd, "the session part that entry %d announced has neither close nor interrupted leaf, and %s%s", o, s.cannotRun(), s.name(o))
		}
		open++
		s.r.say("A", RuleEnd, "entry %d: still open at the log's newest entry, of %s%s", o, s.newest.UTC().Format(time.RFC3339), s.name(o))
	}
	if open == 0 {
		s.r.say("A", RuleEnd, "%d session parts in the log, each with exactly one end", len(s.opens))
		return nil
	}
	s.r.say("A", RuleEnd, "%d session parts in the log, %d still open, each other with exactly one end", len(s.opens), open)
	return nil
}

// name names the session of an open leaf. It is empty if the copy of the log has no bodies.
func (s *census) name(open uint64) string {
	if b := s.opened[open]; s.c.Bodies {
		return fmt.Sprintf(": session %s part %d", b.Session, b.Part)
	}
	return ""
}

func (s *census) entry(i uint64) error {
	l, err := strict(i, s.c.Leaf(i))
	if err != nil {
		return s.fault(RuleLeaf, "entry %d: %v", i, err)
	}
	if nonce, body, ok := s.c.Body(i); ok && ledger.Commit(nonce, body) != l.Commit {
		return s.fault(RuleLeaf, "entry %d does not commit to its nonce and body", i)
	}
	_, body, there := s.c.Body(i)
	if there {
		if err := eventBody(l, body); err != nil {
			return s.fault(RuleLeaf, "entry %d, of type %s: %v", i, l.Type, err)
		}
	}
	s.saw(i, l, body)
	switch l.Type {
	case "open":
		return s.begin(i, l)
	case "close", "interrupted":
		return s.end(i, l)
	case "pass":
		return s.passed(i, l)
	case "progress":
		return s.came(i, l)
	case "approved":
		s.agreed(body)
	case "granted":
		if there {
			return s.granted(i, body)
		}
	case "shredded":
		for _, r := range l.Ref {
			if _, ok := s.opened[r]; !ok {
				return s.fault(RuleLeaf, "entry %d, of type shredded, refers to entry %d, which is not an open leaf", i, r)
			}
		}
		if at, ok := shreddingDone(body); ok {
			for _, r := range l.Ref {
				s.shredded[r] = max(s.shredded[r], at)
			}
		}
	}
	return nil
}

// begin checks a leaf that announces a part.
func (s *census) begin(i uint64, l ledger.Leaf) error {
	for _, r := range l.Ref { // the body can name at most one
		if _, ok := s.opened[r]; !ok || len(l.Ref) > 1 {
			return s.fault(RuleLeaf, "entry %d, of type open, refers to %v, which is not one open leaf", i, l.Ref)
		}
	}
	s.opens, s.opened[i] = append(s.opens, i), ledger.OpenBody{}
	_, raw, ok := s.c.Body(i)
	if !ok {
		return nil
	}
	b, err := ledger.ParseOpenBody(raw)
	if err == nil {
		err = announces(l, b)
	}
	if err != nil {
		return s.fault(RuleLeaf, "entry %d: %v", i, err)
	}
	s.opened[i] = b
	part := format.PartID{Session: b.Session, Part: b.Part}
	if other, ok := s.parts[part]; ok {
		return s.fault(RuleLeaf, "entry %d announces a session part that entry %d announced already%s", i, other, s.name(i))
	}
	s.parts[part] = i
	if b.PrevOpen == nil {
		return nil
	}
	before, ok := s.opened[*b.PrevOpen]
	if !ok || before.Session != b.Session || before.Part+1 != b.Part || before.DeviceFP != b.DeviceFP {
		return s.fault(RuleLeaf, "entry %d: prev_open is %d, which does not announce the part before "+
			"on the same device%s", i, *b.PrevOpen, s.name(i))
	}
	return nil
}

// passed checks a leaf that announces the next pass of a running session part.
func (s *census) passed(i uint64, l ledger.Leaf) error {
	at, err := s.running(i, l, RulePass, "pass")
	if err != nil {
		return err
	}
	_, raw, ok := s.c.Body(i)
	if !ok {
		return nil
	}
	open := s.opened[at]
	if s.passes[at] == nil {
		s.passes[at] = [][32]byte{open.Pass}
	}
	b, err := PassOf(l, raw, at, open, s.passes[at])
	if err != nil {
		return s.fault(RulePass, "entry %d: %v", i, err)
	}
	s.passes[at] = append(s.passes[at], b.Pass)
	return nil
}

// running returns the open leaf that a leaf about a running part refers to. It returns a fault if the leaf does not
// refer to one open leaf alone, or if that part has ended.
func (s *census) running(i uint64, l ledger.Leaf, rule, what string) (open uint64, err error) {
	if len(l.Ref) == 1 {
		open = l.Ref[0]
	}
	if _, ok := s.opened[open]; !ok || len(l.Ref) != 1 {
		return 0, s.fault(rule, "the %s in entry %d: its references %v are not one beginning before it", what, i, l.Ref)
	}
	if end, ok := s.ends[open]; ok {
		return 0, s.fault(rule, "the %s in entry %d is of the session part that ended with entry %d%s", what, i, end, s.name(open))
	}
	return open, nil
}

// came stores the chain state of a recording that a progress leaf names.
func (s *census) came(i uint64, l ledger.Leaf) error {
	at, err := s.running(i, l, RuleLeaf, "progress")
	if err != nil {
		return err
	}
	_, raw, ok := s.c.Body(i)
	if !ok {
		return nil
	}
	h, _, err := ProgressOf(l, raw, at, s.opened[at].Session, s.opened[at].Part)
	if err != nil {
		return s.fault(RuleLeaf, "the progress in entry %d: %v", i, err)
	}
	s.progress[at] = append(s.progress[at], h)
	return nil
}

func (s *census) end(i uint64, l ledger.Leaf) error {
	if len(l.Ref) != 1 {
		return s.fault(RuleEnd, "the end in entry %d names %d beginnings", i, len(l.Ref))
	}
	at := l.Ref[0]
	if _, ok := s.opened[at]; !ok {
		return s.fault(RuleEnd, "the end in entry %d names entry %d, which is not a beginning before it", i, at)
	}
	if other, ok := s.ends[at]; ok {
		return s.fault(RuleEnd, "the session part that entry %d announced ends twice, in entries %d and %d%s", at, other, i, s.name(at))
	}
	s.ends[at] = i
	_, raw, ok := s.c.Body(i)
	if !ok {
		return nil
	}
	b, err := ledger.ParseCloseBody(raw)
	if err == nil {
		err = endsPart(b, at, s.opened[at])
	}
	if err != nil {
		return s.fault(RuleEnd, "the end in entry %d: %v", i, err)
	}
	s.heads[at] = b.HFinal
	return nil
}
