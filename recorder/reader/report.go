package reader

import (
	"fmt"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
)

// Line is one thing that a verification has shown, or could not look at.
type Line struct {
	Level string // A, B or C
	Rule  string // of docs/recording-format.md
	Text  string
}

// Report is what a verification has proven.
type Report struct {
	File     string
	Version  uint64 // of the format
	Session  id.Session
	Part     uint32
	DeviceFP [32]byte
	PrevHead [32]byte
	H0       [32]byte
	Head     [32]byte // h_final, or the state where the recording is cut
	Seq      uint32   // of the last chunk
	Bytes    int64    // of the file, without what is torn
	Levels   string   // "A", "AB" or "ABC"
	Started  time.Time
	Length   time.Duration

	Closed   bool
	Reason   string        // of the close
	Signed   bool          // the close signature was checked
	Cut      *format.Cut   // nil when closed
	Said     format.Totals // of the close record; zero if it has none
	Totals   format.Totals // of the scan; from level B on of the frames too
	Hidden   Hidden        // from level B on
	Gaps     []format.Gap  // the first 1,000 of them
	Unjudged uint64        // bytes of input that stayed sealed because no verdict came
	Silences int           // times that no verdict came
	Commands int
	Steps    int // of the wall clock

	Lines []Line
}

func (v *verifier) report() *Report {
	s, t := v.sc, v.tally
	r := &Report{File: s.File, Version: s.Header.V, Session: s.Header.Session, Part: s.Header.Part,
		DeviceFP: s.Header.DeviceFP, PrevHead: s.Header.PrevHead,
		H0: s.H0, Head: s.H, Seq: s.Seq, Bytes: s.Size - s.Torn, Levels: "A", Started: time.Unix(0, s.Header.T0).UTC(),
		Length: time.Duration(max(s.T, t.last)) * time.Microsecond, Cut: v.cut, Totals: t.totals,
		Gaps: t.gaps, Unjudged: t.unjudged, Silences: t.silent, Commands: t.commands, Steps: t.steps}
	r.Totals.Chunks, r.Totals.Segments, r.Totals.Statements = s.Totals.Chunks, s.Totals.Segments, s.Totals.Statements
	if s.Closed != nil {
		r.Closed, r.Reason, r.Signed = true, s.Closed.Reason, v.opt.Key != nil
		r.Said = s.Closed.Totals
	}
	v.levelA(r)
	if v.op != nil {
		r.Levels, r.Hidden = "AB", t.typed.end()
		v.levelB(r)
	}
	if v.opt.SK != nil {
		r.Levels = "ABC"
		r.say("C", format.RuleSealed, "every sealed input opens, and every reveal shows what was typed")
	}
	return r
}

func (r *Report) say(level, rule, text string, args ...any) {
	r.Lines = append(r.Lines, Line{Level: level, Rule: rule, Text: fmt.Sprintf(text, args...)})
}

func (v *verifier) levelA(r *Report) {
	r.say("A", format.RuleChunk, "%d chunks in %d segments, one chain from h[0] %x to %x", r.Totals.Chunks,
		r.Totals.Segments, r.H0[:8], r.Head[:8])
	if v.opt.H0 != nil {
		r.say("A", format.RuleHead, "h[0] is the one that the log's open leaf commits to")
	}
	if n := len(v.opt.Heads); n > 0 {
		r.say("A", format.RuleHead, "%d chain states named by progress leaves hold", n)
	}
	switch {
	case r.Cut != nil:
		r.say("A", format.RuleFile, "cut at offset %d: %s", r.Cut.Offset, r.Cut.Why)
	case r.Signed:
		r.say("A", format.RuleSignature, "closed (%s), signed by the record key", r.Reason)
	default:
		r.say("A", format.RuleSignature, "closed (%s); signature not checked, the record key is not known", r.Reason)
	}
	if v.opt.HFinal != nil {
		r.say("A", format.RuleHead, "the chain ends where the log says")
	}
	if r.Totals.Statements == 0 {
		r.say("A", format.RuleStatement, "no device statement in it")
	} else {
		r.say("A", format.RuleStatement, "%d device statements, well formed", r.Totals.Statements)
	}
}

func (v *verifier) levelB(r *Report) {
	r.say("B", format.RuleFrame, "%d frames, well formed; %d bytes out, %d in, no hole in any stream",
		r.Totals.Frames, r.Totals.Out, r.Totals.In)
	v.channels(r)
	r.say("B", format.RuleReveal, "%d bytes of input revealed, each once", r.Totals.Revealed)
	r.say("B", format.RuleReveal, "%d bytes of input hidden, in %d ranges", r.Hidden.Bytes, r.Hidden.Count)
	if r.Silences > 0 {
		r.say("B", format.RuleReveal, "%d bytes of them unjudged: no verdict came, %d times", r.Unjudged, r.Silences)
	}
	if r.Totals.Gaps > 0 {
		r.say("B", format.RuleTotals, "%d gaps, %d bytes missing", r.Totals.Gaps, r.Totals.GapBytes)
	} else {
		r.say("B", format.RuleTotals, "no gap")
	}
	if r.Steps > 0 {
		r.say("B", format.RuleTime, "the wall clock was stepped %d times", r.Steps)
	}
}

// channels says what the order of the channels has shown. A command that names a channel without a start is counted and
// no fault: it is the word of the device.
func (v *verifier) channels(r *Report) {
	c := v.tally.channels
	if c == nil {
		r.say("B", format.RuleChannel, "version 1 of the format, which does not say when a channel starts: not checked")
		return
	}
	r.say("B", format.RuleChannel, "%d channels, each started before anything of it", len(c.ended))
	if c.strays > 0 {
		r.say("B", format.RuleChannel, "%d commands on channels that were not started, which the device alone says", c.strays)
	}
}
