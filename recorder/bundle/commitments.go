package bundle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// These checks of what a leaf commits to apply alike to a bundle, a copy of the log and a single recording
// (docs/recording-format.md, section 14, "What the log commits to").

// strict reads the leaf at an index. It returns an error if the leaf refers to a leaf that is not before it.
func strict(at uint64, raw []byte) (ledger.Leaf, error) {
	l, err := ledger.ParseLeaf(raw)
	if err != nil {
		return l, err
	}
	for _, r := range l.Ref {
		if r >= at {
			return l, fmt.Errorf("it refers to entry %d, which is not before it", r)
		}
	}
	return l, nil
}

// oneRef checks how many leaves a leaf about a part refers to.
func oneRef(l ledger.Leaf) error {
	switch n := len(l.Ref); {
	case l.Type == "open" && n > 1:
		return fmt.Errorf("an open leaf refers to that of the part before alone, and this one to %v", l.Ref)
	case l.Type != "open" && n != 1 && slices.Contains(ownBody, l.Type):
		return fmt.Errorf("a %s leaf refers to one open leaf, and this one to %v", l.Type, l.Ref)
	}
	return nil
}

// ownBody has the leaf types with a form of body of their own. The body of every other type is an event.
var ownBody = []string{"open", "pass", "progress", "close", "interrupted"}

// eventBody checks the body of an event.
func eventBody(l ledger.Leaf, body []byte) error {
	if slices.Contains(ownBody, l.Type) {
		return nil
	}
	_, err := ledger.ParseEventBody(body)
	return err
}

// announces checks an open leaf by itself.
func announces(l ledger.Leaf, open ledger.OpenBody) error {
	switch {
	case len(l.Ref) > 1 || (len(l.Ref) == 1) != (open.PrevOpen != nil) ||
		open.PrevOpen != nil && l.Ref[0] != *open.PrevOpen:
		return errors.New("the open leaf refers to other leaves than its body names")
	case (open.Part == 0) != (open.PrevOpen == nil):
		return fmt.Errorf("the open leaf of part %d must name the part before exactly if there is one", open.Part)
	case len(open.GatewayPub) != 32 || format.KeyID(open.GatewayPub) != open.GatewayKey:
		return errors.New("the record key does not have the fingerprint that the leaf names")
	}
	return nil
}

// endsPart checks the body of an end by itself, and against the open leaf at an index.
func endsPart(b ledger.CloseBody, at uint64, open ledger.OpenBody) error {
	switch {
	case b.Open != at:
		return fmt.Errorf("its body is of another beginning, %d", b.Open)
	case b.Session != open.Session || b.Part != open.Part:
		return fmt.Errorf("it is of session %s part %d, its beginning of session %s part %d", b.Session, b.Part,
			open.Session, open.Part)
	case b.Bytes < 0:
		return fmt.Errorf("its container has %d bytes", b.Bytes)
	case b.Final != [32]byte{}:
		return errors.New("final_statement is not zero, and no device of this version makes one")
	}
	return nil
}

// agrees compares a recording of size bytes with its end in the log, a leaf of type typ. It returns what differs, or an
// empty text.
func agrees(typ string, size int64, end *ledger.CloseBody, rep *reader.Report) string {
	switch {
	case rep.Seq != end.Seq:
		return fmt.Sprintf("the last chunk is %d, the end in the log says %d", rep.Seq, end.Seq)
	case rep.Bytes != size:
		return fmt.Sprintf("%d bytes follow the last whole chunk", size-rep.Bytes)
	case rep.Closed && rep.Reason != end.Reason:
		return fmt.Sprintf("the recording was closed with %q, the end in the log says %q", rep.Reason, end.Reason)
	case rep.Closed && rep.Said.Gaps != end.Gaps:
		return fmt.Sprintf("the recording says that it has %d gaps, the end in the log says %d", rep.Said.Gaps, end.Gaps)
	case typ == "close" && !rep.Closed:
		return "the log says that the recording was closed, but it is cut off"
	}
	return ""
}

// slotIs checks that a slot file has the hash in the open leaf.
func slotIs(file string, f io.ReaderAt, size int64, want [32]byte) error {
	if size > maxSlot {
		return &format.Fault{File: file, Rule: RuleSlot,
			Detail: fmt.Sprintf("slot file of %d bytes, at most %d", size, maxSlot)}
	}
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	if err != nil {
		return err
	}
	if sha256.Sum256(raw) != want {
		return &format.Fault{File: file, Length: size, Rule: RuleSlot,
			Detail: fmt.Sprintf("its %d bytes do not have the hash in the open leaf: "+
				"this is not the slot file that it names", size)}
	}
	return nil
}
