package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// census checks a whole log. Every beginning must have one end, or its session could still run when the log's newest
// entry was written. Every end must have its recording, or a leaf that says that it was shredded.
type census struct {
	r   *Report
	c   *ledger.Copy
	dir string // of recordings; empty: not looked at
	log string

	places   map[string]string // of containers in dir, by name; relative to dir
	opens    []uint64
	opened   map[uint64]bool
	ends     map[uint64]uint64 // by open leaf
	shredded map[uint64]int64  // time in Unix milliseconds, by the leaf that it refers to
	progress map[uint64][]reader.Head
	passes   map[uint64][][32]byte // announced, by open leaf

	times
}

func (s *census) fault(rule, text string, args ...any) error {
	return &format.Fault{File: s.log, Rule: rule, Detail: fmt.Sprintf(text, args...)}
}

func (s *census) run(ctx context.Context) error {
	s.opened, s.ends, s.shredded = map[uint64]bool{}, map[uint64]uint64{}, map[uint64]int64{}
	s.progress, s.passes, s.times = map[uint64][]reader.Head{}, map[uint64][][32]byte{}, newTimes()
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
		return fmt.Errorf("%w: the copy of the log has leaves only, and what they commit to is needed to find recordings; give the log's own directory", ErrAsked)
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

// name says which session an open leaf is of, where that is known.
func (s *census) name(open uint64) string {
	if _, raw, ok := s.c.Body(open); ok {
		if b, err := ledger.ParseOpenBody(raw); err == nil {
			return fmt.Sprintf(": session %s part %d", b.Session, b.Part)
		}
	}
	return ""
}

func (s *census) entry(i uint64) error {
	l, err := ledger.ParseLeaf(s.c.Leaf(i))
	if err != nil {
		return s.fault(RuleLeaf, "entry %d: %v", i, err)
	}
	if nonce, body, ok := s.c.Body(i); ok && ledger.Commit(nonce, body) != l.Commit {
		return s.fault(RuleLeaf, "entry %d does not commit to its nonce and body", i)
	}
	_, body, _ := s.c.Body(i)
	s.saw(i, l, body)
	switch l.Type {
	case "open":
		s.opens, s.opened[i] = append(s.opens, i), true
	case "close", "interrupted":
		return s.end(i, l)
	case "pass":
		return s.passed(i, l)
	case "progress":
		return s.came(i, l)
	case "shredded":
		_, raw, _ := s.c.Body(i)
		if at, ok := shreddingDone(raw); ok {
			for _, r := range l.Ref {
				s.shredded[r] = max(s.shredded[r], at)
			}
		}
	}
	return nil
}

// passed checks a leaf that announces the next pass of a running session part.
func (s *census) passed(i uint64, l ledger.Leaf) error {
	if len(l.Ref) != 1 || !s.opened[l.Ref[0]] {
		return s.fault(RulePass, "the pass in entry %d is of no beginning before it", i)
	}
	at := l.Ref[0]
	if end, ok := s.ends[at]; ok {
		return s.fault(RulePass, "the pass in entry %d is of the session part that ended with entry %d%s", i, end, s.name(at))
	}
	_, raw, ok := s.c.Body(i)
	if !ok {
		return nil
	}
	_, begun, _ := s.c.Body(at)
	open, err := ledger.ParseOpenBody(begun)
	if err != nil {
		return s.fault(RuleLeaf, "entry %d: %v", at, err)
	}
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

// came keeps the state of a recording that a progress leaf names.
func (s *census) came(i uint64, l ledger.Leaf) error {
	if len(l.Ref) != 1 || !s.opened[l.Ref[0]] {
		return s.fault(RuleLeaf, "the progress in entry %d: its references %v are not one beginning before it", i, l.Ref)
	}
	at := l.Ref[0]
	if end, ok := s.ends[at]; ok {
		return s.fault(RuleLeaf, "the progress in entry %d is of the session part that ended with entry %d%s", i, end, s.name(at))
	}
	_, raw, ok := s.c.Body(i)
	if !ok {
		return nil
	}
	_, begun, _ := s.c.Body(at)
	open, err := ledger.ParseOpenBody(begun)
	if err != nil {
		return s.fault(RuleLeaf, "entry %d: %v", at, err)
	}
	h, _, err := ProgressOf(l, raw, at, open.Session, open.Part)
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
	open := l.Ref[0]
	if !s.opened[open] {
		return s.fault(RuleEnd, "the end in entry %d names entry %d, which is no beginning before it", i, open)
	}
	if other, ok := s.ends[open]; ok {
		return s.fault(RuleEnd, "the session part that entry %d announced ends twice, in entries %d and %d%s", open, other, i, s.name(open))
	}
	s.ends[open] = i
	_, raw, ok := s.c.Body(i)
	if !ok {
		return nil
	}
	b, err := ledger.ParseCloseBody(raw)
	if err != nil || b.Open != open {
		return s.fault(RuleEnd, "the end in entry %d: its body is of another beginning (%v)", i, err)
	}
	return nil
}

// find records where each container is: in the directory of its day, or in the directory itself, where earlier releases
// put it. The log does not say when a part began, so all directories are listed once.
func (s *census) find() error {
	s.places = map[string]string{}
	return files.Walk(s.dir, func(rel string) error {
		name := filepath.Base(rel)
		if !strings.HasSuffix(name, ".srec") {
			return nil
		}
		if other, ok := s.places[name]; ok && s.both(other, rel) {
			return &format.Fault{File: filepath.Join(s.dir, rel), Rule: RuleRecordings,
				Detail: "the recording exists twice, also as " + other}
		}
		s.places[name] = rel
		return nil
	})
}

// both reports whether a file is in two places, and a running gateway did not move it meanwhile.
func (s *census) both(a, b string) bool {
	_, errA := os.Lstat(filepath.Join(s.dir, a))
	_, errB := os.Lstat(filepath.Join(s.dir, b))
	return errA == nil && errB == nil
}

// open opens a container where it was found.
func (s *census) open(name string) (path string, f *os.File, size int64, err error) {
	for range 2 {
		path = filepath.Join(s.dir, cmp.Or(s.places[name], name))
		if f, size, err = openRegular(path); !errors.Is(err, fs.ErrNotExist) || s.places[name] == "" {
			break
		}
		if err := s.find(); err != nil { // it was moved meanwhile
			return path, nil, 0, err
		}
	}
	return path, f, size, err
}

// recordings looks for the file of every end and checks its chain. No key is needed for that.
func (s *census) recordings(ctx context.Context) error {
	if err := s.find(); err != nil {
		return err
	}
	known, whole, gone, open := map[string]bool{}, 0, 0, 0
	for _, o := range s.opens {
		name, shredded, err := s.recording(ctx, o, s.shredded[o])
		if err != nil {
			return err
		}
		known[name] = true
		switch _, ended := s.ends[o]; {
		case shredded:
			gone++
		case !ended:
			open++
		default:
			whole++
		}
	}
	s.r.say("A", RuleRecordings, "%d recordings are there and end where the log says; %d were shredded, as the log says", whole, gone)
	if open > 0 {
		s.r.say("A", RuleRecordings, "%d recordings of what is still open are there and whole, as far as they go", open)
	}
	return s.strangers(known)
}

func (s *census) recording(ctx context.Context, at uint64, shreddedMS int64) (name string, shredded bool, err error) {
	open, end, err := s.part(at)
	if err != nil {
		return "", false, err
	}
	name = format.FileName(open.Session, open.Part)
	path, f, size, err := s.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if mayShred(open, shreddedMS) {
			return name, true, nil
		}
		return name, false, &format.Fault{File: path, Rule: RuleRecordings, Detail: fmt.Sprintf("the recording is missing: entry %d announced it, and no leaf says that it was shredded after its time", at)}
	}
	if err != nil {
		return name, false, err
	}
	defer f.Close()
	return name, false, s.compare(ctx, path, f, size, at, open, end)
}

// part reads what the log says of a session part: its beginning and its end; nil: it is still open.
func (s *census) part(at uint64) (open ledger.OpenBody, end *ledger.CloseBody, err error) {
	_, raw, _ := s.c.Body(at)
	if open, err = ledger.ParseOpenBody(raw); err != nil {
		return open, end, s.fault(RuleLeaf, "entry %d: %v", at, err)
	}
	index, ok := s.ends[at]
	if !ok {
		return open, nil, nil
	}
	_, raw, _ = s.c.Body(index)
	b, err := ledger.ParseCloseBody(raw)
	if err != nil || b.Session != open.Session || b.Part != open.Part {
		return open, nil, s.fault(RuleEnd, "the end in entry %d is of another session or part than its beginning in %d (%v)", index, at, err)
	}
	return open, &b, nil
}

// compare checks a container's chain against what the log says of it.
func (s *census) compare(ctx context.Context, path string, f io.ReaderAt, size int64, at uint64, open ledger.OpenBody, end *ledger.CloseBody) error {
	opt := reader.VerifyOptions{File: path, Session: &open.Session, Part: &open.Part, DeviceFP: &open.DeviceFP, H0: &open.H0, Heads: s.progress[at]}
	if end != nil {
		if size < end.Bytes {
			return &format.Fault{File: path, Offset: size, Rule: RuleEnd, Detail: fmt.Sprintf("the recording has %d bytes, its end in entry %d says %d", size, s.ends[at], end.Bytes)}
		}
		if l, _ := ledger.ParseLeaf(s.c.Leaf(s.ends[at])); l.Type == "interrupted" {
			size = end.Bytes // bytes after an interruption belong to nothing
		}
		opt.HFinal = &end.HFinal
	}
	if len(open.GatewayPub) == 32 {
		opt.Key = open.GatewayPub
	}
	_, err := reader.Verify(ctx, f, size, opt)
	return err
}

// strangers counts recordings that were never announced. No session ran under them, because devices demand the open
// leaf.
func (s *census) strangers(known map[string]bool) error {
	n := 0
	for name := range s.places {
		if strings.HasSuffix(name, ".srec") && !known[name] {
			n++
		}
	}
	if n > 0 {
		s.r.say("A", RuleRecordings, "%d more recordings were never announced in this log, so nothing ran under them before its newest entry", n)
	}
	return nil
}
