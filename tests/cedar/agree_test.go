package cedar

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
)

// load makes what authz decides on. A made policy may hold a rule that can never match: there is none then.
func (w world) load(t testing.TB) *authz.Snapshot {
	t.Helper()
	text := w.written
	if text == "" {
		text = w.policy.text(t)
	}
	p, problems := authz.Load(authz.File{Name: "policy.toml", Text: []byte(text)})
	if p == nil {
		for _, q := range problems {
			if w.written != "" || !strings.Contains(q.Text, "can never match") {
				t.Fatalf("%s\n%s", q.Text, text)
			}
		}
		return nil
	}
	return authz.NewSnapshot(p, w.approved(t))
}

func (w world) approved(t testing.TB) []authz.Grant {
	t.Helper()
	var out []authz.Grant
	for _, g := range w.grants {
		a := authz.Grant{ID: g.ID, Rule: g.Rule, Who: account(g.Who), Device: id.Device(g.Device), From: g.From, Until: g.Until, Emergency: g.Emergency}
		for _, word := range g.Actions {
			p, err := authz.ParsePattern(word)
			if err != nil {
				t.Fatal(err)
			}
			a.Actions = append(a.Actions, p)
		}
		out = append(out, a)
	}
	return out
}

// differ asks both. It says in what the answers differ; nothing if they are alike.
func differ(t testing.TB, s *authz.Snapshot, set *cedar.PolicySet, q question) (authz.Decision, string) {
	t.Helper()
	d := authz.Decide(s, q.asks(t), q.At)
	entities, request := q.request(t)
	allowed, why := cedar.Authorize(set, entities, request)
	if len(why.Errors) > 0 { // a forbid with an error forbids nothing
		t.Fatalf("Cedar cannot evaluate %s: %s", why.Errors[0].PolicyID, why.Errors[0].Message)
	}
	by := reasons(why)
	if d.Allowed == bool(allowed) && fits(d, by) {
		return d, ""
	}
	return d, fmt.Sprintf("authz: allowed %v, %s, rule %q, grant %q, emergency %v, denied by %q, missing %q\nCedar: %s by %q",
		d.Allowed, d.Reason, d.Rule, d.Grant, d.Emergency, d.DeniedBy, d.Missing, allowed, by)
}

func reasons(why cedar.Diagnostic) []string {
	var out []string
	for _, r := range why.Reasons {
		out = append(out, string(r.PolicyID))
	}
	slices.Sort(out)
	return out
}

// fits reports whether what authz says of its answer is among what Cedar says of its own. Cedar names every forbid that
// matches and no order among them.
func fits(d authz.Decision, by []string) bool {
	some := func(prefix string) bool {
		return slices.ContainsFunc(by, func(s string) bool { return strings.HasPrefix(s, prefix) })
	}
	open := !some("together ") && !some("label ") && !some("deny ")
	switch d.Reason {
	case authz.Permitted:
		given := slices.Contains(by, "allow "+d.Rule) || slices.Contains(by, "grant "+d.Grant)
		return d.Emergency == (!some("allow ") && !some("grant ")) && (given || d.Emergency && slices.Contains(by, "emergency "+d.Grant))
	case authz.NeverTogether:
		return some("together ")
	case authz.UnknownLabels:
		return some("label ") && !some("together ")
	case authz.DeniedByRule: // what denies emergencies alone is no forbid of its own
		return slices.Contains(by, "deny "+d.DeniedBy) || open
	case authz.RequirementOpen:
		return slices.Contains(by, "require "+d.Missing) && open
	}
	return open
}

// lasts asks Cedar again just before the end that authz names, or as far ahead as its hours are written out. A session
// that began is asked about, so that a second factor that grows old is no reason.
func lasts(t testing.TB, w world, d authz.Decision, set *cedar.PolicySet, q question) bool {
	t.Helper()
	if !d.Allowed || d.Until.IsZero() {
		return true
	}
	if q.Opened.IsZero() {
		q.Opened = q.At
	}
	q.At = d.Until.Add(-time.Millisecond)
	if far := w.around.AddDate(0, 0, reach-1); q.At.After(far) {
		q.At = far
	}
	entities, request := q.request(t)
	allowed, _ := cedar.Authorize(set, entities, request)
	return bool(allowed)
}

// asked is a world with questions to it.
type asked struct {
	seed      uint64
	world     world
	snapshot  *authz.Snapshot
	questions []question
}

const (
	worlds   = 1600
	together = 25 // questions to a world
)

// ask makes questions to a world; none, where its policy does not load.
func ask(t testing.TB, d dice, seed uint64, w world) asked {
	t.Helper()
	a := asked{seed: seed, world: w, snapshot: w.load(t)}
	for range together {
		a.questions = append(a.questions, d.ask(w))
	}
	return a
}

func made(t testing.TB) []asked {
	t.Helper()
	var out []asked
	for seed := range uint64(worlds) {
		d := roll(seed)
		if a := ask(t, d, seed, d.world(t)); a.snapshot != nil {
			out = append(out, a)
		}
	}
	return out
}

// agree puts a world's questions to both and counts the answers by reason.
func (a asked) agree(t testing.TB, seen map[authz.Reason]int) {
	t.Helper()
	set := translate(t, a.world)
	for _, q := range a.questions {
		got, difference := differ(t, a.snapshot, set, q)
		if difference == "" && !lasts(t, a.world, got, set, q) {
			difference = "authz allows it until " + got.Until.UTC().String() + ", Cedar refuses before"
		}
		if difference != "" {
			t.Fatalf("seed %d\n%s\n%s\n\n%+v\n\n%s\n%s", a.seed, q, difference, a.world.grants, a.world.policy.text(t), set.MarshalCedar())
		}
		seen[got.Reason]++
	}
}

func TestAuthzAndCedarAnswerAlike(t *testing.T) {
	seen, all := map[authz.Reason]int{}, made(t)
	for _, a := range all {
		a.agree(t, seen)
	}
	n := len(all) * together
	t.Logf("%d questions: %v", n, seen)
	for _, r := range []authz.Reason{authz.Permitted, authz.NeverTogether, authz.UnknownLabels, authz.NoRule, authz.OutsideHours, authz.DeniedByRule, authz.RequirementOpen} {
		if seen[r] < n/100 {
			t.Errorf("got %d answers %s of %d, want one in a hundred: the questions are too much alike", seen[r], r, n)
		}
	}
}

// TestTheyAnswerAlikeOnWrittenPolicies asks about the policy of docs/policy.md and the larger example.
func TestTheyAnswerAlikeOnWrittenPolicies(t *testing.T) {
	for name, text := range map[string]string{"the page's": page(t), "the example": example(t)} {
		t.Run(name, func(t *testing.T) {
			seen := map[authz.Reason]int{}
			for seed := range uint64(40) {
				d, p := roll(seed), read(t, text)
				around := one(d, changes...)
				w := newWorld(t, p, d.grants(p, around), around)
				w.written = text
				ask(t, d, seed, w).agree(t, seen)
			}
			t.Logf("%v", seen)
			if seen[authz.Permitted] < 20 || len(seen) < 7 {
				t.Errorf("got %v, want every answer there is", seen)
			}
		})
	}
}

// page is the policy of docs/policy.md: all its toml blocks.
func page(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, m := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		text += m[1] + "\n"
	}
	return text
}

func example(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("../../authz/testdata/example.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestWithoutAPolicyBothRefuse(t *testing.T) {
	q := question{Who: "u1", Device: "dev-1", Kind: "shell", Arg: "root", At: changes[0]}
	if d, difference := differ(t, authz.NewSnapshot(nil, nil), cedar.NewPolicySet(), q); difference != "" || d.Reason != authz.NoPolicy {
		t.Errorf("got %s, %s", d.Reason, difference)
	}
}
