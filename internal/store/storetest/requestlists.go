package storetest

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// listed are requests a to h, one second apart, of three people, two sites and two rules.
func listed(s *suite) {
	for n, c := range []struct {
		who       id.Principal
		site      string
		rule      string
		state     string
		approvers []id.Principal
	}{
		{tess, "ulm", "R1", store.RequestPending, nil},
		{ada, "ulm", "R1", store.RequestPending, []id.Principal{also}},
		{ada, "bonn", "R2", store.RequestPending, []id.Principal{also, tess}},
		{tess, "", "R2", store.RequestPending, nil},
		{ada, "", "R1", store.RequestDenied, nil},
		{also, "bonn", "R1", store.RequestApproved, []id.Principal{ada}},
		{ada, "ulm", "R2", store.RequestPending, nil},
		{also, "bonn", "R1", store.RequestPending, nil},
	} {
		q := request(n, c.who, "press-1")
		q.Site, q.Rule, q.State = c.site, c.rule, c.state
		for _, who := range c.approvers {
			q.Approvals = append(q.Approvals, store.Approval{Who: who, Name: "x", For: []string{"leads"}, At: at(n)})
		}
		s.ok(s.AddRequest(s.ctx, q, func(int, int) error { return nil }))
	}
}

func requestLists(s *suite) {
	listed(s)
	early, any1, own1, any2, own2 := at(0), store.AnswerRule{Rule: "R1"}, store.AnswerRule{Rule: "R1", OwnSite: true},
		store.AnswerRule{Rule: "R2"}, store.AnswerRule{Rule: "R2", OwnSite: true}
	answer := func(by id.Principal, now time.Time, sites []string, rules ...store.AnswerRule) store.RequestFilter {
		return store.RequestFilter{Answer: &store.Answer{By: by, At: now, Sites: sites, Rules: rules}}
	}
	sight := func(who id.Principal, sites ...string) *store.Sight {
		return &store.Sight{Principal: who, Sites: sites}
	}
	narrowed := answer(tess, early, nil, any1)
	narrowed.Sight = sight(id.Principal{}, "bonn")
	for _, c := range []struct {
		what string
		f    store.RequestFilter
		want string
	}{
		{"own alone", store.RequestFilter{Sight: sight(tess)}, "da"},
		{"own and a site's", store.RequestFilter{Sight: sight(tess, "bonn")}, "hfdca"},
		{"own ones at an own site are listed once", store.RequestFilter{Sight: sight(tess, "ulm")}, "gdba"},
		{"a site's alone", store.RequestFilter{Sight: sight(id.Principal{}, "ulm", "bonn")}, "hgfcba"},
		{"nothing is seen", store.RequestFilter{Sight: &store.Sight{}}, ""},
		{"a filter does not widen what is seen", store.RequestFilter{Sight: sight(tess, "bonn"), States: []string{store.RequestApproved}}, "f"},
		{"to answer under one rule, without own ones", answer(tess, early, nil, any1), "hb"},
		{"without those approved already", answer(also, early, nil, any1), "a"},
		{"a second approver is found as well", answer(tess, early, nil, any2), "g"},
		{"to answer under both rules", answer(ada, early, nil, any1, any2), "hda"},
		{"without expired ones", answer(ada, at(61), nil, any1, any2), "hd"},
		{"a rule at own sites alone", answer(ada, early, []string{"ulm"}, own1), "a"},
		{"a rule at own sites, and another everywhere", answer(tess, early, []string{"bonn"}, own1, any2), "hg"},
		{"at sites of no owner", answer(ada, early, nil, own1, own2), ""},
		{"no rule names them", answer(ada, early, []string{"ulm", "bonn"}), ""},
		{"to answer among what is seen", narrowed, "h"},
		{"an id in capitals", store.RequestFilter{ID: "CC"}, "c"},
		{"a pattern is no id", store.RequestFilter{ID: "%"}, ""},
	} {
		c.f.Page = store.Page{Number: 1, Size: 2}
		s.same(c.what, requestPages(s, c.f, len(c.want)), c.want)
	}
}

// requestPages reads all pages, and gives the first letters of the ids.
func requestPages(s *suite, f store.RequestFilter, want int) (got string) {
	for {
		rows, total, err := s.Requests(s.ctx, f)
		s.ok(err)
		s.same("total", total, want)
		for _, q := range rows {
			got += q.ID[:1]
		}
		if len(rows) < f.Page.Size {
			return got
		}
		f.Page.Number++
	}
}
