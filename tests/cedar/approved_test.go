package cedar

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
)

// Questions about approved requests: each world has many grants, and each question is about the holder of one, on its device.
const (
	approvedWorlds    = 1100
	approvedQuestions = 150     // to a world
	leastApproved     = 100_000 // questions with grants of the person on the device
)

// parts are some actions of each made role, for approvals of less.
var parts = map[string][]string{
	"shells":   {"shell:svc", "shell:root", "shell"},
	"commands": {"run:svc /bin/x b", "run:root /bin/x {word}", "run:svc /bin/x {number} a", "run"},
	"files":    {"files.read:/var/log", "files.read:/var", "files.write:/opt/a/in", "shell:svc"},
	"reader":   {"files.read:/var/log", "files.read:/", "files.read"},
	"ports":    {"ports:plc.local:102", "ports", "web:hmi"},
	"control":  {"desktop.control", "desktop.view"},
	"view":     {"desktop.view", "web:hmi", "web"},
}

// approvals makes 4 to 16 grants of several people on several devices under several rules, some of which do not exist any
// more. Their windows end and begin near each other: seconds, minutes or hours long, over or in the future.
func (d dice) approvals(p policy, around time.Time) []grant {
	var out []grant
	for i := range 4 + d.IntN(13) {
		r := one(d, p.Requests...)
		g := grant{ID: fmt.Sprintf("g%d", i), Rule: r.ID, Who: one(d, accounts...), Device: one(d, devs...), Actions: []string{"*"}, Emergency: r.Emergency,
			From: around.Add(time.Duration(d.IntN(7200)-3600) * time.Second)}
		g.Until = g.From.Add(one(d, time.Second, time.Minute, 20*time.Minute, time.Hour, 4*time.Hour))
		if !d.in(3) {
			g.Actions = some(d, parts[r.Role]...)
		}
		switch d.IntN(16) {
		case 0:
			g.Rule = one(d, p.Allows[0].ID, "R9", "")
		case 1:
			g.Emergency = !g.Emergency
		case 2:
			g.Actions = some(d, someActions...)
		}
		out = append(out, g)
	}
	return out
}

// askApproved makes a question of a grant's holder on its device, at an edge of its window or within.
func (d dice) askApproved(w world) question {
	g := one(d, w.grants...)
	r, ok := w.policy.request(g.Rule)
	if !ok {
		r = one(d, w.policy.Requests...)
	}
	q := question{Who: g.Who, Device: g.Device, Labels: map[string]string{}, Live: d.IntN(3), Attended: !d.in(3), At: one(d, g.From, g.Until).Add(d.nudge())}
	if d.in(2) {
		q.At = g.From.Add(time.Duration(d.Int64N(int64(g.Until.Sub(g.From)))).Truncate(time.Millisecond))
	}
	if !d.in(4) {
		q.Ticket = "T-1"
	}
	d.dress(w, &q, r)
	if !d.in(20) {
		q.Machine = "" // a machine has no grants
	}
	d.furnish(w, &q, r)
	q.Kind, q.Arg, q.Argv = d.want(w.policy.Roles[r.Role])
	return q
}

// about reports whether a question's person has a grant on its device. It compares neither the actions nor the time.
func (q question) about(grants []grant) bool {
	return q.Machine == "" && slices.ContainsFunc(grants, func(g grant) bool { return g.Who == q.Who && g.Device == q.Device })
}

func TestAuthzAndCedarAgreeOnGrants(t *testing.T) {
	seen, all, about, byGrant := map[authz.Reason]int{}, 0, 0, 0
	for seed := range uint64(approvedWorlds) {
		d := roll(1<<32 + seed)
		p, around := d.policy(), one(d, changes...)
		a := asked{seed: seed, world: newWorld(t, p, d.approvals(p, around), around)}
		if a.snapshot = a.world.load(t); a.snapshot == nil {
			continue
		}
		for range approvedQuestions {
			q := d.askApproved(a.world)
			a.questions, all = append(a.questions, q), all+1
			if q.about(a.world.grants) {
				about++
			}
			if authz.Decide(a.snapshot, q.asks(t), q.At).Grant != "" {
				byGrant++
			}
		}
		a.agree(t, seen)
	}
	t.Logf("%d questions, %d of them with grants of the person on the device, %d allowed by a grant: %v", all, about, byGrant, seen)
	if about < leastApproved || byGrant < leastApproved/20 {
		t.Errorf("got %d questions with grants of the person on the device and %d allowed by one, want %d and %d", about, byGrant, leastApproved, leastApproved/20)
	}
	for _, r := range []authz.Reason{authz.Permitted, authz.NeverTogether, authz.UnknownLabels, authz.NoRule, authz.OutsideHours, authz.DeniedByRule, authz.RequirementOpen} {
		if seen[r] < all/200 {
			t.Errorf("got %d answers %s of %d, want one in 200", seen[r], r, all)
		}
	}
}
