package authz

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/internal/id"
)

// Terms are the exact right that a request asks for. Whoever approves agrees to these terms and no others.
type Terms struct {
	Who     id.Principal // who may use the right
	Device  id.Device
	Rule    string // the request rule
	Actions []Pattern
	For     time.Duration // from the last approval on
	Reason  string
	Ticket  string
}

// OwnerOfSite is the word for the owners of the device's site in a rule.
const OwnerOfSite = "@owner"

// Limits of terms.
const (
	MinAskFor = time.Minute
	MaxReason = 500 // characters
	MaxTicket = 64  // characters
	MaxAsked  = 64  // actions
)

// Check reports what is wrong with terms under the policy: a sentence for people; empty if they can be approved. d is the
// device of the terms. It does not look at who asks: a grant whose holder the rule does not name gives nothing.
func (t *Terms) Check(p *Policy, d Device) string {
	if p == nil {
		return "no policy is in force"
	}
	r := p.byID[t.Rule]
	switch {
	case r == nil || r.kind != request:
		return fmt.Sprintf("the policy has no rule %q that lets people ask", clip(t.Rule))
	case !p.reachable(&d) || !r.devices.matches(&d):
		return fmt.Sprintf("rule %s is not for %s", r.id, d.Name)
	case t.For < MinAskFor:
		return "a right is asked for at least one minute"
	case t.For > r.ask.atMost:
		return fmt.Sprintf("rule %s gives at most %s", r.id, span(r.ask.atMost))
	case len(t.Actions) == 0 || len(t.Actions) > MaxAsked:
		return fmt.Sprintf("a request is for 1 to %d actions", MaxAsked)
	}
	if text := t.given(r); text != "" {
		return text
	}
	return t.told(r)
}

// given reports an action that the rule's role does not give.
func (t *Terms) given(r *rule) string {
	seen := map[string]bool{}
	for i := range t.Actions {
		a := t.Actions[i]
		if word := a.String(); seen[word] || !showable(word) {
			return "each action is named once, without control characters and characters that nobody sees"
		}
		seen[a.String()] = true
		covered := func(p Pattern) bool { p = p.gives(); return p.coversAll(&a) }
		if !slices.ContainsFunc(r.role.gives, covered) {
			return fmt.Sprintf("rule %s does not give %s", r.id, a)
		}
	}
	return ""
}

// showable reports whether people read a text as it is: without control characters, and without those that are invisible
// or change the direction of writing.
func showable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) })
}

// told reports what the rule wants to be told and is missing, and texts that are too long.
func (t *Terms) told(r *rule) string {
	for _, want := range r.ask.askFor {
		if want == "reason" && strings.TrimSpace(t.Reason) == "" || want == "ticket" && strings.TrimSpace(t.Ticket) == "" {
			return fmt.Sprintf("rule %s wants a %s", r.id, want)
		}
	}
	if len([]rune(t.Reason)) > MaxReason || len([]rune(t.Ticket)) > MaxTicket {
		return fmt.Sprintf("a reason has at most %d characters and a ticket %d", MaxReason, MaxTicket)
	}
	return ""
}

// Within reports whether o asks for the same right as t or less: fewer actions or less time. An approver may agree to
// less, and to nothing else.
func (t *Terms) Within(o *Terms) bool {
	for i := range t.Actions {
		if !slices.ContainsFunc(o.Actions, func(p Pattern) bool { return p.coversAll(&t.Actions[i]) }) {
			return false
		}
	}
	return t.Who == o.Who && t.Device == o.Device && t.Rule == o.Rule && t.For <= o.For && t.Reason == o.Reason && t.Ticket == o.Ticket
}

// Needs lists who must approve requests under a rule, and how long the approvals may take. ok is false if the policy has no
// request rule of this id.
func (p *Policy) Needs(ruleID string) (agree []Agree, within time.Duration, emergency, ok bool) {
	if p == nil || p.byID[ruleID] == nil || p.byID[ruleID].kind != request {
		return nil, 0, false, false
	}
	r := p.byID[ruleID]
	return r.way().Agree, r.ask.answerWithin, r.emergency(), true
}

// RequestRules lists the ids of the request rules, in the order of the policy's files.
func (p *Policy) RequestRules() []string {
	var out []string
	if p == nil {
		return out
	}
	for _, r := range p.rules {
		if r.kind == request {
			out = append(out, r.id)
		}
	}
	return out
}

// Emergency says how long after its beginning a grant under an emergency rule must be reviewed. ok is false if the policy
// has no emergency rule of this id.
func (p *Policy) Emergency(ruleID string) (review time.Duration, ok bool) {
	if _, _, emergency, _ := p.Needs(ruleID); !emergency {
		return 0, false
	}
	return p.byID[ruleID].ask.reviewWithin, true
}

// Tell lists who is told of each grant under a request rule: groups or @owner.
func (p *Policy) Tell(ruleID string) []string {
	if _, _, _, ok := p.Needs(ruleID); !ok {
		return nil
	}
	return p.byID[ruleID].ask.tell
}

// MayAsk reports whether a request rule is for this person.
func (p *Policy) MayAsk(ruleID string, who Person) bool {
	_, _, _, ok := p.Needs(ruleID)
	return ok && !p.conflict(who.Groups) && p.byID[ruleID].names(&who)
}

// Voices lists the entries of a rule's agree that a person can speak for: groups of theirs if they have the duty approve,
// and @owner for an owner of the device's site who has the duty own. It is empty for people who cannot approve.
func (p *Policy) Voices(ruleID string, who Person, owner bool) []string {
	agree, _, _, ok := p.Needs(ruleID)
	if !ok || who.Machine != "" || p.conflict(who.Groups) {
		return nil
	}
	duties := p.Duties(who.Groups)
	approves, owns := slices.Contains(duties, DutyApprove), owner && slices.Contains(duties, DutyOwn)
	var out []string
	for _, a := range agree {
		if a.From == OwnerOfSite && owns || a.From != OwnerOfSite && approves && slices.Contains(who.Groups, a.From) {
			out = append(out, a.From)
		}
	}
	return out
}

// Missing gives how many more must agree, for each entry. voices has for each person who agreed the entries that they
// can speak for. Each person counts once, so two entries are never met by the same person; who counts for what is
// chosen so that least is missing.
func Missing(agree []Agree, voices [][]string) []Agree {
	var seats []string
	for _, a := range agree {
		for range a.Count {
			seats = append(seats, a.From)
		}
	}
	taken := make([]int, len(seats)) // by which voice, counted from 1
	var seat func(v int, tried []bool) bool
	seat = func(v int, tried []bool) bool { // Kuhn's matching: who sits may move
		for i, from := range seats {
			if tried[i] || !slices.Contains(voices[v], from) {
				continue
			}
			tried[i] = true
			if taken[i] == 0 || seat(taken[i]-1, tried) {
				taken[i] = v + 1
				return true
			}
		}
		return false
	}
	for v := range voices {
		seat(v, make([]bool, len(seats)))
	}
	var out []Agree
	for _, a := range agree {
		left := 0
		for i, from := range seats {
			if from == a.From && taken[i] == 0 {
				left++
			}
		}
		if left > 0 {
			out = append(out, Agree{From: a.From, Count: left})
		}
	}
	return out
}
