package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// sid n sorts by n.
func sid(n int) (s id.Session) {
	s[0], s[1], s[15] = byte(n>>8), byte(n), 1
	return s
}

func session(n int) store.Session {
	status := 3
	return store.Session{ID: sid(n), Device: id.Device(fmt.Sprint("press-", n)), DeviceFP: key(n), Site: "ulm", Principal: tess, PrincipalName: "Tess", Login: "svc", Action: "run:/bin/x",
		Argv: []string{"/bin/x", "a b"}, PTY: true, State: store.Live, Asked: at(n), Started: at(n), Ended: at(n + 1), Until: at(60), EndReason: "exit", Purpose: "noise", Ticket: "T1",
		Rule: "A1", ViaToken: "t1", Front: "cli", ClientAddr: "192.0.2.1", Node: "n1", PolicySHA: key(5), ExitStatus: &status, ExitSignal: "TERM", BytesIn: 1, BytesOut: 1 << 40,
		HiddenRanges: 2, Gaps: 3, Record: store.RecordGap}
}

func sids(in []store.Session) []int {
	out := []int{}
	for _, s := range in {
		out = append(out, int(s.ID[0])<<8|int(s.ID[1]))
	}
	return out
}

func sessionRoundTrip(s *suite) {
	full, bare := session(1), store.Session{ID: sid(2), State: store.Asked, Asked: at(2)}
	s.ok(s.AddSession(s.ctx, full))
	s.ok(s.AddSession(s.ctx, bare))
	one := get[store.Session](s)
	s.same("one", one(s.Session(s.ctx, full.ID)), full)
	s.same("with nothing set", one(s.Session(s.ctx, bare.ID)), bare)
	s.taken("the same id", s.AddSession(s.ctx, full))
	_, err := s.Session(s.ctx, sid(9))
	s.missing("a session", err)
	no := errors.New("no")
	if _, err := s.ChangeSession(s.ctx, full.ID, func(r *store.Session) error { r.State = store.Closed; return no }); !errors.Is(err, no) {
		s.Errorf("got %v, want the change's own error", err)
	}
	s.same("after a change that failed", one(s.Session(s.ctx, full.ID)), full)
	out := one(s.ChangeSession(s.ctx, full.ID, func(r *store.Session) error {
		s.same("what a change sees", *r, full)
		r.ID, r.State, r.ExitStatus, r.Ended = sid(7), store.Closed, nil, time.Time{}
		return nil
	}))
	full.State, full.ExitStatus, full.Ended = store.Closed, nil, time.Time{}
	s.same("what a change gives", out, full)
	s.same("after a change", one(s.Session(s.ctx, full.ID)), full)
	_, err = s.ChangeSession(s.ctx, sid(9), func(*store.Session) error { return nil })
	s.missing("a change", err)
}

func sessionPrefix(s *suite) {
	_, err := s.SessionByPrefix(s.ctx, "last")
	s.missing("the last of none", err)
	for _, n := range []int{1, 2, 300} {
		s.ok(s.AddSession(s.ctx, session(n)))
	}
	one := get[store.Session](s)
	s.same("last", one(s.SessionByPrefix(s.ctx, "last")).ID, sid(300))
	s.same("the whole id", one(s.SessionByPrefix(s.ctx, sid(2).String())).ID, sid(2))
	s.same("a prefix of one", one(s.SessionByPrefix(s.ctx, sid(300).String()[:4])).ID, sid(300))
	_, err = s.SessionByPrefix(s.ctx, sid(1).String()[:2])
	if errkind.KindOf(err) != errkind.Usage {
		s.Errorf("a prefix of several: got %v", err)
	}
	_, err = s.SessionByPrefix(s.ctx, "zzzz")
	s.missing("a prefix of none", err)
	for _, bad := range []string{"", "a%", "a_", "A", "a'"} {
		if _, err := s.SessionByPrefix(s.ctx, bad); errkind.KindOf(err) != errkind.Usage {
			s.Errorf("prefix %q: got %v, want a refusal", bad, err)
		}
	}
}

func sessionFilters(s *suite) {
	for n := 1; n <= 4; n++ {
		row := session(n)
		switch n {
		case 2:
			row.Principal, row.PrincipalName, row.Ticket = ada, "Ada", "50%_off"
		case 3:
			row.Principal, row.Site, row.State = also, "bern", store.Refused
		case 4:
			row.State = store.Archived
		}
		s.ok(s.AddSession(s.ctx, row))
	}
	for _, c := range []struct {
		what string
		f    store.SessionFilter
		want []int
	}{
		{"everything", store.SessionFilter{}, []int{4, 3, 2, 1}},
		{"by text in a ticket", store.SessionFilter{Text: "50%_OFF"}, []int{2}},
		{"by text in a device", store.SessionFilter{Text: "press-3"}, []int{3}},
		{"by text that is a wildcard", store.SessionFilter{Text: "t_1"}, []int{}},
		{"by device", store.SessionFilter{Device: "press-4"}, []int{4}},
		{"by person", store.SessionFilter{Principal: tess}, []int{4, 1}},
		{"by the same subject elsewhere", store.SessionFilter{Principal: also}, []int{3}},
		{"by a user's name", store.SessionFilter{User: "Ada"}, []int{2}},
		{"by a user's subject", store.SessionFilter{User: "tess"}, []int{4, 3, 1}},
		{"by a user's name in another case", store.SessionFilter{User: "aDA"}, []int{2}},
		{"by a user's subject in another case", store.SessionFilter{User: "TESS"}, []int{4, 3, 1}},
		{"by the beginning of a word of a user's name", store.SessionFilter{User: "Ad"}, []int{2}},
		{"by what is inside a word of it", store.SessionFilter{User: "da"}, []int{}},
		{"by a wildcard, which is a letter", store.SessionFilter{User: "A_a"}, []int{}},
		{"by people who were found elsewhere", store.SessionFilter{User: "nobody", Users: []id.Principal{ada, also}}, []int{3, 2}},
		{"by sites", store.SessionFilter{Sites: []string{"bern"}}, []int{3}},
		{"by no site", store.SessionFilter{Sites: []string{}}, []int{}},
		{"by states", store.SessionFilter{States: []string{store.Refused, store.Archived}}, []int{4, 3}},
		{"by no state", store.SessionFilter{States: []string{}}, []int{}},
		{"from and to", store.SessionFilter{From: at(2), To: at(4)}, []int{3, 2}},
		{"by two at once", store.SessionFilter{Principal: tess, States: []string{store.Live}}, []int{1}},
	} {
		list, total, err := s.Sessions(s.ctx, c.f)
		s.ok(err)
		s.same(c.what, sids(list), c.want)
		s.same(c.what+": count", total, len(c.want))
	}
	s.same("running", sids(get[[]store.Session](s)(s.RunningSessions(s.ctx))), []int{2, 1})
}

func sessionPaging(s *suite) {
	const n = 25
	for i := 1; i <= n; i++ {
		row := session(i)
		row.Asked = at(i / 4) // several at one time
		s.ok(s.AddSession(s.ctx, row))
	}
	var seen []int
	var before id.Session
	for page := 0; ; page++ {
		list, _, err := s.Sessions(s.ctx, store.SessionFilter{Before: before, Page: store.Page{Number: 3, Size: 4}})
		if before.IsZero() {
			list, _, err = s.Sessions(s.ctx, store.SessionFilter{Page: store.Page{Size: 4}})
		}
		s.ok(err)
		if len(list) == 0 {
			break
		}
		seen = append(seen, sids(list)...)
		before = list[len(list)-1].ID
		late := session(1000 + page) // newer ones come while somebody pages: they shift nothing
		late.Asked = at(100 + page)
		s.ok(s.AddSession(s.ctx, late))
		if page > n {
			s.Fatal("the pages do not end")
		}
	}
	want := []int{}
	for i := n; i > 0; i-- {
		want = append(want, i)
	}
	s.same("all pages", seen, want)
	list, total, err := s.Sessions(s.ctx, store.SessionFilter{Text: "press-", Page: store.Page{Number: 2, Size: 10}})
	s.ok(err)
	s.same("a numbered page", len(list), 10)
	s.same("its count", total > n, true)
	list, _, err = s.Sessions(s.ctx, store.SessionFilter{Page: store.Page{Size: 1 << 30}})
	s.ok(err)
	s.same("a page that is too large", len(list) <= store.MaxPage, true)
}

// sessionLong: a page of the longest commands would be as large as all of them.
func sessionLong(s *suite) {
	long := session(1)
	long.Argv = []string{"/bin/x", strings.Repeat("é", 16<<10), "y"}
	long.Action = "run:" + strings.Repeat("é", 16<<10)
	s.ok(s.AddSession(s.ctx, long))
	list, _, err := s.Sessions(s.ctx, store.SessionFilter{})
	s.ok(err)
	text := strings.Repeat("é", (store.MaxListed-len("/bin/x"))/2)
	s.same("the beginning of a long command", list[0].Argv, []string{"/bin/x", text + "…"})
	s.same("and of what was decided on", len(list[0].Action) <= store.MaxListed+len("…"), true)
	s.same("by itself", get[store.Session](s)(s.Session(s.ctx, long.ID)), long)
	many := session(3)
	many.Argv = make([]string, 10_000)
	s.ok(s.AddSession(s.ctx, many))
	list, _, err = s.Sessions(s.ctx, store.SessionFilter{})
	s.ok(err)
	s.same("of many words", len(list[0].Argv) < 100, true)
	short := session(4)
	s.ok(s.AddSession(s.ctx, short))
	list, _, err = s.Sessions(s.ctx, store.SessionFilter{})
	s.ok(err)
	s.same("a short one", list[0], short)
}

func sessionSight(s *suite) {
	for n := 1; n <= 4; n++ {
		row := session(n)
		row.Principal, row.Site = ada, fmt.Sprint("site-", n)
		row.ViaToken = fmt.Sprint("token-", n)
		if n == 1 {
			row.Principal = tess
		}
		s.ok(s.AddSession(s.ctx, row))
	}
	for _, c := range []struct {
		what string
		f    store.SessionFilter
		want []int
	}{
		{"own alone", store.SessionFilter{Sight: &store.Sight{Principal: tess}}, []int{1}},
		{"own and a site's", store.SessionFilter{Sight: &store.Sight{Principal: tess, Sites: []string{"site-3", "site-4"}}}, []int{4, 3, 1}},
		{"a machine's", store.SessionFilter{Sight: &store.Sight{Principal: ada, Token: "token-3"}}, []int{3}},
		{"a token alone is nobody", store.SessionFilter{Sight: &store.Sight{Principal: tess, Token: "token-3"}}, []int{}},
		{"nobody", store.SessionFilter{Sight: &store.Sight{}}, []int{}},
		{"a filter does not widen", store.SessionFilter{Sight: &store.Sight{Principal: tess, Sites: []string{"site-3"}}, Device: "press-4"}, []int{}},
		{"nor does a text", store.SessionFilter{Sight: &store.Sight{Principal: tess}, Text: "press"}, []int{1}},
		{"nor does a list of sites", store.SessionFilter{Sight: &store.Sight{Principal: tess}, Sites: []string{"site-2"}}, []int{}},
	} {
		list, total, err := s.Sessions(s.ctx, c.f)
		s.ok(err)
		s.same(c.what, sids(list), c.want)
		s.same(c.what+": count", total, len(c.want))
	}
}

func parts(s *suite) {
	open, end := uint64(7), uint64(9)
	s.ok(s.AddSession(s.ctx, session(1)))
	full := store.Part{Session: sid(1), Part: 1, H0: key(1), OpenLeaf: &open, Pass: []byte{3},
		CloseLeaf: &end, HFinal: key(4), Seq: 1 << 27, Bytes: 1 << 40, Started: at(1), Ended: at(2), Retain: at(3),
		State: store.RecordComplete}
	bare := store.Part{Session: sid(1)}
	s.ok(s.AddPart(s.ctx, full))
	s.ok(s.AddPart(s.ctx, bare))
	one := get[store.Part](s)
	s.same("one", one(s.Part(s.ctx, sid(1), 1)), full)
	s.same("with nothing set", one(s.Part(s.ctx, sid(1), 0)), bare)
	s.same("in order", get[[]store.Part](s)(s.Parts(s.ctx, sid(1))), []store.Part{bare, full})
	s.same("not closed", get[[]store.Part](s)(s.UnclosedParts(s.ctx)), []store.Part{bare})
	retained := get[[]store.Retained](s)
	s.same("retained", retained(s.Retained(s.ctx, at(2))), []store.Retained{{Class: "unannounced", Recordings: 1},
		{Class: "routine", Month: at(3).Format("2006-01"), Recordings: 1, Bytes: 1 << 40, Oldest: at(1), First: at(3)}})
	due := retained(s.Retained(s.ctx, at(3)))[1]
	s.same("due", due.Due, 1)
	s.same("bytes that are due", due.DueBytes, int64(1<<40))
	s.taken("the same part", s.AddPart(s.ctx, full))
	if err := s.AddPart(s.ctx, store.Part{Session: sid(2)}); err == nil {
		s.Error("a part of no session was stored")
	}
	_, err := s.Part(s.ctx, sid(1), 2)
	s.missing("a part", err)
	got := one(s.ChangePart(s.ctx, sid(1), 0, func(p *store.Part) error {
		s.same("what a change sees", *p, bare)
		p.Session, p.Part, p.CloseLeaf, p.State = sid(5), 8, &end, store.RecordCut
		return nil
	}))
	bare.CloseLeaf, bare.State = &end, store.RecordCut
	s.same("what a change gives", got, bare)
	s.same("after a change", one(s.Part(s.ctx, sid(1), 0)), bare)
	s.same("not closed after it", len(get[[]store.Part](s)(s.UnclosedParts(s.ctx))), 0)
	no := errors.New("no")
	if _, err := s.ChangePart(s.ctx, sid(1), 0, func(*store.Part) error { return no }); !errors.Is(err, no) {
		s.Errorf("got %v, want the change's own error", err)
	}
	_, err = s.ChangePart(s.ctx, sid(1), 2, func(*store.Part) error { return nil })
	s.missing("a change", err)
	recorded(s, bare)
}

func passes(s *suite) {
	s.ok(s.AddSession(s.ctx, session(1)))
	s.ok(s.AddPart(s.ctx, store.Part{Session: sid(1), Pass: []byte{1}}))
	s.ok(s.AddPart(s.ctx, store.Part{Session: sid(1), Part: 1}))
	all := []store.Pass{{Session: sid(1), N: 1, Leaf: 7, Pass: []byte{2}}, {Session: sid(1), N: 3, Leaf: 9, Pass: []byte{3}}}
	s.ok(s.AddPass(s.ctx, all[1]))
	s.ok(s.AddPass(s.ctx, all[0]))
	read := get[[]store.Pass](s)
	s.same("in order", read(s.Passes(s.ctx, sid(1), 0)), all)
	s.same("of another part", len(read(s.Passes(s.ctx, sid(1), 1))), 0)
	s.taken("the same number", s.AddPass(s.ctx, all[0]))
	if err := s.AddPass(s.ctx, store.Pass{Session: sid(1), Part: 2, N: 1, Pass: []byte{1}}); err == nil {
		s.Error("a pass of no part was stored")
	}
	if err := s.AddPass(s.ctx, store.Pass{Session: sid(1), Pass: []byte{1}}); err == nil {
		s.Error("a pass without a number was stored")
	}
}

// recorded changes a session and its part together, or neither.
func recorded(s *suite, part store.Part) {
	row := session(1)
	s.ok(s.ChangeRecorded(s.ctx, sid(1), 0, func(r *store.Session, p *store.Part) error {
		s.same("the session that a change of both sees", *r, row)
		s.same("the part that a change of both sees", *p, part)
		r.ID, r.Rule, p.Part, p.State = sid(5), "A9", 8, store.RecordGap
		return nil
	}))
	row.Rule, part.State = "A9", store.RecordGap
	both := func(when string) {
		s.same("the session "+when, get[store.Session](s)(s.Session(s.ctx, sid(1))), row)
		s.same("the part "+when, get[store.Part](s)(s.Part(s.ctx, sid(1), 0)), part)
	}
	both("after a change of both")
	no := errors.New("no")
	err := s.ChangeRecorded(s.ctx, sid(1), 0, func(r *store.Session, p *store.Part) error {
		r.Rule, p.State = "A10", store.RecordCut
		return no
	})
	if !errors.Is(err, no) {
		s.Errorf("got %v, want the change's own error", err)
	}
	both("after a change that was given up")
	s.missing("a change of a part that is not there", s.ChangeRecorded(s.ctx, sid(1), 2, func(*store.Session, *store.Part) error { return nil }))
}
