package authz

import (
	"fmt"
	"slices"
	"strings"
)

// Sentence is one rule as a sentence of English, for those who answer for a policy without reading TOML.
type Sentence struct {
	Kind string `json:"kind"` // policy, groups, duty, label, hours, role, allow, request, require or deny
	ID   string `json:"id"`   // the rule's id, or the name of the role, label or hours
	Text string `json:"text"`
	Why  string `json:"why,omitempty"`
}

// Words writes the whole policy as one sentence for each rule. First come the policy's name and the duties, then
// labels, hours and roles, and then the rules by kind. The same policy always gives the same sentences. Every key of
// a rule that changes a decision also changes its sentence, because auditors sign the sentences instead of the files.
func Words(p *Policy) []Sentence {
	if p == nil {
		return nil
	}
	out := p.headWords()
	for _, d := range duties {
		out = append(out, Sentence{Kind: "duty", ID: string(d), Text: p.dutyWords(d)})
	}
	out = append(out, Sentence{Kind: "duty", ID: "by_token", Text: p.tokenWords()})
	for i := range p.labels {
		out = append(out, Sentence{Kind: "label", ID: p.labels[i].name, Text: p.labels[i].words()})
	}
	for _, name := range sortedKeys(p.hours) {
		out = append(out, Sentence{Kind: "hours", ID: name, Text: fmt.Sprintf("The hours %s are %s.", name, p.hours[name])})
	}
	for _, name := range p.roleOrder {
		r := p.roles[name]
		out = append(out, Sentence{Kind: "role", ID: name, Text: r.words(), Why: r.why})
	}
	for _, k := range []ruleKind{allow, request, require, deny} {
		for _, r := range p.rules {
			if r.kind == k {
				out = append(out, Sentence{Kind: k.String(), ID: r.id, Text: r.words(), Why: r.why})
			}
		}
	}
	return out
}

func (p *Policy) headWords() []Sentence {
	answers := "nobody is named to answer for it"
	if p.contact != "" {
		answers = p.contact + " answers for it"
	}
	out := []Sentence{{Kind: "policy", ID: p.name, Text: fmt.Sprintf("This is the policy %q; %s; what no rule below allows is refused, and the rules of a machine's owner come on top.", p.name, answers)}}
	if len(p.groups) > 0 {
		out = append(out, Sentence{Kind: "groups", ID: "groups", Text: fmt.Sprintf("It knows the groups %s, and no others.", list(p.groups, "and"))})
	}
	for _, set := range p.never {
		out = append(out, Sentence{Kind: "groups", ID: "never_together", Text: fmt.Sprintf("Whoever is in more than one of %s may do nothing at all.", list(set, "and"))})
	}
	for _, all := range p.people {
		out = append(out, Sentence{Kind: "groups", ID: "same_person", Text: all.words()})
	}
	return out
}

// dutyWhat says what a duty is about in the product.
var dutyWhat = map[Duty]string{
	DutyAdminister: "admit, label and revoke devices, and apply the policy",
	DutyApprove:    "watch and end every session, and approve requests where a rule names their group",
	DutyReview:     "watch every session, and read, check and export every record",
	DutyUnseal:     "open what was typed at hidden prompts",
	DutyOwn:        "watch and replay the sessions at the sites they own, approve requests where a rule names @owner, and withdraw grants there",
}

func (p *Policy) dutyWords(d Duty) string {
	if len(p.duties[d]) == 0 {
		return fmt.Sprintf("Nobody has the duty %s, which is to %s.", d, dutyWhat[d])
	}
	return fmt.Sprintf("%s have the duty %s: they %s.", capital(members(p.duties[d])), d, dutyWhat[d])
}

func (p *Policy) tokenWords() string {
	var may, not []string
	for _, d := range []Duty{DutyApprove, DutyReview, DutyExport} {
		if p.ByToken(d) {
			may = append(may, string(d))
		} else {
			not = append(not, string(d))
		}
	}
	switch {
	case len(may) == 0:
		return "An API token cannot be used to approve, review, export or unseal."
	case len(not) == 0:
		return "An API token can be used to approve, review and export, if its person may and it was made for that, and never to unseal."
	}
	return fmt.Sprintf("An API token can be used to %s, if its person may and it was made for that, and not to %s or unseal.", list(may, "and"), strings.Join(not, ", "))
}

func (l *labelDef) words() string {
	values := "with any value"
	if len(l.oneOf) > 0 {
		values = "with the value " + list(plainValues(l.oneOf), "or")
	}
	if l.needed && len(l.oneOf) > 0 {
		return fmt.Sprintf("Every device must carry the label %s, %s; without it or with another value, nobody reaches the device.", l.name, values)
	}
	if l.needed {
		return fmt.Sprintf("Every device must carry the label %s, %s; without it, nobody reaches the device.", l.name, values)
	}
	if len(l.oneOf) == 0 {
		return fmt.Sprintf("A device may carry the label %s, %s.", l.name, values)
	}
	return fmt.Sprintf("A device may carry the label %s, %s; with another value, nobody reaches the device.", l.name, values)
}

func (r *role) words() string {
	var parts []string
	for _, w := range kindWords {
		if part := gaveWords(r.gives, w.kind); part != "" {
			parts = append(parts, "to "+part)
		}
	}
	text := fmt.Sprintf("The role %s is %s, and nothing else", r.name, or(list(parts, "and"), "to do nothing"))
	if r.ignored != "" {
		text += "; " + r.ignored
	}
	for _, place := range []struct {
		is    Placeholder
		means string
	}{{AnyWord, "{word} stands for one word of letters, digits, _ . -"}, {AnyNumber, "{number} stands for one number"}} {
		if slices.ContainsFunc(r.gives, func(p Pattern) bool { return slices.Contains(p.run, Word{Placeholder: place.is}) }) {
			text += "; " + place.means
		}
	}
	return text + "."
}

// gaveWords lists the actions of one kind that a role gives.
func gaveWords(gives []Pattern, k Kind) string {
	var args, logins []string
	for i := range gives {
		switch p := &gives[i]; {
		case p.kinds&k == 0:
		case p.any && k == DesktopView && p.kinds&DesktopControl != 0: // said with control
		case p.any && k == DesktopControl:
			return "see and control the screen"
		case p.any:
			return anyOfKind(k)
		case k == Run: // each command as each login
			args, logins = also(args, p.run.String()), also(logins, or(p.arg, "any login"))
		case k == FilesRead || k == FilesWrite:
			args = append(args, p.arg+" and below")
		default:
			args = append(args, p.arg)
		}
	}
	if len(args) == 0 {
		return ""
	}
	if k == Run {
		return fmt.Sprintf(someOfKind[k], list(args, "or"), list(logins, "or"))
	}
	return fmt.Sprintf(someOfKind[k], list(args, "or"))
}

var someOfKind = map[Kind]string{Shell: "open a shell as %s", Run: "run exactly %s as %s",
	FilesRead: "read %s", FilesWrite: "write to %s",
	Ports: "reach %s through the device", Web: "open the page %s"}

func anyOfKind(k Kind) string {
	return map[Kind]string{Shell: "open a shell", Run: "run a command", FilesRead: "read files", FilesWrite: "write files", Ports: "reach ports through the device",
		Web: "open web pages", DesktopView: "see the screen", DesktopControl: "control the screen"}[k]
}

// capital makes the first letter of a sentence.
func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

func plainValues(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = plainValue(v)
	}
	return out
}

// plainValue puts a label's value in quotes where it could be read as more than one word of the sentence.
func plainValue(v string) string {
	for _, r := range v {
		if !wordRune(r) {
			return fmt.Sprintf("%q", v)
		}
	}
	return v
}
