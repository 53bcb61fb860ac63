package bundle

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/recorder"
)

// ErrAsked is wrapped by errors that come of how something was asked, not of what was checked.
var ErrAsked = errors.New("asked wrongly")

// IsRecording reports whether a file is a single container.
func IsRecording(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 8)
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == "SLYREC1\n"
}

// VerifyRecording checks a single container, with the slot files that lie beside it where identities are given, and the
// copy of the log if there is one. What the log says of this recording is not among the bytes of it, so the report says
// that its ends were not compared.
func VerifyRecording(ctx context.Context, path string, opt Options) (*Report, error) {
	v := &verifier{opt: opt, r: &Report{}}
	f, err := os.Open(path)
	if err != nil {
		return v.r, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return v.r, err
	}
	o := recorder.VerifyOptions{File: path}
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	if len(opt.Identities) > 0 {
		if o.RK, err = v.beside(stem + ".rk.age"); err != nil {
			return v.r, err
		}
		if o.SK, err = v.beside(stem + ".sk.age"); err != nil {
			o.SK = nil
			v.r.say("C", RuleSlot, "sealed input not opened: none of the identities is an unsealing officer's")
		}
	}
	rep, err := recorder.Verify(ctx, f, info.Size(), o)
	if err != nil {
		return v.r, err
	}
	v.r.Session, v.r.Parts = rep.Session, []*recorder.Report{rep}
	v.r.Lines = append(v.r.Lines, rep.Lines...)
	v.r.say("A", RuleLog, "a recording alone: whether the log announced it, and where it should end, is not known; a bundle says both")
	if err := v.others(ctx); err != nil {
		return v.r, err
	}
	v.r.LogChecked = opt.LogDir != ""
	return v.r, nil
}

func (v *verifier) beside(path string) (*[32]byte, error) {
	raw, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	key, err := recorder.Unlock(raw, v.opt.Identities...)
	if err != nil {
		return nil, &recorder.Fault{File: path, Rule: RuleSlot, Detail: "none of the identities opens it: " + err.Error()}
	}
	return &key, nil
}
