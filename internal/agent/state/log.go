package state

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Extends checks a head of the log against the one that is held: signed by the log's key, of the same log, not smaller,
// and with everything in it that was there before.
func Extends(held wire.TreeHead, log wire.LogIdentity, note []byte, proof []wire.Hash) (wire.TreeHead, error) {
	cp, err := ledger.ParseCheckpoint(note, log.Key)
	if err != nil {
		return wire.TreeHead{}, fmt.Errorf("the checkpoint is not signed by the log's key: %w", err)
	}
	head := wire.TreeHead{Origin: cp.Origin, Size: cp.Size, Root: cp.Root}
	switch {
	case cp.Origin != log.Origin:
		return head, fmt.Errorf("the checkpoint is of another log, %q", cp.Origin)
	case held.Size == 0:
		return head, nil
	case held.Origin != cp.Origin:
		return head, fmt.Errorf("the log %q does not continue %q", cp.Origin, held.Origin)
	case cp.Size < held.Size:
		return head, fmt.Errorf("the log has shrunk: %d entries, this machine has seen %d", cp.Size, held.Size)
	case cp.Size == held.Size && wire.Hash(cp.Root) != held.Root:
		return head, fmt.Errorf("the log has forked: at %d entries this machine has seen another root", held.Size)
	case cp.Size == held.Size:
		return head, nil
	}
	if err := ledger.CheckConsistency(held.Size, held.Root, cp.Size, cp.Root, Raw(proof)); err != nil {
		return head, fmt.Errorf("the log does not continue what this machine has seen at %d entries", held.Size)
	}
	return head, nil
}

// Announced checks that the log holds the opening of exactly this session: this pass, and a recording that began with h0.
func Announced(o *wire.Open, pass *wire.Pass, head wire.TreeHead) error {
	if _, err := committed(o.Announcement(), "open", head); err != nil {
		return err
	}
	body, err := ledger.ParseOpenBody(o.Body)
	switch {
	case err != nil:
		return fmt.Errorf("the open leaf's content cannot be read: %w", err)
	case body.Session != o.Session || body.Pass != [32]byte(pass.Hash) || body.H0 != [32]byte(o.H0) || body.DeviceFP != [32]byte(pass.Grant.Device):
		return errors.New("the open leaf announces another session, pass, recording or machine")
	}
	return nil
}

// NextAnnounced checks that the log holds the next pass of the session that an open began: this pass, after the one that
// the session runs under.
func NextAnnounced(o *wire.Open, r *wire.Renew, next, before *wire.Pass, head wire.TreeHead) error {
	leaf, err := committed(r.Announcement(), "pass", head)
	if err != nil {
		return err
	}
	if len(leaf.Ref) != 1 || leaf.Ref[0] != o.Index {
		return fmt.Errorf("the pass leaf does not refer to the open leaf %d of this session", o.Index)
	}
	open, err := ledger.ParseOpenBody(o.Body)
	if err != nil {
		return fmt.Errorf("the open leaf's content cannot be read: %w", err)
	}
	body, err := ledger.ParsePassBody(r.Body)
	switch {
	case err != nil:
		return fmt.Errorf("the pass leaf's content cannot be read: %w", err)
	case body.Session != o.Session || body.Part != open.Part || body.Open != o.Index || body.Pass != [32]byte(next.Hash):
		return errors.New("the pass leaf announces another session or pass")
	case body.N != r.N:
		return fmt.Errorf("the pass leaf announces pass %d, and not %d", body.N, r.N)
	case body.Prev != [32]byte(before.Hash):
		return errors.New("the pass leaf names another pass before than this session runs under")
	}
	return nil
}

// committed checks that the log holds a leaf of a type, which commits to what came with it.
func committed(a wire.Announcement, typ string, head wire.TreeHead) (ledger.Leaf, error) {
	leaf, err := ledger.ParseLeaf(a.Leaf)
	if err != nil {
		return leaf, fmt.Errorf("the %s leaf cannot be read: %w", typ, err)
	}
	if len(a.Nonce) != 16 || leaf.Type != typ || leaf.Commit != ledger.Commit([16]byte(a.Nonce), a.Body) {
		return leaf, fmt.Errorf("the %s leaf does not commit to what came with it", typ)
	}
	if err := ledger.CheckInclusion(a.Leaf, a.Index, head.Size, head.Root, Raw(a.Proof)); err != nil {
		return leaf, fmt.Errorf("the log of %d entries does not hold the %s leaf", head.Size, typ)
	}
	return leaf, nil
}

// Raw gives hashes as the ledger takes them.
func Raw(in []wire.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}
