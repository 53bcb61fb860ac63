package authz

import (
	"fmt"
	"slices"
	"strings"
)

// words writes a rule as one sentence. It writes out what the rule leaves out: everybody, every device, anything, at
// any time.
func (r *rule) words() string {
	switch r.kind {
	case allow:
		return r.allowWords()
	case request:
		return r.requestWords()
	case require:
		return r.requireWords()
	}
	return r.denyWords()
}

func (r *rule) allowWords() string {
	hours := "at any time"
	if r.open != nil {
		hours = r.open.String()
	}
	return fmt.Sprintf("%s may use the role %s on %s without asking, %s%s.", capital(r.openTo()), r.role.name, r.devices.words("every"), hours, r.expiryWords())
}

func (r *rule) requestWords() string {
	a := &r.ask
	may := "may ask for the role %s on %s"
	if a.emergency {
		may = "may take the role %s on %s at once in an emergency"
	}
	text := capital(r.openTo()) + " " + fmt.Sprintf(may, r.role.name, r.devices.words("every")) + ", for up to " + span(a.atMost) + " at a time"
	if len(a.askFor) > 0 {
		given := make([]string, len(a.askFor))
		for i, f := range a.askFor {
			given[i] = "a " + f
		}
		text += ", giving " + list(given, "and")
	}
	return text + "; " + a.agreeWords() + a.tellWords() + r.expiryWords() + "."
}

func (a *ask) agreeWords() string {
	if len(a.agree) == 0 {
		return "nobody has to agree"
	}
	voices := make([]string, len(a.agree))
	for i, ap := range a.agree {
		voices[i] = ap.text()
	}
	return fmt.Sprintf("%s must agree within %s", list(voices, "and"), span(a.answerWithin))
}

func (a *ask) tellWords() string {
	text := ""
	if len(a.tell) > 0 {
		verb := "are"
		if len(a.tell) == 1 {
			verb = "is"
		}
		text = fmt.Sprintf("; %s %s told", list(names(a.tell), "and"), verb)
	}
	if a.reviewWithin > 0 {
		text += "; it is reviewed within " + span(a.reviewWithin)
	}
	return text
}

// expiryWords says what happens when the time is up, where it can be.
func (r *rule) expiryWords() string {
	switch {
	case r.finish:
		return "; when the time is up, the running command may finish within " + span(r.finishAtMost)
	case r.kind == allow && r.open == nil:
		return ""
	}
	return "; when the time is up, work is cut"
}

func (r *rule) requireWords() string {
	n := &r.need
	text := fmt.Sprintf("To %s on %s, %s must %s", r.aboutText(), r.devices.words("any"), r.closesFor(), list(n.words(), "and"))
	if n.mfaWithin > 0 {
		if r.only == peopleOnly {
			text += "; an API token cannot, and is refused"
		} else {
			text += "; a machine or an API token cannot, and is refused"
		}
	}
	return text + "."
}

func (n *need) words() []string {
	var out []string
	add := func(wanted bool, format string, args ...any) {
		if wanted {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	add(n.mfaWithin > 0, "have proven a second factor within the last %s", span(n.mfaWithin))
	add(len(n.from) > 0, "come from %s", n.networks())
	add(n.attended, "have somebody beside the device")
	add(n.atOnce > 0, "keep to at most %s at once on the device", count(n.atOnce, "session"))
	add(n.ticket, "name a ticket")
	if n.hours != nil {
		add(true, "keep to %s", n.hours)
	}
	return out
}

func (r *rule) denyWords() string {
	end := ", whoever agreed"
	if r.onlyEmergency {
		end = " by way of an emergency"
	}
	return fmt.Sprintf("%s %s on %s%s.", capital(r.denied()), r.aboutText(), r.devices.words("any"), end)
}

func (r *rule) denied() string {
	switch {
	case len(r.who) > 0:
		return r.closesFor() + " may never"
	case r.only == peopleOnly:
		return "no person may"
	case r.only == machinesOnly:
		return "no machine may"
	}
	return "nobody, neither person nor machine, may"
}

// openTo says whom an allow or request rule is for. It is for a machine only if it names it.
func (r *rule) openTo() string {
	if r.everyone {
		return "every person"
	}
	return subjects(r.who, members)
}

// closesFor says whom a require or deny rule binds. A rule for a group also binds machines that its members made.
func (r *rule) closesFor() string {
	if r.everyone {
		return map[beings]string{peopleAndMachines: "every person and every machine", peopleOnly: "every person", machinesOnly: "every machine"}[r.only]
	}
	return subjects(r.who, func(groups []string) string {
		switch r.only {
		case peopleOnly:
			return members(groups)
		case machinesOnly:
			return "machines of " + members(groups)
		}
		return members(groups) + " and their machines"
	})
}

// subjects joins groups, said by said, and machines.
func subjects(who []string, said func(groups []string) string) string {
	var parts []string
	if groups := slices.DeleteFunc(slices.Clone(who), isMachine); len(groups) > 0 {
		parts = append(parts, said(groups))
	}
	for _, w := range who {
		if name, ok := strings.CutPrefix(w, machinePrefix); ok {
			parts = append(parts, "the machine "+name)
		}
	}
	return list(parts, "and")
}

func members(groups []string) string { return "members of " + list(groups, "or") }

// words says which devices: "devices whose kind is press and that carry the label safety"; all is every or any.
func (s selector) words(all string) string {
	if len(s) == 0 {
		return all + " device"
	}
	out := make([]string, len(s))
	for i, c := range s {
		if c.values == nil {
			out[i] = "that carry the label " + c.label
			continue
		}
		out[i] = fmt.Sprintf("whose %s is %s", c.label, list(plainValues(c.values), "or"))
	}
	return "devices " + list(out, "and")
}

// aboutText says which actions a require or deny rule is about.
func (r *rule) aboutText() string {
	out := make([]string, 0, len(r.about))
	for i := range r.about {
		out = append(out, r.about[i].words())
	}
	return list(slices.Compact(out), "or")
}

// words says a pattern of a require or deny rule as a verb.
func (p *Pattern) words() string {
	switch {
	case p.kinds == everyKind:
		return "do anything"
	case p.kinds == DesktopView|DesktopControl:
		return "see or control the screen"
	case p.any:
		return anyOfKind(p.kinds)
	case p.everyLogin:
		return fmt.Sprintf(someOfKind[Run], p.run.String(), "any login")
	case p.kinds == Run:
		return fmt.Sprintf(someOfKind[Run], p.run.String(), p.arg)
	case p.kinds == FilesRead || p.kinds == FilesWrite:
		return fmt.Sprintf(someOfKind[p.kinds], p.arg+" or below")
	}
	return fmt.Sprintf(someOfKind[p.kinds], p.arg)
}
