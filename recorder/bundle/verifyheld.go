package bundle

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

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
			return nil, &format.Fault{File: checkpointName(i), Rule: RuleCheckpoint, Detail: err.Error()}
		}
		out = append(out, cp)
	}
	return out, nil
}

// compare compares held checkpoints with the bundle's log, if the bundle gives the root at their size. The others are
// left to the copy of the log. Without a copy, the report says that they were not compared.
func (v *verifier) compare(held []ledger.Checkpoint, roots map[uint64][32]byte) error {
	for i, h := range held {
		root, known := roots[h.Size]
		known = known && h.Size >= v.s.m.Parts[0].Open.Index && h.Size > 0
		if h.Size == v.cp.Size {
			root, known = v.cp.Root, true
		}
		switch {
		case h.Origin != v.cp.Origin:
			return &format.Fault{File: checkpointName(i), Rule: RuleLog, Detail: "it is of another log"}
		case known && h.Size <= v.cp.Size && root != h.Root:
			return &format.Fault{File: checkpointName(i), Rule: RuleLog, Detail: "the log was rewritten or forked: its first entries are not those of this checkpoint"}
		case known && h.Size <= v.cp.Size:
			v.covered = max(v.covered, h.Size)
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

// witnessed says whether a party other than the log's owner vouches that the log has the session's end. The device
// keeps the checkpoint that announced the session. It does not cosign later ones yet.
func (v *verifier) witnessed() {
	last := v.s.m.Parts[len(v.s.m.Parts)-1]
	switch {
	case last.End == nil:
		v.r.say("A", RuleWitness, "not yet witnessed by the device: the session's end is not in the bundle")
	case v.covered > last.End.Index:
		v.r.say("A", RuleWitness, "the session's end, entry %d, is covered by a checkpoint of %d entries that somebody else kept", last.End.Index, v.covered)
	default:
		v.r.say("A", RuleWitness, "not yet witnessed by the device: no checkpoint kept by somebody else covers the session's end, entry %d; one can be given with --checkpoint", last.End.Index)
	}
}

func checkpointName(i int) string { return fmt.Sprintf("checkpoint %d", i+1) }

// behind gives the error for a copy that ends before the bundle's checkpoint. That is not a fault, because a copy is
// written after the log, but such a copy proves nothing. It is a fault if the bundle's history shows that the copy is
// of a fork.
func (v *verifier) behind(c *ledger.Copy) error {
	if first := v.s.m.Parts[0].Open.Index; v.s.m.History > 0 && c.Head.Size >= max(first, 1) {
		roots := map[uint64][32]byte{c.Head.Size: {}}
		if err := v.replay(first, roots); err != nil {
			return err
		}
		if roots[c.Head.Size] != c.Head.Root {
			return &format.Fault{File: v.opt.LogDir, Rule: RuleLog,
				Detail: "the log was rewritten or forked: the copy's entries are not the first ones of the bundle's log"}
		}
	}
	return fmt.Errorf("%w: the copy in %s has %d entries, and this export was made at %d. Make a newer copy", ErrAsked,
		v.opt.LogDir, c.Head.Size, v.cp.Size)
}

// hasLog returns an error if a directory cannot be read, or has no file of a log: then somebody named another one, and
// it does not contradict the evidence.
func hasLog(dir string) error {
	if _, err := os.ReadDir(dir); err != nil {
		return err
	}
	for _, name := range []string{"checkpoint", "log.data", "tile"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is no copy of a log: it has no checkpoint, no log.data and no tile", ErrAsked, dir)
}

// others checks the copy of the log and the recordings.
func (v *verifier) others(ctx context.Context) error {
	if v.opt.LogDir == "" {
		if v.opt.RecordingsDir != "" {
			return fmt.Errorf("%w: recordings are compared with the log, so there must be a copy of it", ErrAsked)
		}
		return nil
	}
	if v.opt.LogKey == "" {
		return fmt.Errorf("%w: a copy of the log is checked under the log's key, which must be given", ErrAsked)
	}
	if err := hasLog(v.opt.LogDir); err != nil {
		return err
	}
	c, err := ledger.OpenCopy(v.opt.LogDir, v.opt.LogKey)
	if err != nil {
		return &format.Fault{File: v.opt.LogDir, Rule: RuleLog, Detail: err.Error()}
	}
	v.r.LogChecked = true
	v.r.say("A", RuleLog, "the copy of the log gives its own checkpoint of %d entries", c.Head.Size)
	if v.s != nil {
		if c.Head.Origin == v.cp.Origin && c.Head.Size < v.cp.Size {
			return v.behind(c)
		}
		if err := c.Extends(v.cp); err != nil {
			return &format.Fault{File: v.opt.LogDir, Rule: RuleLog, Detail: "against the bundle: " + err.Error()}
		}
		v.r.say("A", RuleLog, "it extends the bundle's checkpoint")
	}
	held, err := v.held()
	if err != nil {
		return err
	}
	for i, h := range held {
		if err := c.Extends(h); err != nil {
			return &format.Fault{File: v.opt.LogDir, Rule: RuleLog, Detail: "against " + checkpointName(i) + ": " + err.Error()}
		}
		v.covered = max(v.covered, h.Size)
		v.r.say("A", RuleLog, "it extends checkpoint %d of %d entries, which somebody else kept", i+1, h.Size)
	}
	v.log = &census{r: v.r, c: c, dir: v.opt.RecordingsDir, log: v.opt.LogDir}
	return v.log.run(ctx)
}
