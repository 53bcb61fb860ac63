// Package cedar holds the decisions of authz to an engine that knows nothing of it: Cedar, in a module of its own, so that
// the product depends on none of this.
//
// A policy is a value here (policy). From it the TOML is written that authz loads, and the Cedar policies that Cedar
// loads. The translation reads docs/policy.md and nothing of authz: neither its parser, nor its patterns, nor its windows
// of time. Made policies and questions go to both; they must answer alike, and for the same reasons.
package cedar

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// policy is a policy as its writer sees it, key by key.
type policy struct {
	Format   int                 `toml:"format"`
	Name     string              `toml:"name,omitempty"`
	Contact  string              `toml:"contact,omitempty"`
	Groups   []string            `toml:"groups,omitempty"`
	ByToken  []string            `toml:"by_token,omitempty"`
	Never    [][]string          `toml:"never_together,omitempty"`
	Duties   map[string][]string `toml:"duties,omitempty"`
	Labels   map[string]label    `toml:"labels,omitempty"`
	Hours    map[string]hours    `toml:"hours,omitempty"`
	Roles    map[string]role     `toml:"role,omitempty"`
	Allows   []rule              `toml:"allow,omitempty"`
	Requests []rule              `toml:"request,omitempty"`
	Requires []rule              `toml:"require,omitempty"`
	Denies   []rule              `toml:"deny,omitempty"`
}

type label struct {
	Needed bool     `toml:"needed,omitempty"`
	OneOf  []string `toml:"one_of,omitempty"`
}

type hours struct {
	Zone string   `toml:"zone"`
	Days []string `toml:"days"`
	From string   `toml:"from"`
	To   string   `toml:"to"`
}

type role struct {
	Why     string    `toml:"why"`
	Shell   *shell    `toml:"shell,omitempty"`
	Run     *commands `toml:"run,omitempty"`
	Files   *files    `toml:"files,omitempty"`
	Ports   []string  `toml:"ports,omitempty"`
	Web     []string  `toml:"web,omitempty"`
	Desktop string    `toml:"desktop,omitempty"`
}

type commands struct {
	As   []string   `toml:"as"`
	Argv [][]string `toml:"argv"`
}

type shell struct {
	As []string `toml:"as"`
}

type files struct {
	Read  []string `toml:"read,omitempty"`
	Write []string `toml:"write,omitempty"`
}

// rule has the keys of all four kinds. Those that can be a word or a list are any.
type rule struct {
	ID            string   `toml:"id"`
	Why           string   `toml:"why"`
	Who           any      `toml:"who,omitempty"`
	For           string   `toml:"for,omitempty"`
	Role          string   `toml:"role,omitempty"`
	Devices       any      `toml:"devices,omitempty"`
	Actions       []string `toml:"actions,omitempty"`
	Hours         string   `toml:"hours,omitempty"`
	AtMost        string   `toml:"at_most,omitempty"`
	Agree         any      `toml:"agree,omitempty"`
	Emergency     bool     `toml:"emergency,omitempty"`
	Tell          []string `toml:"tell,omitempty"`
	ReviewWithin  string   `toml:"review_within,omitempty"`
	AskFor        []string `toml:"ask_for,omitempty"`
	AnswerWithin  string   `toml:"answer_within,omitempty"`
	OnExpiry      string   `toml:"on_expiry,omitempty"`
	FinishAtMost  string   `toml:"finish_at_most,omitempty"`
	MFAWithin     string   `toml:"mfa_within,omitempty"`
	From          []string `toml:"from,omitempty"`
	Attended      bool     `toml:"attended,omitempty"`
	AtOnce        int      `toml:"sessions_at_once,omitempty"`
	Ticket        bool     `toml:"ticket,omitempty"`
	OnlyEmergency bool     `toml:"only_emergency,omitempty"`
}

// text writes the policy as authz reads it.
func (p policy) text(t testing.TB) string {
	t.Helper()
	raw, err := toml.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// read takes a policy out of TOML that somebody else wrote, with a reader that is not authz's. A key that is not known here
// would be left out of the translation, so it is an error.
func read(t testing.TB, text string) policy {
	t.Helper()
	var p policy
	if err := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields().Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// clone copies the policy so far that its rules, roles, labels and hours can be replaced.
func (p policy) clone(t testing.TB) policy { return read(t, p.text(t)) }

// everyone reports a who that is left out or written out.
func (r rule) everyone() bool { return r.Who == nil || r.Who == "everyone" }

func (r rule) machines() []string {
	var out []string
	for _, w := range words(r.Who) {
		if name, ok := strings.CutPrefix(w, "machine:"); ok {
			out = append(out, name)
		}
	}
	return out
}

func (r rule) groups() []string {
	return slices.DeleteFunc(words(r.Who), func(w string) bool { return strings.HasPrefix(w, "machine:") })
}

// labels gives what a rule wants of devices; nothing: every device.
func (r rule) labels() map[string]any {
	m, _ := r.Devices.(map[string]any)
	return m
}

// words reads a list of words, or one.
func words(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return slices.Clone(v)
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, x.(string))
		}
		return out
	}
	return nil
}

func (p policy) request(id string) (rule, bool) {
	i := slices.IndexFunc(p.Requests, func(r rule) bool { return r.ID == id })
	if i < 0 {
		return rule{}, false
	}
	return p.Requests[i], true
}

// grant is an approved request, with its actions as words.
type grant struct {
	ID, Rule    string
	Who         string // account
	Device      string
	Actions     []string
	From, Until time.Time
	Emergency   bool
}

// world is what both decide on.
type world struct {
	policy  policy
	written string // the policy's text, where somebody else wrote it
	grants  []grant
	around  time.Time   // near it questions are asked
	edges   []time.Time // when hours begin and end near it
}

func newWorld(t testing.TB, p policy, grants []grant, around time.Time) world {
	t.Helper()
	w := world{policy: p, grants: grants, around: around}
	for _, name := range slices.Sorted(maps.Keys(p.Hours)) {
		for _, s := range p.Hours[name].stretches(t, around) {
			if s.from.Sub(around).Abs() < near*24*time.Hour {
				w.edges = append(w.edges, s.from, s.to)
			}
		}
	}
	return w
}
