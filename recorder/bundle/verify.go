package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// Options has what the verifier knows from other sources than the bundle. Each field may be empty. The report names
// what was not checked for that reason.
type Options struct {
	LogKey        string         // verifier key of the log
	Root          string         // fingerprint of the root that must have signed the trust bundle, as of Fingerprint
	Identities    []age.Identity // of readers, and of unsealing officers
	Checkpoints   [][]byte       // checkpoints that other parties kept
	LogDir        string         // a copy of the log
	RecordingsDir string         // the recordings that the log's ends name
}

// Report lists what was proven, in the order of the checks.
type Report struct {
	Session id.Session       `json:"session"`
	Lines   []reader.Line    `json:"lines"`
	Parts   []*reader.Report `json:"-"`
	Unended int              `json:"-"` // parts without an end in the log
	// LogChecked says that a checkpoint of the log is valid under a key from elsewhere. A later fault does not change
	// it.
	LogChecked bool `json:"log_checked"`
}

func (r *Report) say(level, rule, text string, args ...any) {
	r.Lines = append(r.Lines, reader.Line{Level: level, Rule: rule, Text: fmt.Sprintf(text, args...)})
}

// Verify checks a bundle and stops at the first fault, which it returns as a *format.Fault. The report lists what was
// proven until then. If src is nil, Verify checks only the copy of the log and the recordings.
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
		r.say("A", RuleLog, "log not checked: no --log-key was given, so everything above relies on the key that the bundle itself names")
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
	ends  map[uint64]bool  // leaves of the bundle that open or end a part, or announce a pass of one
	came  map[uint64][]int // events that are progress of a part, by its open leaf; nil: not looked for yet

	gone map[uint64][]int // events of type shredded, by each leaf that they refer to; nil: not looked for yet

	covered uint64 // entries of the largest checkpoint that another party kept and that this log extends

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

// fault returns a fault in the elements of the manifest that paths name.
func (v *verifier) fault(paths, rule, text string, args ...any) error {
	return v.s.faultIn(paths, rule, text, args...)
}

func (v *verifier) root(context.Context) error {
	var err error
	if v.trust, err = parseTrust(v.s.m.Trust, v.s.m.TrustSig); err != nil {
		paths := "trust"
		if errors.Is(err, errSignature) { // key or signature may be wrong
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
	if v.opt.Root == "" {
		v.r.say("A", RuleTrust, "trust bundle signed by its root key %s: no --root was given, so it is not proven whose key that is",
			root)
		return nil
	}
	v.r.say("A", RuleTrust, "trust bundle signed by the root key given, %s", root)
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

// leaf checks the entry at a path: its encoding, its commitment, and its place in the tree.
func (v *verifier) leaf(path, what string, e *Entry) (ledger.Leaf, error) {
	l, err := strict(e.Index, e.Leaf)
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

func (v *verifier) read(name string) ([]byte, error) {
	return io.ReadAll(io.NewSectionReader(v.s.pieces[name], 0, v.s.pieces[name].Size()))
}

// file names a piece for people.
func (v *verifier) file(piece string) string { return v.s.name + ": " + piece }

func day(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02") }

// Fingerprint returns the SHA-256 fingerprint of a key in the form of `ssh-keygen -l`.
func Fingerprint(key ssh.PublicKey) string { return fingerprint(key.Marshal()) }

func fingerprint(key []byte) string {
	h := sha256.Sum256(key)
	return "SHA256:" + b64std.EncodeToString(h[:])
}
