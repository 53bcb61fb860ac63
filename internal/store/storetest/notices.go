package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/store"
)

// notice is number n, created at minute n and due then.
func notice(n int) store.Notice {
	return store.Notice{ID: strings.Repeat(string(rune('a'+n)), 26), Kind: "request.asked", Request: "r", Device: "press-1", Channel: store.ChannelMail,
		To: "lea@x.example", Event: []byte(`{}`), State: store.NoticePending, Created: at(n), GiveUp: at(n + 60), NextTry: at(n), Attempts: n, Error: "none"}
}

func notices(s *suite) {
	fits := func(int, int) error { return nil }
	full := errors.New("full")
	q := request(0, tess, "press-1")
	if err := s.AddRequest(s.ctx, q, func(int, int) error { return full }, notice(0)); !errors.Is(err, full) {
		s.Errorf("got %v", err)
	}
	s.same("notices of a request that was refused", s.noticed(store.NoticeFilter{}), "")
	s.ok(s.AddRequest(s.ctx, q, fits, notice(0)))
	about := func(q store.Request) []store.Notice {
		n := notice(1)
		n.Request = q.ID
		return []store.Notice{n}
	}
	if _, err := s.ChangeRequest(s.ctx, q.ID, func(*store.Request) error { return full }, about); !errors.Is(err, full) {
		s.Errorf("got %v", err)
	}
	s.same("notices of a change that failed", s.noticed(store.NoticeFilter{}), "a")
	_, err := s.ChangeRequest(s.ctx, q.ID, func(q *store.Request) error { q.Answer = "x"; return nil }, about)
	s.ok(err)
	if _, err := s.ChangeRequest(s.ctx, q.ID, func(q *store.Request) error { q.Answer = "y"; return nil }, about); !errors.Is(err, store.ErrConflict) {
		s.Errorf("a notice whose id is taken: got %v", err)
	}
	s.same("the request of a notice that could not be stored", get[store.Request](s)(s.Request(s.ctx, q.ID)).Answer, "x")
	s.taken("an id twice", s.AddNotices(s.ctx, notice(2), notice(0)))
	s.ok(s.AddNotices(s.ctx, notice(2)))
	s.same("all, newest first", s.noticed(store.NoticeFilter{}), "cba")
	noticeChanges(s)
}

func noticeChanges(s *suite) {
	due := func(n, most int) (out string) {
		s.Helper()
		for _, n := range get[[]store.Notice](s)(s.DueNotices(s.ctx, store.ChannelMail, at(n), most)) {
			out += n.ID[:1]
		}
		return out
	}
	hook := notice(9)
	hook.Channel = store.ChannelWebhook + "ops"
	s.ok(s.AddNotices(s.ctx, hook))
	s.same("channels that are due", get[[]string](s)(s.DueChannels(s.ctx, at(8))), []string{store.ChannelMail})
	s.same("and later", get[[]string](s)(s.DueChannels(s.ctx, at(9))), []string{store.ChannelMail, hook.Channel})
	_, err := s.ChangeNotice(s.ctx, hook.ID, func(n *store.Notice) error { n.State, n.Created = store.NoticeSent, at(-1); return nil })
	s.ok(err)
	s.same("pruned", get[int64](s)(s.PruneNotices(s.ctx, at(0), at(0))), int64(1))
	s.same("due, the first first", due(1, 10), "ab")
	s.same("at most one", due(2, 1), "a")
	want := notice(2)
	want.State, want.NextTry, want.Done, want.Attempts, want.Error = store.NoticeSent, time.Time{}, at(5), 3, ""
	got, err := s.ChangeNotice(s.ctx, want.ID, func(n *store.Notice) error { *n = want; return nil })
	s.ok(err)
	s.same("as changed", got, want)
	if _, err := s.ChangeNotice(s.ctx, want.ID, func(n *store.Notice) error { n.Error = "x"; return store.ErrBusy }); !errors.Is(err, store.ErrBusy) {
		s.Errorf("got %v", err)
	}
	all, n, err := s.Notices(s.ctx, store.NoticeFilter{ID: "cc"})
	s.ok(err)
	s.same("stored", all, []store.Notice{want})
	s.same("counted", n, 1)
	s.same("due after it was sent", due(60, 10), "ab")
	_, err = s.ChangeNotice(s.ctx, "none", func(*store.Notice) error { return nil })
	s.missing("changing none", err)
	_, err = s.ChangeNotice(s.ctx, notice(1).ID, func(n *store.Notice) error { n.State = store.NoticeDead; return nil })
	s.ok(err)
	s.same("of one state", s.noticed(store.NoticeFilter{States: []string{store.NoticeDead}}), "b")
	s.same("of no state", s.noticed(store.NoticeFilter{States: []string{}}), "")
	s.same("a page", s.noticed(store.NoticeFilter{Page: store.Page{Number: 2, Size: 2}}), "a")
	s.same("dead letters", get[int](s)(s.CountNotices(s.ctx, store.NoticeDead)), 1)
	s.same("pruned before their time", get[int64](s)(s.PruneNotices(s.ctx, at(2), at(1))), int64(0))
	s.same("pruned", get[int64](s)(s.PruneNotices(s.ctx, at(3), at(2))), int64(2))
	s.same("what is left is pending", s.noticed(store.NoticeFilter{}), "a")
}

// noticed gives the first letters of the ids of a listing.
func (s *suite) noticed(f store.NoticeFilter) (out string) {
	s.Helper()
	all, _, err := s.Notices(s.ctx, f)
	s.ok(err)
	for _, n := range all {
		out += n.ID[:1]
	}
	return out
}
