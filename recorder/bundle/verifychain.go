package bundle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

func (v *verifier) parts(ctx context.Context) error {
	v.ends = map[uint64]bool{}
	c := &chain{v: v, prevHead: new([32]byte)}
	for i := range v.s.m.Parts {
		if err := c.part(ctx, uint32(i), &v.s.m.Parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// chain follows a session from part to part.
type chain struct {
	v         *verifier
	prevOpen  *uint64
	prevHead  *[32]byte     // zeros before the first part; nil: not known
	prevPass  *pass         // the newest of the part before
	prevAsker *ledger.Asker // of the nearest part before that has one
}

func (c *chain) part(ctx context.Context, n uint32, p *part) error {
	v, name := c.v, format.FileName(c.v.s.m.Session, n)
	l, err := c.leaves(n, name, p)
	if err != nil {
		return err
	}
	gone, err := v.slots(n, name, p, l.open)
	if err != nil {
		return err
	}
	var head *[32]byte
	if l.end != nil {
		head = &l.end.HFinal
	}
	if !gone {
		if c.prevHead == nil {
			v.r.say("A", format.RuleHeader, "%s: where the part before ended is not in the bundle: not compared", name)
		}
		if head, err = v.recording(ctx, n, name, p, l.open, l.end, c.prevHead); err == nil {
			err = v.underPasses(ctx, name, p, l.windows)
		}
		if err != nil {
			return err
		}
	}
	c.prevOpen, c.prevHead, c.prevPass = &p.Open.Index, head, l.newest
	return nil
}

// partLeaves has the contents of the leaves and passes of a part.
type partLeaves struct {
	open    ledger.OpenBody
	end     *ledger.CloseBody // nil: the bundle has none
	cut     bool              // the end is an interrupted leaf
	first   *pass
	newest  *pass         // of those that the bundle has
	asker   *ledger.Asker // nil: the bundle has no statement
	windows []window
}

// leaves checks the leaves and passes of a part.
func (c *chain) leaves(n uint32, name string, p *part) (l partLeaves, err error) {
	if l.open, err = c.open(n, name, p); err != nil {
		return l, err
	}
	if l.first, err = c.pass(n, name, p, l.open); err != nil {
		return l, err
	}
	if l.asker, err = c.asker(n, name, p, l.open); err != nil {
		return l, err
	}
	c.prevAsker = cmp.Or(l.asker, c.prevAsker)
	if l.end, l.cut, err = c.v.end(n, name, p, l.open); err != nil {
		return l, err
	}
	l.newest, l.windows, err = c.v.passes(n, name, p, l.open, l.first)
	return l, err
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
		return open, v.fault(at+".leaf", RuleLeaf, "%s: entry %d is of type %s, not an open leaf", name, p.Open.Index, l.Type)
	case open.Session != v.s.m.Session: // the leaf is proven, so the manifest is wrong
		return open, v.fault("session", RuleLeaf, "%s: the open leaf is of session %s", name, open.Session)
	case open.Part != n:
		return open, v.fault(at, RuleLeaf, "%s: the open leaf is of session %s part %d", name, open.Session, open.Part)
	case (open.PrevOpen == nil) != (c.prevOpen == nil) || open.PrevOpen != nil && *open.PrevOpen != *c.prevOpen:
		return open, v.fault(at+".body", RuleLeaf, "%s: the open leaf does not name that of the part before", name)
	}
	if err := announces(l, open); err != nil {
		return open, v.fault(at+".leaf "+at+".body", RuleLeaf, "%s: %v", name, err)
	}
	v.ends[p.Open.Index] = true
	v.r.say("A", RuleLeaf, "%s: announced as entry %d; kept until %s at least", name, p.Open.Index, day(open.RetainUntil))
	return open, nil
}

// pass checks the first pass of a part. It must be for the person and login of the part before.
func (c *chain) pass(n uint32, name string, p *part, open ledger.OpenBody) (*pass, error) {
	v := c.v
	if sha256.Sum256(p.HostKey) != open.DeviceFP {
		return nil, v.fault(partPath(n, "host_key"), RulePass, "%s: the device's host key is not the one that the open leaf names", name)
	}
	if err := hostKey(p.HostKey); err != nil {
		return nil, v.fault(partPath(n, "host_key"), RulePass, "%s: the device's host key: %v", name, err)
	}
	got, err := parsePass(p.Pass, open.Pass, v.trust.ca)
	if err != nil {
		return nil, v.fault(partPath(n, "pass"), RulePass, "%s: pass: %v", name, err)
	}
	if got.grant.Session != open.Session || got.grant.Device != open.DeviceFP {
		return nil, v.fault(partPath(n, "pass"), RulePass, "%s: the pass is for another session or device", name)
	}
	if c.prevPass != nil {
		if err := got.sameSession(c.prevPass); err != nil {
			return nil, v.fault(partPath(n, "pass"), RulePass, "%s: pass: %v", name, err)
		}
	}
	v.decidedBy = append(v.decidedBy, got.grant.PolicySHA)
	v.r.say("A", RulePass, "%s: pass for %q as login %s on device %s, actions %q, %s to %s, signed by a session CA after it was announced", name,
		got.grant.Subject.Display, got.grant.Login, fingerprint(p.HostKey), got.actions, got.from.Format(time.RFC3339), got.until.Format(time.RFC3339))
	return got, nil
}

// end checks the close or interrupted leaf. It returns nil if the bundle has none. cut reports an interrupted leaf.
func (v *verifier) end(n uint32, name string, p *part, open ledger.OpenBody) (end *ledger.CloseBody, cut bool, err error) {
	if p.End == nil {
		v.r.Unended++
		v.r.say("A", RuleEnd, "%s: no end in the log: at the export it still ran, or a crash had cut it off and the gateway had not recovered it yet", name)
		return nil, false, nil
	}
	at := partPath(n, "end")
	l, err := v.leaf(at, name+": end", p.End)
	if err != nil {
		return nil, false, err
	}
	b, err := ledger.ParseCloseBody(p.End.Body)
	switch {
	case err != nil:
		return nil, false, v.fault(at+".body", RuleEnd, "%s: %v", name, err)
	case l.Type != "close" && l.Type != "interrupted":
		return nil, false, v.fault(at+".leaf", RuleEnd, "%s: entry %d is of type %s, not an end", name, p.End.Index, l.Type)
	case !slices.Equal(l.Ref, []uint64{p.Open.Index}) || p.End.Index <= p.Open.Index:
		return nil, false, v.fault(at, RuleEnd, "%s: the end in entry %d belongs to another beginning", name, p.End.Index)
	}
	if err := endsPart(b, p.Open.Index, open); err != nil {
		return nil, false, v.fault(at+".body", RuleEnd, "%s: the end in entry %d: %v", name, p.End.Index, err)
	}
	if b.Bytes != p.Recording && p.Recording != 0 {
		return nil, false, v.fault(partPath(n, "recording"), RuleEnd, "%s: the recording has %d bytes, its end in the log says %d", name, p.Recording, b.Bytes)
	}
	v.ends[p.End.Index] = true
	v.r.say("A", RuleEnd, "%s: %s as entry %d (%s); %d chunks, %d bytes, %d gaps", name, map[string]string{"close": "closed", "interrupted": "interrupted"}[l.Type],
		p.End.Index, b.Reason, b.Seq, b.Bytes, b.Gaps)
	return &b, l.Type == "interrupted", nil
}

// recording checks the container against both leaves and, with identities, its content. It gives the last chain state.
func (v *verifier) recording(ctx context.Context, n uint32, name string, p *part, open ledger.OpenBody, end *ledger.CloseBody, prev *[32]byte) (*[32]byte, error) {
	opt := reader.VerifyOptions{File: v.file(name), Key: open.GatewayPub, Session: &open.Session, Part: &n, DeviceFP: &open.DeviceFP, PrevHead: prev, H0: &open.H0, Origin: v.cp.Origin}
	if end != nil {
		opt.HFinal = &end.HFinal
	}
	var err error
	if opt.Heads, err = v.progress(p.Open.Index, n); err != nil {
		return nil, err
	}
	if err := v.unlock(n, name, p, &opt); err != nil {
		return nil, err
	}
	rep, err := reader.Verify(ctx, v.s.pieces[name], p.Recording, opt)
	if err != nil {
		return nil, err
	}
	v.r.Parts = append(v.r.Parts, rep)
	for _, l := range rep.Lines {
		v.r.say(l.Level, l.Rule, "%s: %s", name, l.Text)
	}
	return &rep.Head, v.agrees(name, p, end, rep)
}

// agrees compares the recording with its end in the log.
func (v *verifier) agrees(name string, p *part, end *ledger.CloseBody, rep *reader.Report) error {
	var what string
	if end == nil {
		if rep.Closed {
			what = "the recording is closed, but the bundle has no end from the log"
		}
	} else if l, err := ledger.ParseLeaf(p.End.Leaf); err == nil {
		what = agrees(l.Type, p.Recording, end, rep)
	}
	if what != "" {
		return &format.Fault{File: v.file(name), Offset: rep.Bytes, Rule: RuleEnd, Detail: what}
	}
	return nil
}
