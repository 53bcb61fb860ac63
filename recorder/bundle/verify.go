package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Options say what the checker knows from elsewhere. All of it may be absent; what is not checked is said.
type Options struct {
	LogKey        string         // verifier key of the log
	Root          string         // fingerprint of the root that the trust bundle must be signed by, as Fingerprint gives it
	Identities    []age.Identity // of readers, and of unsealing officers
	Checkpoints   [][]byte       // that somebody else kept
	LogDir        string         // a copy of the log
	RecordingsDir string         // the recordings that the log's ends name
}

// Report is what was proven, in the order in which it was.
type Report struct {
	Session    id.Session         `json:"session"`
	Lines      []recorder.Line    `json:"lines"`
	Parts      []*recorder.Report `json:"-"`
	LogChecked bool               `json:"log_checked"` // a checkpoint of it holds under a key that came from elsewhere; a fault that is found later does not undo that
}

func (r *Report) say(level, rule, format string, args ...any) {
	r.Lines = append(r.Lines, recorder.Line{Level: level, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

// Verify checks a bundle and stops at the first fault, which is a *recorder.Fault. The report says what held until then.
// src may be nil: then the copy of the log and the recordings are checked alone.
func Verify(ctx context.Context, src *Source, opt Options) (*Report, error) {
	r := &Report{}
	v := &verifier{opt: opt, r: r, s: src}
	if src != nil {
		if err := v.bundle(ctx); err != nil {
			return r, err
		}
	}
	if err := v.others(ctx); err != nil {
		return r, err
	}
	if src != nil {
		v.witnessed()
	}
	if opt.LogKey == "" {
		r.say("A", RuleLog, "log not checked: no --log-key was given, so everything above holds only against the bundle's own word")
	}
	return r, nil
}

type verifier struct {
	opt   Options
	r     *Report
	s     *Source
	trust *trust
	cp    ledger.Checkpoint
	log   *census          // of the copy of the log; nil: none
	ends  map[uint64]bool  // leaves of the bundle that open or end a part
	came  map[uint64][]int // events that are progress of a part, by its open leaf; nil: not looked for yet

	covered uint64 // entries of the largest checkpoint kept by somebody else that this log extends

	decidedBy [][32]byte // hash of the policy, from each part's pass
}

func (v *verifier) bundle(ctx context.Context) error {
	v.r.Session = v.s.m.Session
	v.r.say("A", RuleBundle, "bundle of session %s in %d parts, in its one form", v.s.m.Session, len(v.s.m.Parts))
	for _, step := range []func(context.Context) error{v.root, v.checkpoint, v.parts, v.events, v.policy, v.history} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fault is one of the manifest's, in the elements that paths name.
func (v *verifier) fault(paths, rule, format string, args ...any) error {
	return v.s.faultIn(paths, rule, format, args...)
}

func (v *verifier) root(context.Context) error {
	var err error
	if v.trust, err = parseTrust(v.s.m.Trust, v.s.m.TrustSig); err != nil {
		paths := "trust"
		if errors.Is(err, errSignature) { // of which of the two is wrong nothing tells
			paths = "trust trust_sig"
		}
		return v.fault(paths, RuleTrust, "trust bundle: %v", err)
	}
	root := Fingerprint(v.trust.root)
	if v.opt.Root != "" && root != v.opt.Root {
		return v.fault("trust", RuleTrust, "the trust bundle is signed by the root key %s, not by the one given", root)
	}
	if v.opt.LogKey != "" && v.trust.key != v.opt.LogKey {
		return v.fault("trust", RuleTrust, "the trust bundle names another log key than the one given")
	}
	whose := "its root key"
	if v.opt.Root != "" {
		whose = "the root key given,"
	}
	v.r.say("A", RuleTrust, "trust bundle signed by %s %s", whose, root)
	return nil
}

func (v *verifier) checkpoint(context.Context) error {
	key, whose := v.opt.LogKey, "the log key given"
	if key == "" {
		key, whose = v.trust.key, "the log key that the bundle itself names"
	}
	var err error
	if v.cp, err = ledger.ParseCheckpoint(v.s.m.Checkpoint, key); err != nil {
		return v.fault("checkpoint", RuleCheckpoint, "%v", err)
	}
	v.r.LogChecked = v.opt.LogKey != ""
	v.r.say("A", RuleCheckpoint, "log %s of %d entries, signed under %s", v.cp.Origin, v.cp.Size, whose)
	return nil
}

// leaf checks the entry at a path: strict, what it commits to, and its place in the tree.
func (v *verifier) leaf(path, what string, e *Entry) (ledger.Leaf, error) {
	l, err := ledger.ParseLeaf(e.Leaf)
	if err != nil {
		return l, v.fault(path+".leaf", RuleLeaf, "%s: entry %d: %v", what, e.Index, err)
	}
	if l.Commit != ledger.Commit(e.Nonce, e.Body) {
		return l, v.fault(path, RuleLeaf, "%s: entry %d does not commit to its nonce and body", what, e.Index)
	}
	if err := ledger.CheckInclusion(e.Leaf, e.Index, v.cp.Size, v.cp.Root, e.Proof); err != nil {
		return l, v.fault(path, RuleLeaf, "%s: entry %d: %v", what, e.Index, err)
	}
	return l, nil
}

func (v *verifier) parts(ctx context.Context) error {
	v.ends = map[uint64]bool{}
	c := &chain{v: v}
	for i := range v.s.m.Parts {
		if err := c.part(ctx, uint32(i), &v.s.m.Parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// chain follows a session from part to part.
type chain struct {
	v        *verifier
	prevOpen *uint64
	prevHead [32]byte
}

func (c *chain) part(ctx context.Context, n uint32, p *part) error {
	v, name := c.v, recorder.FileName(c.v.s.m.Session, n)
	open, err := c.open(n, name, p)
	if err != nil {
		return err
	}
	if err := v.pass(n, name, p, open); err != nil {
		return err
	}
	end, err := v.end(n, name, p, open)
	if err != nil {
		return err
	}
	gone, err := v.slots(n, name, p, open)
	if err != nil {
		return err
	}
	head := [32]byte{}
	if end != nil {
		head = end.HFinal
	}
	if !gone {
		if head, err = v.recording(ctx, n, name, p, open, end, c.prevHead); err != nil {
			return err
		}
	}
	c.prevOpen, c.prevHead = &p.Open.Index, head
	return nil
}

// open checks the open leaf, and that parts follow each other.
func (c *chain) open(n uint32, name string, p *part) (ledger.OpenBody, error) {
	v, at := c.v, partPath(n, "open")
	l, err := v.leaf(at, name+": open leaf", &p.Open)
	if err != nil {
		return ledger.OpenBody{}, err
	}
	open, err := ledger.ParseOpenBody(p.Open.Body)
	switch {
	case err != nil:
		return open, v.fault(at+".body", RuleLeaf, "%s: %v", name, err)
	case l.Type != "open":
		return open, v.fault(at+".leaf", RuleLeaf, "%s: entry %d is no open leaf but %s", name, p.Open.Index, l.Type)
	case len(l.Ref) > 1 || (len(l.Ref) == 1) != (open.PrevOpen != nil) || open.PrevOpen != nil && l.Ref[0] != *open.PrevOpen:
		return open, v.fault(at+".leaf "+at+".body", RuleLeaf, "%s: the open leaf refers to other leaves than its body names", name)
	case open.Session != v.s.m.Session: // what is proven is right
		return open, v.fault("session", RuleLeaf, "%s: the open leaf is of session %s", name, open.Session)
	case open.Part != n:
		return open, v.fault(at, RuleLeaf, "%s: the open leaf is of session %s part %d", name, open.Session, open.Part)
	case (open.PrevOpen == nil) != (c.prevOpen == nil) || open.PrevOpen != nil && *open.PrevOpen != *c.prevOpen:
		return open, v.fault(at+".body", RuleLeaf, "%s: the open leaf does not name that of the part before", name)
	case len(open.GatewayPub) != 32 || recorder.KeyID(open.GatewayPub) != open.GatewayKey:
		return open, v.fault(at+".body", RuleLeaf, "%s: the record key is not the one whose fingerprint stands beside it", name)
	}
	v.ends[p.Open.Index] = true
	v.r.say("A", RuleLeaf, "%s: announced as entry %d; kept until %s at least", name, p.Open.Index, day(open.RetainUntil))
	return open, nil
}

func (v *verifier) pass(n uint32, name string, p *part, open ledger.OpenBody) error {
	if sha256.Sum256(p.HostKey) != open.DeviceFP {
		return v.fault(partPath(n, "host_key"), RulePass, "%s: the device's host key is not the one that the open leaf names", name)
	}
	got, err := parsePass(p.Pass, open.Pass, v.trust.ca)
	if err != nil {
		return v.fault(partPath(n, "pass"), RulePass, "%s: pass: %v", name, err)
	}
	if got.grant.Session != open.Session || got.grant.Device != open.DeviceFP {
		return v.fault(partPath(n, "pass"), RulePass, "%s: the pass is for another session or device", name)
	}
	v.decidedBy = append(v.decidedBy, got.grant.PolicySHA)
	v.r.say("A", RulePass, "%s: pass for %q as login %s on device %s, actions %q, %s to %s, signed by a session CA after it was announced", name,
		got.grant.Subject.Display, got.grant.Login, fingerprint(p.HostKey), got.grant.Actions, got.from.Format(time.RFC3339), got.until.Format(time.RFC3339))
	return nil
}

// end checks the close or interrupted leaf; nil: the bundle has none.
func (v *verifier) end(n uint32, name string, p *part, open ledger.OpenBody) (*ledger.CloseBody, error) {
	if p.End == nil {
		v.r.say("A", RuleEnd, "%s: no end in the log: when this was exported it still ran, or a crash cut it off and nobody had found it yet", name)
		return nil, nil
	}
	at := partPath(n, "end")
	l, err := v.leaf(at, name+": end", p.End)
	if err != nil {
		return nil, err
	}
	b, err := ledger.ParseCloseBody(p.End.Body)
	switch {
	case err != nil:
		return nil, v.fault(at+".body", RuleEnd, "%s: %v", name, err)
	case l.Type != "close" && l.Type != "interrupted":
		return nil, v.fault(at+".leaf", RuleEnd, "%s: entry %d is no end but %s", name, p.End.Index, l.Type)
	case b.Open != p.Open.Index || !slices.Equal(l.Ref, []uint64{b.Open}) || p.End.Index <= p.Open.Index:
		return nil, v.fault(at, RuleEnd, "%s: the end in entry %d belongs to another beginning", name, p.End.Index)
	case b.Session != open.Session || b.Part != open.Part:
		return nil, v.fault(at+".body", RuleEnd, "%s: the end is of session %s part %d", name, b.Session, b.Part)
	case b.Bytes != p.Recording && p.Recording != 0:
		return nil, v.fault(partPath(n, "recording"), RuleEnd, "%s: the recording has %d bytes, its end in the log says %d", name, p.Recording, b.Bytes)
	}
	v.ends[p.End.Index] = true
	v.r.say("A", RuleEnd, "%s: %s as entry %d (%s); %d chunks, %d bytes, %d gaps", name, map[string]string{"close": "closed", "interrupted": "interrupted"}[l.Type],
		p.End.Index, b.Reason, b.Seq, b.Bytes, b.Gaps)
	return &b, nil
}

// slots compares the slot files that are there with the open leaf. One that is not there, and a container that is gone, were
// shredded, and the log says so.
func (v *verifier) slots(n uint32, name string, p *part, open ledger.OpenBody) (gone bool, err error) {
	rk, sk := recorder.SlotNames(v.s.m.Session, n)
	at, shredded := uint64(0), false
	if p.SlotRK == 0 || p.SlotSK == 0 || p.Recording == 0 {
		at, shredded = v.shredded(p, open)
	}
	if p.Recording == 0 && !shredded {
		return false, v.fault(partPath(n, "recording"), RuleRecordings, "%s is missing, and no leaf says that it was shredded after its time", name)
	}
	for _, s := range []struct {
		name string
		size int64
		want [32]byte
	}{{rk, p.SlotRK, open.SlotRK}, {sk, p.SlotSK, open.SlotSK}} {
		if s.size == 0 && shredded {
			continue
		}
		if err := v.slotFile(s.name, s.size, s.want); err != nil {
			return false, err
		}
	}
	switch {
	case !shredded:
		v.r.say("A", RuleSlot, "%s: both slot files are those that the open leaf names", name)
	case p.Recording == 0:
		v.r.say("A", RuleSlot, "%s: shredded, as entry %d says", name, at)
	default:
		v.r.say("A", RuleSlot, "%s: its keys were shredded, as entry %d says; the recording is there all the same, and is checked as any other", name, at)
	}
	return p.Recording == 0, nil
}

func (v *verifier) slotFile(name string, size int64, want [32]byte) error {
	raw, err := v.read(name)
	switch {
	case err != nil:
		return err
	case size == 0:
		return &recorder.Fault{File: v.file(name), Rule: RuleSlot, Detail: "the slot file is missing, and no leaf says that it was shredded after its time"}
	case sha256.Sum256(raw) != want:
		return &recorder.Fault{File: v.file(name), Length: size, Rule: RuleSlot,
			Detail: fmt.Sprintf("bytes 0-%d do not have the hash in the open leaf: this is not the slot file that it names", size-1)}
	}
	return nil
}

func (v *verifier) shredded(p *part, open ledger.OpenBody) (uint64, bool) {
	for i := range v.s.m.Events {
		e := &v.s.m.Events[i]
		l, err := v.leaf(eventPath(i), "shredded", e)
		b, berr := ledger.ParseEventBody(e.Body)
		if err == nil && berr == nil && l.Type == "shredded" && mayShred(open, b.AtMS) && (slices.Contains(l.Ref, p.Open.Index) || p.End != nil && slices.Contains(l.Ref, p.End.Index)) {
			return e.Index, true
		}
	}
	return 0, false
}

func (v *verifier) read(name string) ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(v.s.pieces[name], 0, v.s.pieces[name].Size()))
}

// file names a piece for people.
func (v *verifier) file(piece string) string { return v.s.name + ": " + piece }

// recording checks the container against both leaves and, with identities, what is in it.
func (v *verifier) recording(ctx context.Context, n uint32, name string, p *part, open ledger.OpenBody, end *ledger.CloseBody, prev [32]byte) ([32]byte, error) {
	opt := recorder.VerifyOptions{File: v.file(name), Key: open.GatewayPub, Session: &open.Session, Part: &n, DeviceFP: &open.DeviceFP, PrevHead: &prev, H0: &open.H0}
	if end != nil {
		opt.HFinal = &end.HFinal
	}
	var err error
	if opt.Heads, err = v.progress(p.Open.Index, n); err != nil {
		return prev, err
	}
	if err := v.unlock(n, name, p, &opt); err != nil {
		return prev, err
	}
	rep, err := recorder.Verify(ctx, v.s.pieces[name], p.Recording, opt)
	if err != nil {
		return prev, err
	}
	v.r.Parts = append(v.r.Parts, rep)
	for _, l := range rep.Lines {
		v.r.say(l.Level, l.Rule, "%s: %s", name, l.Text)
	}
	return rep.Head, v.agrees(name, p, end, rep)
}

// agrees compares what the recording is with what its end in the log says.
func (v *verifier) agrees(name string, p *part, end *ledger.CloseBody, rep *recorder.Report) error {
	var what string
	switch {
	case end == nil && rep.Closed:
		what = "the recording is closed, but the bundle has no end from the log"
	case end == nil:
	case rep.Seq != end.Seq:
		what = fmt.Sprintf("the last chunk is %d, the end in the log says %d", rep.Seq, end.Seq)
	case rep.Bytes != p.Recording:
		what = fmt.Sprintf("%d bytes follow the last whole chunk", p.Recording-rep.Bytes)
	case rep.Closed && rep.Reason != end.Reason:
		what = fmt.Sprintf("the recording was closed with %q, the end in the log says %q", rep.Reason, end.Reason)
	default:
		if l, _ := ledger.ParseLeaf(p.End.Leaf); l.Type == "close" && !rep.Closed {
			what = "the log says that it was closed, and it is cut"
		}
	}
	if what != "" {
		return &recorder.Fault{File: v.file(name), Offset: rep.Bytes, Rule: RuleEnd, Detail: what}
	}
	return nil
}

// unlock opens the slots with what identities there are.
func (v *verifier) unlock(n uint32, name string, p *part, opt *recorder.VerifyOptions) error {
	if len(v.opt.Identities) == 0 {
		v.r.say("B", RuleSlot, "%s: not read: no --identity was given", name)
		return nil
	}
	if p.SlotRK == 0 {
		v.r.say("B", RuleSlot, "%s: not read: its keys were shredded", name)
		return nil
	}
	rkName, skName := recorder.SlotNames(v.s.m.Session, n)
	rk, err := v.slot(rkName)
	if err != nil {
		return &recorder.Fault{File: v.file(rkName), Rule: RuleSlot, Detail: "none of the identities opens the reader's slot: " + err.Error()}
	}
	opt.RK = &rk
	if p.SlotSK == 0 {
		v.r.say("C", RuleSlot, "%s: sealed input not opened: its key was shredded", name)
		return nil
	}
	sk, err := v.slot(skName)
	if err != nil {
		v.r.say("C", RuleSlot, "%s: sealed input not opened: none of the identities is an unsealing officer's", name)
		return nil
	}
	opt.SK = &sk
	return nil
}

func (v *verifier) slot(name string) ([32]byte, error) {
	raw, err := v.read(name)
	if err != nil {
		return [32]byte{}, err
	}
	return recorder.Unlock(bytes.NewReader(raw), v.opt.Identities...)
}

func day(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02") }

// Fingerprint is a key's as `ssh-keygen -l` shows it.
func Fingerprint(key ssh.PublicKey) string { return fingerprint(key.Marshal()) }

func fingerprint(key []byte) string {
	h := sha256.Sum256(key)
	return "SHA256:" + b64std.EncodeToString(h[:])
}
