package authz

import (
	"fmt"
	"slices"
	"time"
)

// OwnerAnswer is what an owner's rules say to one action.
type OwnerAnswer string

// The answers, mildest first.
const (
	OwnerAllows OwnerAnswer = "allow"
	OwnerAsks   OwnerAnswer = "ask" // a person at the device is asked; without an answer it is denied
	OwnerDenies OwnerAnswer = "deny"
)

// stricter gives the answer that opens less.
func (a OwnerAnswer) stricter(b OwnerAnswer) OwnerAnswer {
	for _, s := range []OwnerAnswer{OwnerDenies, OwnerAsks} {
		if a == s || b == s {
			return s
		}
	}
	return OwnerAllows
}

// Presets are the words an owner chooses from when the machine is enrolled.
var Presets = []string{"locked", "ask", "office-hours", "open"}

// Owner is the rules of a device's owner about remote work. The device decides by them after the gateway and the signer
// have decided, and they can only take rights away.
type Owner struct {
	Name   string // of the owner, for people
	Preset string // empty: a missing line means deny
	Switch string // file that must be on; empty: there is no switch
	Ask    OwnerAsk
	Stop   OwnerStop
	Copy   OwnerCopy
	Whole  bool // programs may reach processes outside their session, by signal and debugger

	answers map[Kind]OwnerAnswer // lines of the file
	logins  []string
	named   bool // the file has a logins line
	hours   *window
	outside OwnerAnswer
	sum     [32]byte
}

// OwnerAsk says who may answer, and how long that is waited for.
type OwnerAsk struct {
	Keys, Who []string
	Wait      time.Duration
	Remember  time.Duration
}

// OwnerStop says what happens to work that runs when time is up.
type OwnerStop struct {
	Finish bool // let the running command finish
	AtMost time.Duration
}

// OwnerCopy is the owner's own copy of every record.
type OwnerCopy struct {
	Keep        bool
	Dir, Reader string
	AtMost      int64
}

// Hash names the rules: it covers every byte of the file.
func (o *Owner) Hash() [32]byte { return o.sum }

// OwnerDecision is an owner's answer and where in the rules it comes from.
type OwnerDecision struct {
	Answer OwnerAnswer
	Clause string // owner.shell, owner.logins, owner.hours, owner.switch …
	Text   string // for people
	Until  time.Time
}

// Decide answers one action as one login. switchOn is the state of the switch, where there is one. Of several
// clauses that take something away the strictest answers, and of equals the first.
func (o *Owner) Decide(a Action, login string, now time.Time, switchOn bool) OwnerDecision {
	d := o.line(a.Kind)
	if o.Switch != "" && !switchOn {
		d = d.or(OwnerDenies, "owner.switch", "the owner's switch for remote work on this machine is off")
	}
	if o.named && !slices.Contains(o.logins, login) || !o.named && o.Preset == "" {
		d = d.or(OwnerDenies, "owner.logins", fmt.Sprintf("the owner's rules of this machine do not name the login %q", clip(login)))
	}
	if o.hours != nil {
		until, inside := o.hours.contains(now)
		if inside {
			d.Until = until
		} else {
			d = d.or(o.outside, "owner.hours", fmt.Sprintf("it is outside the owner's hours, %s", o.hours))
		}
	}
	if d.Answer != OwnerAllows {
		d.Until = time.Time{}
	}
	return d
}

// line gives the answer of the file's lines and the preset to one kind, before login and hours are looked at.
func (o *Owner) line(k Kind) OwnerDecision {
	d := OwnerDecision{Answer: OwnerDenies, Clause: "owner." + k.Word()}
	answer, own := o.answers[k]
	if own {
		d.Answer = answer
	} else {
		d.Answer = presetAnswer(o.Preset)
	}
	what := map[OwnerAnswer]string{OwnerAllows: "allow", OwnerAsks: "want a person at the machine to be asked for", OwnerDenies: "deny"}[d.Answer]
	d.Text = fmt.Sprintf("the owner's rules of this machine %s %s", what, k.Word())
	switch {
	case own:
	case o.Preset == "":
		d.Text += " (no line about it, and no preset)"
	default:
		d.Text += fmt.Sprintf(" (preset %s)", o.Preset)
	}
	return d
}

func (d OwnerDecision) or(answer OwnerAnswer, clause, text string) OwnerDecision {
	if d.Answer.stricter(answer) != d.Answer {
		return OwnerDecision{Answer: answer, Clause: clause, Text: text}
	}
	return d
}

func presetAnswer(preset string) OwnerAnswer {
	switch preset {
	case "open", "office-hours": // the hours are a clause of their own
		return OwnerAllows
	case "ask":
		return OwnerAsks
	}
	return OwnerDenies
}

// Stricter gives the decision that permits less. A change of the rules can so only narrow a running session.
func (d OwnerDecision) Stricter(e OwnerDecision) OwnerDecision {
	return d.or(e.Answer, e.Clause, e.Text)
}
