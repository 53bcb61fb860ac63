package authz

import (
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// answerWithin is how long a request waits when the rule does not say: short, since absence only tightens.
const answerWithin = 15 * time.Minute

// readRequest reads what only request rules have.
func (l *loader) readRequest(t *table, r *rule) {
	l.readRoleName(t, r)
	l.readExpiry(t, r)
	a := &r.ask
	a.emergency = t.flag("emergency")
	if t.must("at_most", `at_most = "4h"`) {
		a.atMost = t.duration("at_most", `at_most = "4h"`)
	}
	if t.must("agree", agreeExample) {
		l.readAgree(t, a)
	}
	l.readAskFor(t, a)
	a.answerWithin = answerWithin
	if t.has("answer_within") {
		a.answerWithin = t.duration("answer_within", `answer_within = "30m"`)
	}
	t.known = append(t.known, "answer_within")
	l.readEmergency(t, a)
}

const agreeExample = `agree = [{ from = "shift-leads", count = 1 }], or agree = "nobody"`

// readAgree reads who must agree. A rule that needs no agreement must say so in words, because an empty list may be a
// slip.
func (l *loader) readAgree(t *table, a *ask) {
	n := t.n.vals["agree"]
	if n.kind == unstable.String && n.text == "nobody" {
		t.known = append(t.known, "agree")
		return
	}
	if n.kind != unstable.Array || len(n.list) == 0 {
		t.known = append(t.known, "agree")
		t.problem(n.line, agreeExample, "%s: agree wants at least one who must agree, or \"nobody\"", t.what)
		return
	}
	seen := map[string]bool{}
	for _, s := range t.subs("agree", t.what+", agree") {
		if !s.must("from", `from = "shift-leads", or from = "@owner"`) || !s.must("count", "count = 1") {
			continue
		}
		ap := approval{from: s.str("from", `from = "shift-leads"`), count: int(s.number("count", 1, 20))}
		s.done()
		if ap.from != "@owner" && ap.from != "" {
			l.declared(s, s.n.vals["from"], "from")
		}
		if seen[ap.from] {
			s.problem(s.line("from"), "it once, with a higher count", "%s: %q is named twice", s.what, ap.from)
		}
		seen[ap.from] = true
		a.agree = append(a.agree, ap)
	}
}

// readAskFor reads what a request must contain. If the key is absent, that is everything, except in an emergency, when
// nobody has a ticket number at hand. Then it is a reason alone.
func (l *loader) readAskFor(t *table, a *ask) {
	a.askFor = []string{"ticket"}
	if a.emergency {
		a.askFor = []string{"reason"}
	}
	if !t.has("ask_for") {
		t.known = append(t.known, "ask_for")
		return
	}
	a.askFor = nil
	for _, n := range t.words("ask_for", `ask_for = ["ticket"]`) {
		if n.text != "ticket" && n.text != "reason" {
			t.problem(n.line, `"ticket" or "reason"`, "%s: ask_for does not know %q", t.what, clip(n.text))
			continue
		}
		a.askFor = append(a.askFor, n.text)
	}
}

// readEmergency reads who is told and when it is reviewed. Both are mandatory with emergency, and the review
// belongs to nothing else: so a lost "emergency = true" cannot turn break-glass into self-service.
func (l *loader) readEmergency(t *table, a *ask) {
	if a.emergency {
		t.must("tell", `tell = ["@owner", "it-security"]`)
		t.must("review_within", `review_within = "24h"`)
	} else if t.has("review_within") {
		t.problem(t.line("review_within"), "emergency = true with it", "%s: review_within belongs to emergency = true", t.what)
	}
	a.reviewWithin = t.duration("review_within", `review_within = "24h"`)
	for _, n := range t.words("tell", `tell = ["@owner"]`) {
		if n.text == "@owner" || l.declared(t, n, "tell") {
			a.tell = append(a.tell, n.text)
		}
	}
}
