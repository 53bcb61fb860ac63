package records

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
	"github.com/sallyport/sallyport/web/apitype"
)

// verdict gathers what was checked, up to the first thing that is wrong.
type verdict struct {
	apitype.Verdict
	gaps uint64
	cut  bool
	live bool
}

func (v *verdict) ok(level, name, format string, args ...any) {
	v.Checks = append(v.Checks, apitype.Check{Level: level, Name: name, OK: true, Text: fmt.Sprintf(format, args...)})
}

func (v *verdict) bad(level, name, format string, args ...any) {
	v.Checks = append(v.Checks, apitype.Check{Level: level, Name: name, Text: fmt.Sprintf(format, args...)})
}

// errWrong ends a verification: the verdict says what is wrong.
var errWrong = errors.New("the record is not whole")

// errNotYet ends the verification of a session that is still being opened: the verdict is neither yes nor no.
var errNotYet = errors.New("the session is still being opened")

// openingTime is how long a recording may exist before the log announces it: an opening ends within 30 s, and its end
// is written within 20 s more. After that a missing announcement is a fault. It is also a fault if the recording claims
// to begin in the future: otherwise a changed time in the row would hide the fault for good.
const openingTime = 2 * time.Minute

// Verify checks whether the recording of session s is complete and unaltered, check by check, and stops at the first
// that fails. ps are all its parts, in order. The error is for a check that could not be made; a check that failed is
// in the verdict. This is the gateway's own answer: an outsider runs sallyport-verify on the evidence bundle.
//
// A running session writes meanwhile, in the order file, log, row. So verification reads in the reverse order: the rows
// in ps were read before the log's head, and the head before the files. Everything that a row or a leaf names is then
// found.
func (r *Records) Verify(ctx context.Context, s store.Session, ps []store.Part) (apitype.Verdict, error) {
	v := &verdict{}
	v.Levels = "A, B and log; C needs an unsealing key, which the gateway has not"
	log, err := r.head(ctx, v)
	for i := 0; err == nil && i < len(ps); i++ {
		err = r.part(ctx, v, log, s, ps, i)
	}
	switch {
	case errors.Is(err, errNotYet):
		v.NotYet, v.Summary = true, "Not yet: "+v.Checks[len(v.Checks)-1].Text+"."
	case errors.Is(err, errWrong):
		v.Summary = "No: " + v.Checks[len(v.Checks)-1].Text + "."
	case err != nil:
		return apitype.Verdict{}, err
	default:
		v.OK, v.Summary = true, v.yes()
	}
	return v.Verdict, nil
}

func (v *verdict) yes() string {
	switch {
	case v.live:
		return "Yes, as far as it goes: the session is still being recorded."
	case v.cut:
		return "Yes, up to where it was cut off."
	case v.gaps == 1:
		return "Yes, with 1 gap."
	case v.gaps > 1:
		return fmt.Sprintf("Yes, with %d gaps.", v.gaps)
	}
	return "Yes."
}

func (r *Records) head(ctx context.Context, v *verdict) (ledger.Checkpoint, error) {
	keys, err := r.Log.Keys(ctx)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	note, err := r.Log.Head(ctx)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	cp, err := ledger.ParseCheckpoint(note, keys.LogKey)
	if err != nil {
		v.bad("log", "checkpoint", "the log's checkpoint is not signed by its key: %v", err)
		return cp, errWrong
	}
	v.ok("log", "checkpoint", "%d leaves, signed by %s", cp.Size, cp.Origin)
	return cp, nil
}

func (r *Records) part(ctx context.Context, v *verdict, log ledger.Checkpoint, s store.Session, ps []store.Part, i int) error {
	p := ps[i]
	opt := reader.VerifyOptions{Session: &s.ID, Part: &p.Part, DeviceFP: &s.DeviceFP, Origin: log.Origin}
	if err := r.announced(ctx, v, log, p, &opt); err != nil {
		return err
	}
	if err := r.progress(ctx, v, log, p, &opt); err != nil {
		return err
	}
	if i > 0 {
		opt.PrevHead = &ps[i-1].HFinal
	}
	rep, err := r.Archive.Verify(ctx, archive.Part{Session: p.Session, Part: p.Part, Started: p.Started}, opt)
	if err != nil {
		return v.fault(err, p)
	}
	for _, l := range rep.Lines {
		v.ok(l.Level, l.Rule, "%s", l.Text)
	}
	v.gaps += rep.Totals.Gaps
	v.live = v.live || p.State == store.RecordRunning
	v.cut = v.cut || rep.Cut != nil
	return nil
}

// announced reads what the log holds of a part, proves that it is in there, and fills in what the recording must agree with.
func (r *Records) announced(ctx context.Context, v *verdict, log ledger.Checkpoint, p store.Part, opt *reader.VerifyOptions) error {
	if p.OpenLeaf == nil {
		// A recording is durable before it is announced, and its row learns of the announcement last.
		if p.State == store.RecordRunning && time.Since(p.Started).Abs() < openingTime {
			v.Checks = append(v.Checks, apitype.Check{Level: "log", Name: "open leaf", NotYet: true,
				Text: "the session is being opened, and the log has not announced its recording"})
			return errNotYet
		}
		v.bad("log", "open leaf", "the database has no entry of the log that announces part %d", p.Part)
		return errWrong
	}
	body, err := r.leaf(ctx, v, log, *p.OpenLeaf, "open")
	if err != nil {
		return err
	}
	open, err := ledger.ParseOpenBody(body)
	if err != nil || open.Session != p.Session || open.Part != p.Part {
		v.bad("log", "open leaf", "leaf %d announces something else", *p.OpenLeaf)
		return errWrong
	}
	opt.Key, opt.H0, opt.DeviceFP = open.GatewayPub, &open.H0, &open.DeviceFP
	if p.CloseLeaf == nil {
		if p.State == store.RecordRunning {
			return nil
		}
		v.bad("log", "close leaf", "part %d has no close in the log", p.Part)
		return errWrong
	}
	if body, err = r.leaf(ctx, v, log, *p.CloseLeaf, "close", "interrupted"); err != nil {
		return err
	}
	closed, err := ledger.ParseCloseBody(body)
	if err != nil || closed.Session != p.Session || closed.Part != p.Part || closed.Open != *p.OpenLeaf {
		v.bad("log", "close leaf", "leaf %d closes something else", *p.CloseLeaf)
		return errWrong
	}
	opt.HFinal = &closed.HFinal
	return nil
}

// mostRead bounds how many entries are looked through for a part's progress leaves, as an export does.
const mostRead = 1 << 16

// progress gathers the states in between that the log's progress leaves name: from the part's beginning to its end.
func (r *Records) progress(ctx context.Context, v *verdict, log ledger.Checkpoint, p store.Part, opt *reader.VerifyOptions) error {
	end := log.Size
	if p.CloseLeaf != nil {
		end = *p.CloseLeaf
	}
	if most := *p.OpenLeaf + mostRead; end > most {
		end = most
		v.ok("log", "progress", "only the %d entries after the beginning of part %d were looked through for its progress", mostRead, p.Part)
	}
	span := [2]uint64{*p.OpenLeaf, end}
	among, known := r.passed.of(span)
	if !known {
		among = between(span)
	}
	var found []uint64
	for at := range among {
		h, ok, err := r.progressAt(ctx, v, log, p, at)
		if err != nil {
			return err
		}
		if ok {
			found, opt.Heads = append(found, at), append(opt.Heads, h)
		}
	}
	if p.CloseLeaf != nil && !known {
		r.passed.keep(span, found)
	}
	return nil
}

// progressAt reads one entry: ok if it is a progress leaf of the part, and proven.
func (r *Records) progressAt(ctx context.Context, v *verdict, log ledger.Checkpoint, p store.Part, at uint64) (h reader.Head, ok bool, err error) {
	e, err := r.Log.Entry(ctx, at)
	if err != nil {
		return h, false, err
	}
	l, err := ledger.ParseLeaf(e.Leaf)
	if err != nil {
		v.bad("log", "progress leaf", "leaf %d: %v", at, err)
		return h, false, errWrong
	}
	h, ok, err = bundle.ProgressOf(l, e.Body, *p.OpenLeaf, p.Session, p.Part)
	if err != nil {
		v.bad("log", "progress leaf", "leaf %d: %v", at, err)
		return h, false, errWrong
	}
	if ok {
		_, err = r.leaf(ctx, v, log, at, "progress")
	}
	return h, ok && err == nil, err
}

// leaf reads a leaf's body after proving that the log includes it.
func (r *Records) leaf(ctx context.Context, v *verdict, log ledger.Checkpoint, index uint64, types ...string) ([]byte, error) {
	name := types[0] + " leaf"
	if index >= log.Size {
		v.bad("log", name, "leaf %d is beyond the log's %d", index, log.Size)
		return nil, errWrong
	}
	e, err := r.Log.Entry(ctx, index)
	if err != nil {
		return nil, err
	}
	proof, err := r.Log.Prove(ctx, index, log.Size)
	if err != nil {
		return nil, err
	}
	hashes := make([][32]byte, len(proof))
	for i, h := range proof {
		hashes[i] = h
	}
	l, err := ledger.ParseLeaf(e.Leaf)
	switch {
	case err != nil || len(e.Nonce) != 16 || ledger.Commit([16]byte(e.Nonce), e.Body) != l.Commit:
		v.bad("log", name, "leaf %d does not commit to its body", index)
	case !slices.Contains(types, l.Type):
		v.bad("log", name, "leaf %d is of type %s", index, l.Type)
	case ledger.CheckInclusion(e.Leaf, index, log.Size, log.Root, hashes) != nil:
		v.bad("log", name, "leaf %d is not in the log", index)
	default:
		v.ok("log", name, "leaf %d is in the log", index)
		return e.Body, nil
	}
	return nil, errWrong
}

// fault turns what the verifier found into a check that failed; other errors stay errors.
func (v *verdict) fault(err error, p store.Part) error {
	var f *format.Fault
	if !errors.As(err, &f) {
		return err
	}
	offset := f.Offset
	v.Checks = append(v.Checks, apitype.Check{Level: "A", Name: f.Rule, Text: f.Detail,
		File: format.FileName(p.Session, p.Part), Offset: &offset})
	return errWrong
}
