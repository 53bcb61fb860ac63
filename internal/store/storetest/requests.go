package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

func request(n int, who id.Principal, device string) store.Request {
	return store.Request{ID: strings.Repeat(string(rune('a'+n)), 26), Who: who, Name: "Tess", Device: id.Device(device), DeviceFP: key(n), Site: "ulm",
		Rule: "R1", Actions: []string{"shell:svc"}, For: 15 * time.Minute, Reason: "why", Ticket: "T-1", Address: "192.0.2.1", ViaToken: "t",
		State: store.RequestPending, Asked: at(n), Expires: at(n + 60)}
}

func requests(s *suite) {
	var person, device int
	add := func(q store.Request) {
		s.ok(s.AddRequest(s.ctx, q, func(ofPerson, forDevice int) error { person, device = ofPerson, forDevice; return nil }))
	}
	a, b, c := request(0, tess, "press-1"), request(1, tess, "press-2"), request(2, ada, "press-2")
	for _, q := range []store.Request{a, b, c} {
		add(q)
	}
	s.same("pending of the person and for the device", []int{person, device}, []int{0, 1})
	full := errors.New("full")
	if err := s.AddRequest(s.ctx, request(3, tess, "press-1"), func(int, int) error { return full }); !errors.Is(err, full) {
		s.Errorf("one too many: got %v", err)
	}
	s.same("one", get[store.Request](s)(s.Request(s.ctx, a.ID)), a)
	_, err := s.Request(s.ctx, "none")
	s.missing("a request", err)

	b.Approvals = []store.Approval{{Who: ada, Name: "Ada", For: []string{"leads"}, At: at(5)}}
	b.State, b.Decided, b.By, b.Answer, b.From, b.Until, b.Ended = store.RequestApproved, at(5), "Ada", "fine", at(5), at(20), at(9)
	changed, err := s.ChangeRequest(s.ctx, b.ID, func(q *store.Request) error { *q = b; return nil })
	s.ok(err)
	s.same("as changed", changed, b)
	s.same("stored", get[store.Request](s)(s.Request(s.ctx, b.ID)), b)
	if _, err := s.ChangeRequest(s.ctx, b.ID, func(q *store.Request) error { q.Reason = "x"; return full }); !errors.Is(err, full) {
		s.Errorf("got %v", err)
	}
	s.same("a change that failed", get[store.Request](s)(s.Request(s.ctx, b.ID)), b)
	_, err = s.ChangeRequest(s.ctx, "none", func(*store.Request) error { return nil })
	s.missing("changing none", err)

	for what, l := range map[string]struct {
		f    store.RequestFilter
		want string
	}{
		"all, newest first": {store.RequestFilter{}, "cba"},
		"a person's":        {store.RequestFilter{Who: tess}, "ba"},
		"nobody's":          {store.RequestFilter{Who: also}, ""},
		"of a device":       {store.RequestFilter{Device: "press-2"}, "cb"},
		"of a state":        {store.RequestFilter{States: []string{store.RequestPending}}, "ca"},
		"of no state":       {store.RequestFilter{States: []string{}}, ""},
		"grants":            {store.RequestFilter{Granted: true}, "b"},
		"that end later":    {store.RequestFilter{EndsAfter: at(19)}, "b"},
		"that have ended":   {store.RequestFilter{EndsAfter: at(20)}, ""},
		"by prefix":         {store.RequestFilter{ID: "cc"}, "c"},
		"a page":            {store.RequestFilter{Page: store.Page{Number: 2, Size: 2}}, "a"},
	} {
		all, _, err := s.Requests(s.ctx, l.f)
		s.ok(err)
		got := ""
		for _, q := range all {
			got += q.ID[:1]
		}
		s.same(what, got, l.want)
	}
	_, n, err := s.Requests(s.ctx, store.RequestFilter{Page: store.Page{Size: 1}})
	s.ok(err)
	s.same("counted", n, 3)
	due, err := s.DueRequests(s.ctx, at(60))
	s.ok(err)
	s.same("expired", due, []store.Request{a})
}
