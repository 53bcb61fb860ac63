package records

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/reader"
	"github.com/sallyport/sallyport/web/apitype"
)

// verdict gathers the checks up to the first fault.
type verdict struct{ apitype.Verdict }

func (v *verdict) bad(level, name, text string) {
	v.Checks = append(v.Checks, apitype.Check{Level: level, Name: name, Text: text})
}

// Levels and names of the checks that sallyport-verify does not make: of the database's row, and of the open leaf that
// the row names.
const (
	levelRow  = "row"
	ruleRow   = "row"
	levelLog  = "log"
	ruleBegun = "open leaf"
)

// openingTime is how long a recording may exist before the log announces it. An opening ends within 30 s, and its end
// is written within 20 s more. After that a missing announcement is a fault. It is also a fault if the recording
// begins in the future. Otherwise a changed time in the row would hide the fault for good.
const openingTime = 2 * time.Minute

// Verify checks whether the record of session s is complete and unaltered, and whether the database agrees with it.
// ps are all its parts, in order. Verify checks the evidence as sallyport-verify checks the bundle that would be
// exported now, with the log's key and the gateway's reading key. It stops at the first fault. Differences from the
// database come first in the list, because pages show the database.
//
// A check that failed is in the verdict. The error says that a check could not be made. This is the gateway's own
// answer: an outsider runs sallyport-verify on the bundle.
func (r *Records) Verify(ctx context.Context, s store.Session, ps []store.Part) (apitype.Verdict, error) {
	v := &verdict{}
	v.Levels = "A and B; C needs an unsealing key, which the gateway does not have"
	if done := v.announced(ps); done {
		return v.Verdict, nil
	}
	differs, err := r.Differences(ctx, s, ps)
	if err != nil {
		return apitype.Verdict{}, err
	}
	for _, d := range differs {
		v.bad(levelRow, ruleRow, d)
	}
	rep, err := r.Evidence.Inspect(ctx, s, ps)
	v.refused(&s, rep)
	if err := v.took(rep, err); err != nil {
		return apitype.Verdict{}, err
	}
	v.sum(rep)
	return v.Verdict, nil
}

// refused adds a difference if the row says that nothing ran and a recording has bytes of a program. Pages show no
// replay of a refused session, so this edit would hide one. rep may be nil.
func (v *verdict) refused(s *store.Session, rep *bundle.Report) {
	if rep == nil || s.State != store.Refused {
		return
	}
	bytes := uint64(0)
	for _, p := range rep.Parts {
		bytes += p.Totals.In + p.Totals.Out
	}
	if bytes > 0 {
		v.bad(levelRow, ruleRow, fmt.Sprintf("state: the database says %q, and the recording has %d bytes of input and output",
			s.State, bytes))
	}
}

// announced checks that the log has announced every part. It returns true if one is not announced, because the verdict
// is then complete.
func (v *verdict) announced(ps []store.Part) (done bool) {
	for _, p := range ps {
		if p.OpenLeaf != nil {
			continue
		}
		if p.State == store.RecordRunning && time.Since(p.Started).Abs() < openingTime {
			// A recording is durable before it is announced, and the announcement is written into its row last.
			text := "the session is being opened, and the log has not announced its recording"
			v.Checks = append(v.Checks, apitype.Check{Level: levelLog, Name: ruleBegun, NotYet: true, Text: text})
			v.NotYet, v.Summary = true, "Not yet: "+text+"."
			return true
		}
		v.bad(levelLog, ruleBegun, fmt.Sprintf("the database has no entry of the log that announces part %d", p.Part))
		v.Summary = "No: " + v.Checks[len(v.Checks)-1].Text + "."
		return true
	}
	return false
}

// took adds the checks that the verifier has made, and the fault at which it stopped. It returns any other error.
func (v *verdict) took(rep *bundle.Report, err error) error {
	for _, l := range proven(rep) {
		v.Checks = append(v.Checks, apitype.Check{Level: l.Level, Name: l.Rule, OK: true, Text: l.Text})
	}
	f, ok := errors.AsType[*format.Fault](err)
	if !ok {
		return err
	}
	c := apitype.Check{Level: "A", Name: f.Rule, Text: f.Detail}
	if file, isFile := strings.CutPrefix(f.File, bundle.Evidence+": "); isFile {
		c.File, c.Offset = file, &f.Offset
	}
	v.Checks = append(v.Checks, c)
	return nil
}

// proven returns the lines of a report. It leaves out those about the form of a bundle and about a witness, because
// these concern only an outsider. In a session of one part it also leaves out the name of the file.
func proven(rep *bundle.Report) (out []reader.Line) {
	if rep == nil {
		return nil
	}
	for _, l := range rep.Lines {
		if l.Rule == bundle.RuleBundle || l.Rule == bundle.RuleWitness {
			continue
		}
		if len(rep.Parts) == 1 {
			l.Text = strings.TrimPrefix(l.Text, format.FileName(rep.Session, 0)+": ")
		}
		out = append(out, l)
	}
	return out
}

// sum sets the summary. The reason that it names is the first check that failed.
func (v *verdict) sum(rep *bundle.Report) {
	for _, c := range v.Checks {
		if !c.OK {
			v.Summary = "No: " + c.Text + "."
			return
		}
	}
	v.OK, v.Summary = true, yes(rep)
}

func yes(rep *bundle.Report) string {
	gaps, cut := uint64(0), false
	for _, p := range rep.Parts {
		gaps += p.Totals.Gaps
		cut = cut || p.Cut != nil
	}
	switch {
	case rep.Unended > 0:
		return "Yes, as far as it goes: the session is still being recorded."
	case cut:
		return "Yes, up to where it was cut off."
	case gaps == 1:
		return "Yes, with 1 gap."
	case gaps > 1:
		return fmt.Sprintf("Yes, with %d gaps.", gaps)
	}
	return "Yes."
}
