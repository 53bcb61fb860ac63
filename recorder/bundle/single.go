package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// ErrAsked is in the chain of errors that are about the arguments, and not about the evidence.
var ErrAsked = errors.New("asked wrongly")

// IsRecording reports whether a file is a single container.
func IsRecording(path string) bool {
	f, _, err := openRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 8)
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == "SLYREC1\n"
}

// VerifyRecording checks a single container. With identities it also uses the slot files beside it, and with opt.LogDir
// the copy of the log. A container does not have its leaves, so the report says that its ends were not compared.
func VerifyRecording(ctx context.Context, path string, opt Options) (*Report, error) {
	v := &verifier{opt: opt, r: &Report{}}
	if opt.Root != "" {
		return v.r, fmt.Errorf("%w: a recording alone carries no trust bundle, so there is no root to compare", ErrAsked)
	}
	f, size, err := openRegular(path)
	if err != nil {
		return v.r, err
	}
	defer f.Close()
	o := reader.VerifyOptions{File: path}
	if err := v.unlockBeside(path, &o); err != nil {
		return v.r, err
	}
	rep, err := reader.Verify(ctx, f, size, o)
	if err != nil {
		return v.r, err
	}
	v.r.Session, v.r.Parts = rep.Session, []*reader.Report{rep}
	v.r.Lines = append(v.r.Lines, rep.Lines...)
	if err := v.others(ctx); err != nil {
		return v.r, err
	}
	if v.log == nil || !v.log.c.Bodies {
		v.r.LogChecked = false // the log says nothing about this recording
		v.r.say("A", RuleLog, "a recording alone: whether the log announced it, and where it should end, is not known; a bundle says both")
		return v.r, nil
	}
	info, err := f.Stat() // the log was read after the recording, and may be ahead of it
	if err != nil {
		return v.r, err
	}
	return v.r, v.announced(ctx, f, info.Size(), rep)
}

// announced finds a recording in the copy of the log by its first hash, and checks it against its beginning and end
// there. A valid copy proves nothing about a recording that is not in it.
func (v *verifier) announced(ctx context.Context, f io.ReaderAt, size int64, rep *reader.Report) error {
	for _, at := range v.log.opens {
		if v.log.opened[at].H0 != rep.H0 {
			continue
		}
		if err := v.log.compare(ctx, rep.File, f, size, at); err != nil {
			return err
		}
		if err := v.slotsBeside(rep.File, v.log.opened[at]); err != nil {
			return err
		}
		end, ended := v.log.ends[at]
		if !ended {
			v.r.say("A", RuleLog, "announced as entry %d of the log, and still open at its newest entry", at)
			return nil
		}
		v.r.say("A", RuleLog, "announced as entry %d of the log, and ends as entry %d says", at, end)
		return nil
	}
	return &format.Fault{File: rep.File, Rule: RuleLog, Detail: "no entry of the log announced it; a copy made before the session has none either"}
}

// slotsBeside compares the slot files beside a single recording with its open leaf. They may be absent.
func (v *verifier) slotsBeside(path string, open ledger.OpenBody) error {
	rk, sk := slotPaths(path)
	for _, s := range []struct {
		path string
		want [32]byte
	}{{rk, open.SlotRK}, {sk, open.SlotSK}} {
		f, size, err := openRegular(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			v.r.say("A", RuleSlot, "%s is not beside the recording: not compared with the open leaf", filepath.Base(s.path))
			continue
		}
		if err != nil {
			return err
		}
		err = slotIs(s.path, f, size, s.want)
		f.Close()
		if err != nil {
			return err
		}
		v.r.say("A", RuleSlot, "%s is the slot file that the open leaf names", filepath.Base(s.path))
	}
	return nil
}

// unlockBeside opens the slot files beside a single recording with the given identities.
func (v *verifier) unlockBeside(path string, o *reader.VerifyOptions) (err error) {
	if len(v.opt.Identities) == 0 {
		return nil
	}
	rk, sk := slotPaths(path)
	if o.RK, err = v.beside(rk); err != nil {
		return err
	}
	if o.SK, err = v.beside(sk); err != nil {
		return err
	}
	switch {
	case o.RK == nil:
		o.SK = nil
		v.r.say("B", RuleSlot, "not read: none of the identities given opens a slot file beside it")
	case o.SK == nil:
		v.r.say("C", RuleSlot, "sealed input not opened: none of the identities is an unsealing officer's")
	}
	return nil
}

func slotPaths(path string) (rk, sk string) {
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	return stem + ".rk.age", stem + ".sk.age"
}

// beside decrypts a slot file. It returns nil if there is none, or if none of the identities opens it.
func (v *verifier) beside(path string) (*[32]byte, error) {
	f, _, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return v.key(path, f)
}
