package authz

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
)

// MatrixRow says how one group or machine gets one role on one class of devices. A class is a selector of rules. Cells
// name rules. "where …" limits a rule to a part of the class.
type MatrixRow struct {
	Who       string `json:"who"`       // a group, everyone, or machine:NAME
	Role      string `json:"role"`      // or "duty" and the name of one
	Devices   string `json:"devices"`   // kind=press, maker=nord; all; empty where no rule gives the role
	Allow     string `json:"allow"`     // without asking, and when
	Ask       string `json:"ask"`       // after asking, and at what cost
	Emergency string `json:"emergency"` // at once, and at what cost
	Must      string `json:"must"`      // require rules that hold as well
	Never     string `json:"never"`     // deny rules that take something away
	Gives     string `json:"gives"`     // action words with their logins, or a duty's tasks; empty where no rule gives the role
}

// MatrixHead names the columns of a matrix.
var MatrixHead = []string{"who", "role", "devices", "without asking", "by asking", "in an emergency", "must also", "never", "gives"}

// Cells gives a row in the order of MatrixHead. No cell is empty: a word says that there is nothing.
func (r MatrixRow) Cells() []string {
	return []string{r.Who, r.Role, or(r.Devices, "none"), or(r.Allow, "no"), or(r.Ask, "no"), or(r.Emergency, "no"), or(r.Must, "nothing"), or(r.Never, "nothing"),
		or(r.Gives, "nothing")}
}

// Matrix gives a row for every group with every role, also if no rule gives the role, because that is an answer too.
// Machines, and everyone if a rule names everyone, come after the groups. The last rows are the groups with a duty.
func Matrix(p *Policy) []MatrixRow {
	if p == nil {
		return nil
	}
	var out []MatrixRow
	for _, who := range p.matrixSubjects() {
		for _, name := range p.roleOrder {
			out = append(out, p.matrixRows(who, p.roles[name])...)
		}
	}
	return append(out, p.dutyRows()...)
}

// dutyRows returns one row for each duty: which groups have it, and where. Duties are listed apart from roles, because
// a duty gives no access to a device.
func (p *Policy) dutyRows() (out []MatrixRow) {
	for _, d := range duties {
		where := "all"
		if d == DutyOwn {
			where = ownSites
		}
		for _, g := range p.duties[d] {
			out = append(out, MatrixRow{Who: g, Role: dutyRole + string(d), Devices: where, Allow: "always", Gives: dutyWhat[d]})
		}
	}
	return out
}

// Words in rows of duties.
const (
	dutyRole = "duty "
	ownSites = "the sites they own"
)

func (p *Policy) matrixSubjects() []string {
	out := slices.Clone(p.groups)
	var machines []string
	all := false
	for _, r := range p.rules {
		if r.opens() {
			machines = append(machines, slices.DeleteFunc(slices.Clone(r.who), isPerson)...)
			all = all || r.everyone
		}
	}
	if all {
		out = append(out, everyone)
	}
	slices.Sort(machines)
	return append(out, slices.Compact(machines)...)
}

func (p *Policy) matrixRows(who string, r *role) []MatrixRow {
	var rules []*rule
	var classes []selector
	for _, x := range p.rules {
		if !x.opens() || x.role != r || !x.lets(who) {
			continue
		}
		rules = append(rules, x)
		if !slices.ContainsFunc(classes, func(s selector) bool { return s.String() == x.devices.String() }) {
			classes = append(classes, x.devices)
		}
	}
	if len(classes) == 0 {
		return []MatrixRow{{Who: who, Role: r.name}}
	}
	slices.SortFunc(classes, func(a, b selector) int { return strings.Compare(a.String(), b.String()) })
	out := make([]MatrixRow, len(classes))
	for i, class := range classes {
		out[i] = p.matrixRow(who, r, class, rules)
	}
	return out
}

// lets reports whether a rule that opens is for this subject: everyone is every person, and never a machine.
func (r *rule) lets(who string) bool {
	return slices.Contains(r.who, who) || r.everyone && !isMachine(who)
}

// binds reports whether a rule that closes is for this subject. Of a group it is asked as of people.
func (r *rule) binds(who string) bool {
	if isMachine(who) && r.only == peopleOnly || !isMachine(who) && r.only == machinesOnly {
		return false
	}
	return r.everyone || slices.Contains(r.who, who)
}

func (p *Policy) matrixRow(who string, r *role, class selector, opening []*rule) MatrixRow {
	row := MatrixRow{Who: who, Role: r.name, Devices: class.String(), Gives: r.actionWords()}
	add := func(cell *string, x *rule, text string) {
		if *cell != "" {
			*cell += "; "
		}
		*cell += x.id + text
		if !class.within(x.devices) {
			*cell += " where " + x.devices.String()
		}
	}
	emergency := false
	for _, x := range opening {
		if !class.overlaps(x.devices) {
			continue
		}
		switch {
		case x.kind == allow:
			add(&row.Allow, x, " "+hoursWords(x.open))
		case x.emergency():
			emergency = true
			add(&row.Emergency, x, " "+x.ask.terms())
		default:
			add(&row.Ask, x, " "+x.ask.terms())
		}
	}
	for _, x := range p.rules {
		if x.opens() || !x.binds(who) || !class.overlaps(x.devices) || x.onlyEmergency && !emergency || !x.touches(r) {
			continue
		}
		if x.kind == require {
			add(&row.Must, x, x.aboutCell(r))
		} else {
			add(&row.Never, x, x.aboutCell(r))
		}
	}
	return row
}

// actionWords lists what the role gives as action words, which name the login with the command.
func (r *role) actionWords() string {
	out := make([]string, len(r.gives))
	for i := range r.gives {
		out[i] = r.gives[i].String()
	}
	return strings.Join(out, "; ")
}

func hoursWords(w *window) string {
	if w == nil {
		return "always"
	}
	return w.String()
}

// touches reports whether a rule that closes is about any action of a role.
func (r *rule) touches(x *role) bool { return slices.ContainsFunc(r.about, x.meets) }

// meets reports whether the role gives any of the pattern's actions.
func (r *role) meets(p Pattern) bool {
	return slices.ContainsFunc(r.gives, func(q Pattern) bool { _, ok := p.meet(q); return ok })
}

// aboutCell says which actions of the role, where the rule is not about all, and whether only in an emergency.
func (r *rule) aboutCell(x *role) string {
	text := ""
	if len(r.aboutWords) > 0 && !slices.Contains(r.aboutWords, "*") {
		var words []string
		for i, w := range r.aboutWords {
			if x.meets(r.about[i]) {
				words = append(words, w)
			}
		}
		text = " (" + strings.Join(words, ", ") + ")"
	}
	if r.onlyEmergency {
		text += " in an emergency"
	}
	return text
}

// overlaps reports whether some device may be chosen by both: no label of theirs says otherwise.
func (s selector) overlaps(t selector) bool {
	for _, c := range s {
		for _, d := range t {
			if c.label == d.label && c.values != nil && d.values != nil && !slices.ContainsFunc(c.values, func(v string) bool { return slices.Contains(d.values, v) }) {
				return false
			}
		}
	}
	return true
}

// MatrixCSV writes rows with their head as RFC 4180 wants them.
func MatrixCSV(rows []MatrixRow) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	w.Write(MatrixHead) // writes into memory do not fail
	for _, r := range rows {
		cells := r.Cells()
		for i := range cells {
			cells[i] = neutral(cells[i])
		}
		w.Write(cells)
	}
	w.Flush()
	return b.Bytes()
}

// neutral makes every spreadsheet read a cell as text. A spreadsheet would compute a cell that begins like a formula,
// and a label's value or a group's name could bring one (CWE-1236). So such a cell gets an apostrophe in front.
func neutral(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
