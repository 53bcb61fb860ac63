package format

import (
	"errors"
	"fmt"
)

// Fault says why a container is not valid: which file, where, and which rule of docs/recording-format.md.
type Fault struct {
	File   string
	Offset int64
	Length int64 // the wrong bytes are among so many from Offset on; 0: they begin at Offset, and their end is not known
	Rule   string
	Detail string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s, %s: %s: %s", f.File, f.Place(), f.Rule, f.Detail)
}

// Place gives the place in the file as text for people.
func (f *Fault) Place() string {
	if f.Length > 0 {
		return fmt.Sprintf("offset %d (%d bytes)", f.Offset, f.Length)
	}
	return fmt.Sprintf("offset %d", f.Offset)
}

// Rules, as the specification names them.
const (
	RuleFile      = "file"       // sizes, magic, limits
	RuleHeader    = "header"     // strict header, expected values
	RuleChunk     = "chunk"      // chunk header and limits
	RuleSeq       = "sequence"   // +1 over all types
	RuleTime      = "time"       // never falls
	RuleOrder     = "order"      // which chunk types may follow which
	RuleStatement = "statement"  // shape of a statement chunk
	RuleClose     = "close"      // close record equals a scan
	RuleSignature = "signature"  // of the close record
	RuleTrailer   = "trailer"    // exact, then EOF
	RuleHead      = "head"       // chain state other than the log's
	RuleKey       = "key"        // RK or SK against its commitment
	RuleTag       = "tag"        // AEAD of a chunk
	RulePadding   = "padding"    // plaintext length and zeros
	RuleZstd      = "compressed" // blocks, window, limits
	RuleFrame     = "frame"      // well formed, known, in time
	RuleChannel   = "channel"    // version 2: started before anything of it, no input after its end
	RuleOffset    = "offset"     // stream offsets without a hole
	RuleReveal    = "reveal"     // a range of one earlier sealed input, once
	RuleTotals    = "totals"     // close record against the frames
	RuleSealed    = "sealed"     // sealed input opens, reveal equals it
)

// RuleOf gives the rule of a Fault in the chain of err; empty if there is none.
func RuleOf(err error) string {
	var f *Fault
	if errors.As(err, &f) {
		return f.Rule
	}
	return ""
}
