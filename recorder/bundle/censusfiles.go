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

	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// find records where each container and each slot file is: in the directory of its day, or in the directory itself,
// where earlier releases put it. The log does not say when a part began, so all directories are listed once.
func (s *census) find() error {
	s.places = map[string]string{}
	return files.Walk(s.dir, func(rel string) error {
		name := filepath.Base(rel)
		if !strings.HasSuffix(name, ".srec") && !strings.HasSuffix(name, ".age") {
			return nil
		}
		if other, ok := s.places[name]; ok && s.both(other, rel) {
			return &format.Fault{File: filepath.Join(s.dir, rel), Rule: RuleRecordings,
				Detail: "the file exists twice, also as " + other}
		}
		s.places[name] = rel
		return nil
	})
}

// both reports whether a file is in both places now. A running gateway may have moved it during the walk.
func (s *census) both(a, b string) bool {
	_, errA := os.Lstat(filepath.Join(s.dir, a))
	_, errB := os.Lstat(filepath.Join(s.dir, b))
	return errA == nil && errB == nil
}

// open opens a file where find has seen it. If the gateway has moved the file since, open looks for it once more.
func (s *census) open(name string) (path string, f *os.File, size int64, err error) {
	for range 2 {
		path = filepath.Join(s.dir, cmp.Or(s.places[name], name))
		if f, size, err = openRegular(path); !errors.Is(err, fs.ErrNotExist) || s.places[name] == "" {
			break
		}
		if err := s.find(); err != nil {
			return path, nil, 0, err
		}
	}
	return path, f, size, err
}

// recordings checks the files of every part: that they exist, the slot files' hashes and the container's chain. It
// needs no key.
func (s *census) recordings(ctx context.Context) error {
	if err := s.find(); err != nil {
		return err
	}
	known, whole, gone, open := map[string]bool{}, 0, 0, 0
	for _, o := range s.opens {
		name, shredded, err := s.recording(ctx, o)
		if err == nil {
			err = s.slots(o)
		}
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
	s.r.say("A", RuleRecordings, "%d recordings are there and end where the log says; %d were shredded, as the log says",
		whole, gone)
	if open > 0 {
		s.r.say("A", RuleRecordings, "%d recordings of parts that are still open are there and unaltered so far", open)
	}
	s.r.say("A", RuleSlot, "every slot file is the one that its open leaf names, or was shredded, as the log says")
	return s.strangers(known)
}

func (s *census) recording(ctx context.Context, at uint64) (name string, shredded bool, err error) {
	open := s.opened[at]
	name = format.FileName(open.Session, open.Part)
	path, f, size, err := s.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if mayShred(open, s.shredded[at]) {
			return name, true, nil
		}
		return name, false, &format.Fault{File: path, Rule: RuleRecordings,
			Detail: fmt.Sprintf("the recording is missing: entry %d announced it, and no leaf says that it was "+
				"shredded after its time", at)}
	}
	if err != nil {
		return name, false, err
	}
	defer f.Close()
	return name, false, s.compare(ctx, path, f, size, at)
}

// slots compares the slot files of a part with its open leaf. A missing one must have been shredded.
func (s *census) slots(at uint64) error {
	open := s.opened[at]
	rk, sk := format.SlotNames(open.Session, open.Part)
	for _, slot := range []struct {
		name string
		want [32]byte
	}{{rk, open.SlotRK}, {sk, open.SlotSK}} {
		path, f, size, err := s.open(slot.name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && mayShred(open, s.shredded[at]):
			continue
		case errors.Is(err, fs.ErrNotExist):
			return &format.Fault{File: path, Rule: RuleSlot,
				Detail: fmt.Sprintf("the slot file is missing: entry %d names it, and no leaf says that it was "+
					"shredded after its time", at)}
		case err != nil:
			return err
		}
		err = slotIs(path, f, size, slot.want)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// part returns the body of a part's open leaf, and the body and type of its end. end is nil if the part is still open.
func (s *census) part(at uint64) (open ledger.OpenBody, end *ledger.CloseBody, typ string) {
	index, ok := s.ends[at]
	if !ok {
		return s.opened[at], nil, ""
	}
	_, raw, _ := s.c.Body(index)
	b, _ := ledger.ParseCloseBody(raw) // entry has read both
	l, _ := ledger.ParseLeaf(s.c.Leaf(index))
	return s.opened[at], &b, l.Type
}

// compare checks a container's chain against what the log says of it.
func (s *census) compare(ctx context.Context, path string, f io.ReaderAt, size int64, at uint64) error {
	open, end, typ := s.part(at)
	opt := reader.VerifyOptions{File: path, Key: open.GatewayPub, Session: &open.Session, Part: &open.Part,
		DeviceFP: &open.DeviceFP, Origin: s.c.Head.Origin, PrevHead: s.prevHead(open), H0: &open.H0, Heads: s.progress[at]}
	if end != nil {
		if size < end.Bytes || size > end.Bytes && typ == "close" {
			return &format.Fault{File: path, Offset: min(size, max(end.Bytes, 0)), Rule: RuleEnd,
				Detail: fmt.Sprintf("the recording has %d bytes, its end in entry %d says %d", size, s.ends[at], end.Bytes)}
		}
		size = end.Bytes // bytes after an interruption are not part of the recording
		opt.HFinal = &end.HFinal
	}
	rep, err := reader.Verify(ctx, f, size, opt)
	if err != nil {
		return err
	}
	if end == nil {
		s.heads[at] = rep.Head
		return nil
	}
	if what := agrees(typ, size, end, rep); what != "" {
		return &format.Fault{File: path, Offset: rep.Bytes, Rule: RuleEnd,
			Detail: fmt.Sprintf("entry %d: %s", s.ends[at], what)}
	}
	return nil
}

// prevHead returns the last chain state of the part before, which is zero for the first part. It returns nil if that
// state is not known.
func (s *census) prevHead(open ledger.OpenBody) *[32]byte {
	if open.PrevOpen == nil {
		return &[32]byte{}
	}
	if h, ok := s.heads[*open.PrevOpen]; ok {
		return &h
	}
	return nil
}

// strangers counts recordings that the log never announced. They are not a fault: no session ran under them, because
// devices demand the open leaf.
func (s *census) strangers(known map[string]bool) error {
	n := 0
	for name := range s.places {
		if strings.HasSuffix(name, ".srec") && !known[name] {
			n++
		}
	}
	if n > 0 {
		s.r.say("A", RuleRecordings, "%d more recordings were never announced in this log, so nothing ran under them "+
			"before its newest entry", n)
	}
	return nil
}
