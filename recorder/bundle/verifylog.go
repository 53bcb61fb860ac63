package bundle

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/ledger"
)

var b64std = base64.RawStdEncoding

// events checks the other leaves about the session.
func (v *verifier) events(context.Context) error {
	count := map[string]int{}
	var order []string
	for i := range v.s.m.Events {
		e := &v.s.m.Events[i]
		if i > 0 && e.Index <= v.s.m.Events[i-1].Index || v.ends[e.Index] {
			return v.fault(RuleLeaf, "event %d: entry %d is out of order or stands there twice", i, e.Index)
		}
		l, err := v.leaf("event", e)
		if err != nil {
			return err
		}
		switch l.Type {
		case "open", "close", "interrupted":
			return v.fault(RuleLeaf, "event: entry %d is of type %s, which belongs to a part", e.Index, l.Type)
		}
		if count[l.Type]++; count[l.Type] == 1 {
			order = append(order, l.Type)
		}
	}
	for _, typ := range order {
		v.r.say("A", RuleLeaf, "also in the log: %s, %d times", typ, count[typ])
	}
	return nil
}

func (v *verifier) policy(context.Context) error {
	if len(v.s.m.Policy) == 0 {
		v.r.say("A", RulePolicy, "the policy's text is not in the bundle; its hash is in the pass")
		return nil
	}
	v.r.say("A", RulePolicy, "the policy that the session was decided by is in the bundle, %d files", len(v.s.m.Policy))
	return nil
}

// history checks that the leaf hashes give the checkpoint, and compares the tree with checkpoints that others kept.
func (v *verifier) history(context.Context) error {
	held, err := v.held()
	if err != nil {
		return err
	}
	if v.s.m.History == 0 {
		if len(v.s.m.Peaks) != 0 {
			return v.fault(RuleHistory, "subtrees without the leaves that follow them")
		}
		return v.compare(held, nil)
	}
	first := v.s.m.Parts[0].Open.Index
	if first+v.s.m.History != v.cp.Size {
		return v.fault(RuleHistory, "%d hashes from entry %d on do not reach the checkpoint's %d", v.s.m.History, first, v.cp.Size)
	}
	f, err := newFrontier(first, v.s.m.Peaks)
	if err != nil {
		return v.fault(RuleHistory, "%v", err)
	}
	raw, err := v.read(historyName)
	if err != nil {
		return err
	}
	roots := map[uint64][32]byte{}
	for _, h := range held {
		roots[h.Size] = [32]byte{}
	}
	note := func() {
		if _, wanted := roots[f.size]; wanted && f.size > 0 {
			roots[f.size] = f.root()
		}
	}
	note()
	for ; len(raw) > 0; raw = raw[32:] {
		f.add([32]byte(raw))
		note()
	}
	if f.root() != v.cp.Root {
		return &recorder.Fault{File: v.file(historyName), Rule: RuleHistory, Detail: "the leaf hashes do not give the checkpoint's root"}
	}
	v.r.say("A", RuleHistory, "the log's %d entries since the session began give the same checkpoint", v.s.m.History)
	return v.compare(held, roots)
}

// held reads the checkpoints that others kept.
func (v *verifier) held() ([]ledger.Checkpoint, error) {
	var out []ledger.Checkpoint
	key := v.opt.LogKey
	if key == "" && v.trust != nil {
		key = v.trust.key
	}
	for i, raw := range v.opt.Checkpoints {
		cp, err := ledger.ParseCheckpoint(raw, key)
		if err != nil {
			return nil, &recorder.Fault{File: checkpointName(i), Rule: RuleCheckpoint, Detail: err.Error()}
		}
		out = append(out, cp)
	}
	return out, nil
}

// compare compares held checkpoints with the bundle's log where it gives their root. What it cannot give is left to a
// copy of the log; without one it is said.
func (v *verifier) compare(held []ledger.Checkpoint, roots map[uint64][32]byte) error {
	for i, h := range held {
		root, known := roots[h.Size]
		known = known && h.Size >= v.s.m.Parts[0].Open.Index && h.Size > 0
		if h.Size == v.cp.Size {
			root, known = v.cp.Root, true
		}
		switch {
		case h.Origin != v.cp.Origin:
			return &recorder.Fault{File: checkpointName(i), Rule: RuleLog, Detail: "it is of another log"}
		case known && h.Size <= v.cp.Size && root != h.Root:
			return &recorder.Fault{File: checkpointName(i), Rule: RuleLog, Detail: "the log was rewritten or forked: its first entries are not those of this checkpoint"}
		case known && h.Size <= v.cp.Size:
			v.r.say("A", RuleLog, "the log extends checkpoint %d of %d entries, which somebody else kept", i+1, h.Size)
		case v.opt.LogDir != "": // the copy is compared below
		case h.Size > v.cp.Size:
			v.r.say("A", RuleLog, "checkpoint %d of %d entries is later than this export of %d: not compared; export again, or give a copy of the log with --log", i+1, h.Size, v.cp.Size)
		default:
			v.r.say("A", RuleLog, "checkpoint %d of %d entries is from before the session: not compared; give a copy of the log with --log", i+1, h.Size)
		}
	}
	return nil
}

func checkpointName(i int) string { return "checkpoint " + string(rune('1'+i)) }

// others checks the copy of the log and the recordings.
func (v *verifier) others(ctx context.Context) error {
	if v.opt.LogDir == "" {
		if v.opt.RecordingsDir != "" {
			return errors.New("recordings are compared with the log: --recordings needs --log")
		}
		return nil
	}
	if v.opt.LogKey == "" {
		return errors.New("a copy of the log is checked under the log's key: --log needs --log-key")
	}
	c, err := ledger.OpenCopy(v.opt.LogDir, v.opt.LogKey)
	if err != nil {
		return &recorder.Fault{File: v.opt.LogDir, Rule: RuleLog, Detail: err.Error()}
	}
	v.r.say("A", RuleLog, "the copy of the log gives its own checkpoint of %d entries", c.Head.Size)
	if v.s != nil {
		if err := c.Extends(v.cp); err != nil {
			return &recorder.Fault{File: v.opt.LogDir, Rule: RuleLog, Detail: "against the bundle: " + err.Error()}
		}
		v.r.say("A", RuleLog, "it extends the bundle's checkpoint")
	}
	held, err := v.held()
	if err != nil {
		return err
	}
	for i, h := range held {
		if err := c.Extends(h); err != nil {
			return &recorder.Fault{File: v.opt.LogDir, Rule: RuleLog, Detail: "against " + checkpointName(i) + ": " + err.Error()}
		}
		v.r.say("A", RuleLog, "it extends checkpoint %d of %d entries, which somebody else kept", i+1, h.Size)
	}
	return (&census{r: v.r, c: c, dir: v.opt.RecordingsDir, log: v.opt.LogDir}).run(ctx)
}
