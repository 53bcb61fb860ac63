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
	leaf, err := ledger.ParseLeaf(o.Leaf)
	if err != nil {
		return fmt.Errorf("the open leaf cannot be read: %w", err)
	}
	if len(o.Nonce) != 16 || leaf.Type != "open" || leaf.Commit != ledger.Commit([16]byte(o.Nonce), o.Body) {
		return errors.New("the open leaf does not commit to what came with it")
	}
	body, err := ledger.ParseOpenBody(o.Body)
	switch {
	case err != nil:
		return fmt.Errorf("the open leaf's content cannot be read: %w", err)
	case body.Session != o.Session || body.Pass != [32]byte(pass.Hash) || body.H0 != [32]byte(o.H0) || body.DeviceFP != [32]byte(pass.Grant.Device):
		return errors.New("the open leaf announces another session, pass, recording or machine")
	}
	if err := ledger.CheckInclusion(o.Leaf, o.Index, head.Size, head.Root, Raw(o.Proof)); err != nil {
		return fmt.Errorf("the log of %d entries does not hold the open leaf", head.Size)
	}
	return nil
}

// Raw gives hashes as the ledger takes them.
func Raw(in []wire.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}
