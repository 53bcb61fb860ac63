package signer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// ownTypes are leaves that only the signer writes, each with the act that it stands for.
var ownTypes = []string{"open", "pass", "policy", "label", "admitted", "locked", "token", "key-rotate", "group-map", "restore",
	"approved", "granted", "withdrawn", ownersLeaf, "emergency", proposedLeaf, droppedLeaf}

// Append implements Signer. The types that only the signer may write are refused, and so is an end that belongs to no
// beginning: a data plane may lie about what it saw, not about what stands in the log.
func (s *Service) Append(ctx context.Context, r AppendRequest) (Appended, error) {
	if slices.Contains(ownTypes, r.Type) {
		return Appended{}, errkind.New(errkind.Denied, "leaves of type "+r.Type+" are the signer's own")
	}
	if !slices.Contains(ledger.Types, r.Type) {
		return Appended{}, errkind.New(errkind.Usage, fmt.Sprintf("leaf type %.40q does not exist", r.Type))
	}
	head := s.log.Head().Size
	for _, i := range r.Ref {
		if i >= head {
			return Appended{}, errkind.New(errkind.Usage, fmt.Sprintf("the log has no entry %d to refer to", i))
		}
	}
	if r.Type == "close" || r.Type == "interrupted" {
		return s.appendEnd(ctx, r)
	}
	if r.Type == "progress" {
		return s.appendProgress(ctx, r)
	}
	if _, err := ledger.ParseEventBody(r.Body); err != nil { // every verifier would refuse it, and with it the log
		return Appended{}, errkind.New(errkind.Usage, r.Type+" leaf: "+err.Error())
	}
	if r.Type == "shredded" {
		if err := s.mayShred(r); err != nil {
			return Appended{}, errkind.New(errkind.Denied, "shredded leaf: "+err.Error())
		}
	}
	return s.appendOwn(ctx, r.Type, r.Ref, r.Body)
}

// appendEnd writes the one end of a session's part.
func (s *Service) appendEnd(ctx context.Context, r AppendRequest) (Appended, error) {
	if err := s.ends(r); err != nil {
		return Appended{}, errkind.New(errkind.Usage, r.Type+" leaf: "+err.Error())
	}
	begun, err := s.unended.hold(r.Ref[0])
	if err != nil {
		return Appended{}, errkind.New(errkind.Conflict, r.Type+" leaf: "+err.Error())
	}
	defer begun.mu.Unlock()
	out, err := s.appendOwn(ctx, r.Type, r.Ref, r.Body)
	begun.ended = err == nil
	return out, err
}

// appendProgress writes how far a recording is that has no end yet.
func (s *Service) appendProgress(ctx context.Context, r AppendRequest) (Appended, error) {
	body, err := ledger.ParseProgressBody(r.Body)
	if err == nil {
		err = s.refersTo(r, body.Session, body.Part, body.Open)
	}
	if err != nil {
		return Appended{}, errkind.New(errkind.Usage, "progress leaf: "+err.Error())
	}
	begun, err := s.unended.hold(body.Open)
	if err != nil {
		return Appended{}, errkind.New(errkind.Usage, "progress leaf: "+err.Error())
	}
	defer begun.mu.Unlock()
	return s.appendOwn(ctx, r.Type, r.Ref, r.Body)
}

// mayShred checks that the time which each beginning promised is over, by the signer's own clock, and that the leaf does not
// claim to be of later. A verifier takes a missing recording for shredded by that leaf's time alone, so without this a taken
// data plane could do away with a recording at once.
func (s *Service) mayShred(r AppendRequest) error {
	body, err := ledger.ParseEventBody(r.Body)
	if err != nil {
		return err
	}
	now := s.cfg.Now()
	if body.AtMS > now.Add(time.Minute).UnixMilli() {
		return fmt.Errorf("it claims a time that is still to come")
	}
	if len(r.Ref) == 0 {
		return fmt.Errorf("want a reference to each open leaf")
	}
	for _, i := range r.Ref {
		open, err := s.openAt(i)
		if err != nil {
			return err
		}
		if open.RetainUntil > now.Unix() {
			return fmt.Errorf("entry %d promised to keep the recording until %s", i, time.Unix(open.RetainUntil, 0).UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// ends checks that a close names its session's own open leaf.
func (s *Service) ends(r AppendRequest) error {
	body, err := ledger.ParseCloseBody(r.Body)
	if err != nil {
		return err
	}
	if body.Final != [32]byte{} { // every verifier would refuse it, and with it the log
		return fmt.Errorf("final_statement is not zero, and no device of this version makes one")
	}
	return s.refersTo(r, body.Session, body.Part, body.Open)
}

// refersTo checks that a leaf's one reference is the open leaf of its own session and part.
func (s *Service) refersTo(r AppendRequest, sid id.Session, part uint32, at uint64) error {
	if len(r.Ref) != 1 || r.Ref[0] != at {
		return fmt.Errorf("want one reference, to the open leaf %d", at)
	}
	open, err := s.openAt(at)
	if err != nil {
		return err
	}
	if open.Session != sid || open.Part != part {
		return fmt.Errorf("the open leaf %d is of another session or part", at)
	}
	return nil
}

// follows checks that a further part names the open leaf of the part before it, on the same device.
func (s *Service) follows(r OpenRequest) error {
	if r.PrevOpen == nil {
		return nil
	}
	prev, err := s.openAt(*r.PrevOpen)
	if err != nil {
		return errkind.New(errkind.Usage, err.Error())
	}
	dev, _ := s.state.byName(r.Device)
	if prev.Session != r.Session || prev.Part+1 != r.Part || prev.DeviceFP != [32]byte(dev.FP) {
		return errkind.New(errkind.Usage, fmt.Sprintf("the open leaf %d is not of the part before this one", *r.PrevOpen))
	}
	return nil
}

func (s *Service) openAt(index uint64) (ledger.OpenBody, error) {
	raw, _, body, err := s.log.Entry(index)
	if err != nil {
		return ledger.OpenBody{}, err
	}
	leaf, err := ledger.ParseLeaf(raw)
	if err != nil {
		return ledger.OpenBody{}, err
	}
	if leaf.Type != "open" {
		return ledger.OpenBody{}, fmt.Errorf("entry %d is of type %s, not an open leaf", index, leaf.Type)
	}
	return ledger.ParseOpenBody(body)
}
