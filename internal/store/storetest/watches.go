package storetest

import (
	"errors"

	"github.com/sallyport/sallyport/internal/store"
)

func watches(s *suite) {
	fits, full := func(int) error { return nil }, errors.New("full")
	watch := func(fp byte, minute int) store.OnlineWatch {
		return store.OnlineWatch{FP: [32]byte{fp}, Who: tess, Created: at(minute)}
	}
	s.ok(s.AddOnlineWatch(s.ctx, watch(1, 1), fits))
	s.ok(s.AddOnlineWatch(s.ctx, watch(2, 2), fits))
	others := -1
	count := func(n int) error { others = n; return nil }
	s.ok(s.AddOnlineWatch(s.ctx, watch(1, 9), count))
	s.same("others than a device that is watched", others, 1)
	if err := s.AddOnlineWatch(s.ctx, watch(3, 3), func(int) error { return full }); !errors.Is(err, full) {
		s.Errorf("got %v", err)
	}
	s.same("of a person", get[[]store.OnlineWatch](s)(s.OnlineWatchesOf(s.ctx, tess)), []store.OnlineWatch{watch(1, 1), watch(2, 2)})
	s.same("of a device", get[[]store.OnlineWatch](s)(s.OnlineWatches(s.ctx, [32]byte{1})), []store.OnlineWatch{watch(1, 1)})
	s.ok(s.DropOnlineWatch(s.ctx, [32]byte{9}, tess))
	s.taken("with a notification whose id is taken", s.TakeOnlineWatches(s.ctx, [32]byte{1}, notification(3), notification(3)))
	s.same("after that", len(get[[]store.OnlineWatch](s)(s.OnlineWatches(s.ctx, [32]byte{1}))), 1)
	s.ok(s.TakeOnlineWatches(s.ctx, [32]byte{1}, notification(3)))
	s.ok(s.DropOnlineWatch(s.ctx, [32]byte{2}, tess))
	s.same("taken and dropped", len(get[[]store.OnlineWatch](s)(s.OnlineWatchesOf(s.ctx, tess))), 0)
	s.same("notifications", s.listedNotifications(store.NotificationFilter{}), "d")
}
