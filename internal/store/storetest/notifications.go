package storetest

import (
	"errors"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/store"
)

// notification is number n, created at minute n and due then.
func notification(n int) store.Notification {
	return store.Notification{ID: strings.Repeat(string(rune('a'+n)), 26), Kind: "request.asked", Request: "r", Device: "press-1", Channel: store.ChannelMail,
		To: "lea@x.example", Event: []byte(`{}`), State: store.NotificationPending, Created: at(n), GiveUp: at(n + 60), NextTry: at(n), Attempts: n, Error: "none"}
}

func notifications(s *suite) {
	fits := func(int, int) error { return nil }
	full := errors.New("full")
	q := request(0, tess, "press-1")
	if err := s.AddRequest(s.ctx, q, func(int, int) error { return full }, notification(0)); !errors.Is(err, full) {
		s.Errorf("got %v", err)
	}
	s.same("notifications of a request that was refused", s.listedNotifications(store.NotificationFilter{}), "")
	s.ok(s.AddRequest(s.ctx, q, fits, notification(0)))
	about := func(q store.Request) []store.Notification {
		n := notification(1)
		n.Request = q.ID
		return []store.Notification{n}
	}
	if _, err := s.ChangeRequest(s.ctx, q.ID, func(*store.Request) error { return full }, about); !errors.Is(err, full) {
		s.Errorf("got %v", err)
	}
	s.same("notifications of a change that failed", s.listedNotifications(store.NotificationFilter{}), "a")
	_, err := s.ChangeRequest(s.ctx, q.ID, func(q *store.Request) error { q.Answer = "x"; return nil }, about)
	s.ok(err)
	if _, err := s.ChangeRequest(s.ctx, q.ID, func(q *store.Request) error { q.Answer = "y"; return nil }, about); !errors.Is(err, store.ErrConflict) {
		s.Errorf("a notification whose id is taken: got %v", err)
	}
	s.same("the request of a notification that could not be stored", get[store.Request](s)(s.Request(s.ctx, q.ID)).Answer, "x")
	s.taken("an id twice", s.AddNotifications(s.ctx, notification(2), notification(0)))
	s.ok(s.AddNotifications(s.ctx, notification(2)))
	s.same("all, newest first", s.listedNotifications(store.NotificationFilter{}), "cba")
	notificationChanges(s)
}

func notificationChanges(s *suite) {
	due := func(n, most int) (out string) {
		s.Helper()
		for _, n := range get[[]store.Notification](s)(s.DueNotifications(s.ctx, store.ChannelMail, at(n), most)) {
			out += n.ID[:1]
		}
		return out
	}
	hook := notification(9)
	hook.Channel = store.ChannelWebhook + "ops"
	s.ok(s.AddNotifications(s.ctx, hook))
	s.same("channels that are due", get[[]string](s)(s.DueChannels(s.ctx, at(8))), []string{store.ChannelMail})
	s.same("and later", get[[]string](s)(s.DueChannels(s.ctx, at(9))), []string{store.ChannelMail, hook.Channel})
	_, err := s.ChangeNotification(s.ctx, hook.ID, func(n *store.Notification) error { n.State, n.Created = store.NotificationSent, at(-1); return nil })
	s.ok(err)
	s.same("pruned", get[int64](s)(s.PruneNotifications(s.ctx, at(0), at(0))), int64(1))
	s.same("due, the first first", due(1, 10), "ab")
	s.same("at most one", due(2, 1), "a")
	want := notification(2)
	want.State, want.NextTry, want.Done, want.Attempts, want.Error = store.NotificationSent, time.Time{}, at(5), 3, ""
	got, err := s.ChangeNotification(s.ctx, want.ID, func(n *store.Notification) error { *n = want; return nil })
	s.ok(err)
	s.same("as changed", got, want)
	if _, err := s.ChangeNotification(s.ctx, want.ID, func(n *store.Notification) error { n.Error = "x"; return store.ErrBusy }); !errors.Is(err, store.ErrBusy) {
		s.Errorf("got %v", err)
	}
	all, n, err := s.Notifications(s.ctx, store.NotificationFilter{ID: "cc"})
	s.ok(err)
	s.same("stored", all, []store.Notification{want})
	s.same("counted", n, 1)
	s.same("due after it was sent", due(60, 10), "ab")
	_, err = s.ChangeNotification(s.ctx, "none", func(*store.Notification) error { return nil })
	s.missing("changing none", err)
	_, err = s.ChangeNotification(s.ctx, notification(1).ID, func(n *store.Notification) error { n.State = store.NotificationDead; return nil })
	s.ok(err)
	s.same("of one state", s.listedNotifications(store.NotificationFilter{States: []string{store.NotificationDead}}), "b")
	s.same("of no state", s.listedNotifications(store.NotificationFilter{States: []string{}}), "")
	s.same("a page", s.listedNotifications(store.NotificationFilter{Page: store.Page{Number: 2, Size: 2}}), "a")
	s.same("dead letters", get[int](s)(s.CountNotifications(s.ctx, store.NotificationDead)), 1)
	s.same("pruned before their time", get[int64](s)(s.PruneNotifications(s.ctx, at(2), at(1))), int64(0))
	s.same("pruned", get[int64](s)(s.PruneNotifications(s.ctx, at(3), at(2))), int64(2))
	s.same("what is left is pending", s.listedNotifications(store.NotificationFilter{}), "a")
}

// listedNotifications gives the first letters of the ids of a listing.
func (s *suite) listedNotifications(f store.NotificationFilter) (out string) {
	s.Helper()
	all, _, err := s.Notifications(s.ctx, f)
	s.ok(err)
	for _, n := range all {
		out += n.ID[:1]
	}
	return out
}
