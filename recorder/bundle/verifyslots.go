package bundle

import (
	"errors"
	"io"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// slots compares the slot files of the bundle with the open leaf. A missing slot file or container must have been
// shredded, and the log must say so.
func (v *verifier) slots(n uint32, name string, p *part, open ledger.OpenBody) (gone bool, err error) {
	rk, sk := format.SlotNames(v.s.m.Session, n)
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
	if size == 0 {
		return &format.Fault{File: v.file(name), Rule: RuleSlot, Detail: "the slot file is missing, and no leaf says that it was shredded after its time"}
	}
	return slotIs(v.file(name), v.s.pieces[name], size, want)
}

// unlock opens the slots with the given identities.
func (v *verifier) unlock(n uint32, name string, p *part, opt *reader.VerifyOptions) error {
	if len(v.opt.Identities) == 0 {
		v.r.say("B", RuleSlot, "%s: not read: no --identity was given", name)
		return nil
	}
	if p.SlotRK == 0 {
		v.r.say("B", RuleSlot, "%s: not read: its keys were shredded", name)
		return nil
	}
	rkName, skName := format.SlotNames(v.s.m.Session, n)
	rk, err := v.key(v.file(rkName), v.s.pieces[rkName])
	if err != nil {
		return err
	}
	var sk *[32]byte
	if p.SlotSK > 0 {
		if sk, err = v.key(v.file(skName), v.s.pieces[skName]); err != nil {
			return err
		}
	}
	switch {
	case rk == nil:
		v.r.say("B", RuleSlot, "%s: not read: none of the identities given opens it", name)
		return nil
	case p.SlotSK == 0:
		v.r.say("C", RuleSlot, "%s: sealed input not opened: its key was shredded", name)
	case sk == nil:
		v.r.say("C", RuleSlot, "%s: sealed input not opened: none of the identities is an unsealing officer's", name)
	}
	opt.RK, opt.SK = rk, sk
	return nil
}

// key opens a slot file. It gives nil if none of the identities opens it: it may be sealed to others, which is no fault
// of the file. Every other error is one, because the file is the one that the open leaf names.
func (v *verifier) key(file string, slot io.Reader) (*[32]byte, error) {
	key, err := format.Unlock(slot, v.opt.Identities...)
	var no *age.NoIdentityMatchError
	switch {
	case errors.As(err, &no):
		return nil, nil
	case err != nil:
		return nil, &format.Fault{File: file, Rule: RuleSlot, Detail: err.Error()}
	}
	return &key, nil
}
