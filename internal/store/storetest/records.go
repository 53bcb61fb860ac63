package storetest

import (
	"github.com/sallyport/sallyport/internal/store"
)

func policies(s *suite) {
	_, err := s.LatestPolicy(s.ctx)
	s.missing("a policy", err)
	version := func(n int) store.PolicyVersion {
		return store.PolicyVersion{Version: n, SHA256: key(n), Files: []store.PolicyFile{{Name: "p.toml", Text: "x = 1\n"}}, By: "ada", Reason: "why", At: at(n)}
	}
	s.taken("a version below 1", s.AddPolicy(s.ctx, version(0)))
	s.ok(s.AddPolicy(s.ctx, version(1)))
	s.ok(s.AddPolicy(s.ctx, version(4))) // those between were lost with a disk
	s.taken("a version again", s.AddPolicy(s.ctx, version(4)))
	s.taken("a version that belongs before it", s.AddPolicy(s.ctx, version(3)))
	s.same("one", get[store.PolicyVersion](s)(s.Policy(s.ctx, 1)), version(1))
	s.same("latest", get[store.PolicyVersion](s)(s.LatestPolicy(s.ctx)), version(4))
	s.same("all", get[[]store.PolicyVersion](s)(s.Policies(s.ctx)), []store.PolicyVersion{version(4), version(1)})
	_, err = s.Policy(s.ctx, 3)
	s.missing("a version", err)
}

func decisions(s *suite) {
	var all []store.Decision
	for n := 1; n <= 5; n++ {
		d := store.Decision{At: at(n), Principal: tess, Device: "press-1", Action: "shell:svc", Allowed: n%2 == 1, Rule: "A1", Text: "t", PolicySHA: key(n), Session: sid(n), Inputs: []byte("{}")}
		if n == 5 {
			d.Principal, d.Device, d.Inputs = also, "press-2", nil
		}
		s.ok(s.AddDecided(s.ctx, session(n), d))
		s.taken("a session decided twice", s.AddDecided(s.ctx, session(n), d))
		s.same("its session", get[store.Session](s)(s.Session(s.ctx, sid(n))), session(n))
		d.ID = get[[]store.Decision](s)(s.Decisions(s.ctx, store.DecisionFilter{Limit: 1}))[0].ID
		if len(all) > 0 && d.ID <= all[len(all)-1].ID {
			s.Errorf("decision %d has the number %d, not above the one before", n, d.ID)
		}
		all = append(all, d)
	}
	many := get[[]store.Decision](s)
	pick := func(i ...int) []store.Decision {
		var out []store.Decision
		for _, n := range i {
			out = append(out, all[n-1])
		}
		return out
	}
	s.same("all", many(s.Decisions(s.ctx, store.DecisionFilter{})), pick(5, 4, 3, 2, 1))
	s.same("of a person", many(s.Decisions(s.ctx, store.DecisionFilter{Principal: also})), pick(5))
	s.same("of a device", many(s.Decisions(s.ctx, store.DecisionFilter{Device: "press-2"})), pick(5))
	s.same("on a session", many(s.Decisions(s.ctx, store.DecisionFilter{Principal: tess, Session: sid(2), Limit: 1})), pick(2))
	s.same("refusals", many(s.Decisions(s.ctx, store.DecisionFilter{Refused: true})), pick(4, 2))
	s.same("since", many(s.Decisions(s.ctx, store.DecisionFilter{From: at(4)})), pick(5, 4))
	s.same("a page", many(s.Decisions(s.ctx, store.DecisionFilter{Before: all[3].ID, Limit: 2})), pick(3, 2))
}

func auditEvents(s *suite) {
	var all []store.AuditEvent
	for n := 1; n <= 4; n++ {
		e := store.AuditEvent{At: at(n), Type: "viewed", Phase: "done", Actor: "tess", Subject: "s1", Addr: "192.0.2.1", Leaf: 1<<40 + uint64(n), Body: []byte("\x01why\xff")}
		switch n {
		case 2:
			e.Type = "exported"
		case 3:
			e.Actor, e.Body = "ada", []byte("50%_off")
		case 4:
			e.Subject = "s2"
		}
		e.ID = get[int64](s)(s.AddAudit(s.ctx, e))
		all = append(all, e)
	}
	for _, c := range []struct {
		what string
		f    store.AuditFilter
		want []int
	}{
		{"all", store.AuditFilter{}, []int{4, 3, 2, 1}},
		{"by type", store.AuditFilter{Type: "exported"}, []int{2}},
		{"by actor", store.AuditFilter{Actor: "ada"}, []int{3}},
		{"by subject", store.AuditFilter{Subject: "s2"}, []int{4}},
		{"by text in the body", store.AuditFilter{Text: "50%_OFF"}, []int{3}},
		{"by text in the actor", store.AuditFilter{Text: "ad"}, []int{3}},
		{"by time", store.AuditFilter{From: at(2), To: at(4)}, []int{3, 2}},
		{"a page", store.AuditFilter{Before: all[3].ID, Limit: 2}, []int{3, 2}},
		{"a page by the log", store.AuditFilter{Leaf: all[2].Leaf, Limit: 5}, []int{2, 1}},
		{"all at once", store.AuditFilter{Type: "viewed", Actor: "tess", Subject: "s1", Text: "why", From: at(1), To: at(2)}, []int{1}},
	} {
		want := []store.AuditEvent{}
		for _, n := range c.want {
			want = append(want, all[n-1])
		}
		s.same(c.what, append([]store.AuditEvent{}, get[[]store.AuditEvent](s)(s.AuditEvents(s.ctx, c.f))...), want)
	}
}
