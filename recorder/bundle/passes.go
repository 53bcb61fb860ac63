package bundle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// nextPass is a pass of a part after its first one, with the leaf that announces it. If the pass itself is absent, it
// was lost after its announcement and before any device got it.
type nextPass struct {
	Leaf Entry  `cbor:"leaf"`
	Pass []byte `cbor:"pass"`
}

// window is the time in which a session may run under a pass. It begins when the pass was announced, at the earliest.
type window struct{ from, until time.Time }

// passChain has the passes of a part, in the order of their leaves.
type passChain struct {
	v       *verifier
	n       uint32 // of the part
	name    string
	open    ledger.OpenBody
	part    *part
	hashes  [][32]byte            // announced so far
	known   map[[32]byte]*pass    // the passes that the bundle has
	before  map[[32]byte][32]byte // the pass before each pass
	windows []window
	newest  *pass
}

// passes checks a part's further passes. It returns the newest pass that the bundle has, and the windows of all passes.
func (v *verifier) passes(n uint32, name string, p *part, open ledger.OpenBody, first *pass) (*pass, []window, error) {
	c := &passChain{v: v, n: n, name: name, open: open, part: p, hashes: [][32]byte{open.Pass},
		known:   map[[32]byte]*pass{open.Pass: first},
		before:  map[[32]byte][32]byte{},
		windows: []window{{first.from, first.until}}, newest: first}
	last := p.Open.Index
	for i := range p.Passes {
		e := &p.Passes[i]
		if e.Leaf.Index <= last || p.End != nil && e.Leaf.Index >= p.End.Index {
			return nil, nil, v.fault(c.path(i, "leaf.index"), RulePass, "%s: pass leaf %d is not between the leaves before and after it", name, e.Leaf.Index)
		}
		last = e.Leaf.Index
		if err := c.next(i, e); err != nil {
			return nil, nil, err
		}
	}
	return c.newest, c.windows, nil
}

func (c *passChain) path(i int, name string) string {
	return partPath(c.n, fmt.Sprintf("passes.%d.%s", i, name))
}

// next checks one pass leaf, and its pass if the bundle has it.
func (c *passChain) next(i int, e *nextPass) error {
	body, err := c.leaf(i, e)
	if err != nil {
		return err
	}
	c.hashes, c.before[body.Pass] = append(c.hashes, body.Pass), body.Prev
	if len(e.Pass) == 0 {
		c.v.r.say("A", RulePass, "%s: pass %d was announced as entry %d and is not in the bundle: nothing counts as done under it", c.name, body.N, e.Leaf.Index)
		return nil
	}
	got, err := parsePass(e.Pass, body.Pass, c.v.trust.ca)
	if err == nil {
		err = c.follows(got, c.lastKnown(body.Prev))
	}
	if err != nil {
		return c.v.fault(c.path(i, "pass"), RulePass, "%s: pass %d: %v", c.name, body.N, err)
	}
	c.known[body.Pass], c.newest = got, got
	c.windows = append(c.windows, window{later(got.from, time.UnixMilli(body.AtMS)), got.until})
	c.v.decidedBy = append(c.v.decidedBy, got.grant.PolicySHA)
	c.v.r.say("A", RulePass, "%s: pass %d, announced as entry %d: actions %q, until %s, no wider than the one before", c.name, body.N, e.Leaf.Index,
		got.actions, got.until.Format(time.RFC3339))
	return nil
}

// leaf checks that the log announces the pass for this part, as the successor of a pass that it announced earlier.
func (c *passChain) leaf(i int, e *nextPass) (ledger.PassBody, error) {
	v, at := c.v, c.path(i, "leaf")
	l, err := v.leaf(at, c.name+": pass leaf", &e.Leaf)
	if err != nil {
		return ledger.PassBody{}, err
	}
	b, err := PassOf(l, e.Leaf.Body, c.part.Open.Index, c.open, c.hashes)
	if err != nil {
		return b, v.fault(at, RulePass, "%s: entry %d: %v", c.name, e.Leaf.Index, err)
	}
	v.ends[e.Leaf.Index] = true
	return b, nil
}

// PassOf reads a leaf that announces the next pass of a part. at is the index of the part's open leaf, and before has
// the hashes of the passes that the log has announced so far. It returns an error if the leaf does not refer to the
// open leaf alone, or if its body does not continue these passes.
func PassOf(l ledger.Leaf, body []byte, at uint64, open ledger.OpenBody, before [][32]byte) (ledger.PassBody, error) {
	if l.Type != "pass" || !slices.Equal(l.Ref, []uint64{at}) {
		return ledger.PassBody{}, fmt.Errorf("it is not a pass leaf that refers to the open leaf %d", at)
	}
	b, err := ledger.ParsePassBody(body)
	switch {
	case err != nil:
		return b, err
	case b.Session != open.Session || b.Part != open.Part || b.Open != at:
		return b, errors.New("its pass is of another session or part than the open leaf that it refers to")
	case int(b.N) != len(before) || b.N > ledger.MaxPasses:
		return b, fmt.Errorf("it announces pass %d, where pass %d would follow", b.N, len(before))
	case !slices.Contains(before, b.Prev):
		return b, fmt.Errorf("it names a pass before pass %d that was not announced", b.N)
	case slices.Contains(before, b.Pass):
		return b, fmt.Errorf("it announces pass %d, which was announced before", b.N)
	}
	return b, nil
}

// lastKnown returns the pass with a hash, or the nearest pass before it that the bundle has. A bundle always has the
// first pass.
func (c *passChain) lastKnown(hash [32]byte) *pass {
	for range c.hashes {
		if p := c.known[hash]; p != nil {
			return p
		}
		hash = c.before[hash]
	}
	return c.known[c.open.Pass]
}

// follows checks that a pass continues a session: for the same session, device, person and login, with a key that no
// earlier pass had, and not wider.
func (c *passChain) follows(next, before *pass) error {
	if err := next.sameSession(before); err != nil {
		return err
	}
	for _, other := range c.known {
		if bytes.Equal(other.key, next.key) {
			return errors.New("it has the key of another pass of the session")
		}
	}
	return next.grant.within(&before.grant)
}

// sameSession checks the values that all passes of a session share, across its parts too.
func (p *pass) sameSession(before *pass) error {
	a, b := &p.grant, &before.grant
	switch {
	case a.Session != b.Session || a.Device != b.Device:
		return errors.New("it is for another session or device than the pass before")
	case a.Login != b.Login:
		return fmt.Errorf("it is for the login %q, and the pass before for %q", a.Login, b.Login)
	case a.Subject.Display != b.Subject.Display || !bytes.Equal(a.Subject.Pseudonym, b.Subject.Pseudonym):
		return fmt.Errorf("it is for another person than the pass before: %q, and before %q", a.Subject.Display,
			b.Subject.Display)
	case a.Epoch < b.Epoch:
		return errors.New("it is of an earlier epoch than the pass before")
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b.UTC()
}

// afterPass is how long a recording may continue after a pass has ended, because the end of the session is recorded
// too.
const afterPass = time.Minute

// underPasses checks that every moment of a recording lies in the window of a pass that was announced before it. A
// recording of version 1 was written without this promise. It is checked only if its session has a further pass: those
// came after version 2, so a gateway that writes version 1 then avoids the check. A moment is the time of a chunk: the
// wall clock at the part's beginning plus the chunk's time since then.
func (v *verifier) underPasses(ctx context.Context, name string, p *part, windows []window) error {
	if v.r.Parts[len(v.r.Parts)-1].Version < format.Version2 && len(p.Passes) == 0 {
		v.r.say("A", RulePass, "%s: version 1 of the format, which does not promise a pass for each moment: not checked", name)
		return nil
	}
	c, err := newChunkTimes(v.s.pieces[name])
	if err != nil {
		return err
	}
	var first, last time.Time
	for c.next() {
		if c.seq%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if at := c.moment(); !within(windows, at) {
			return &format.Fault{File: v.file(name), Offset: c.at, Length: c.size, Rule: RulePass, Detail: fmt.Sprintf(
				"at %s, %s after it began, no pass was good that had been announced by then", at.Format(time.RFC3339Nano), c.since())}
		}
		first, last = cmp.Or(first, c.moment()), c.moment()
	}
	if !last.IsZero() {
		v.r.say("A", RulePass, "%s: every moment of it, from %s to %s, lies in the window of a pass that was announced before", name,
			first.UTC().Format(time.RFC3339), last.UTC().Format(time.RFC3339))
	}
	return c.err
}

func within(windows []window, at time.Time) bool {
	return slices.ContainsFunc(windows, func(w window) bool { return !at.Before(w.from) && at.Before(w.until.Add(afterPass)) })
}
