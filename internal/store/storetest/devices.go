package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// device n has every field set to something of its own.
func device(n int) store.Device {
	return store.Device{FP: key(n), Name: id.Device(fmt.Sprint("press-", n)), Site: "ulm", Labels: map[string]string{"hall": fmt.Sprint(n), "kind": "press"},
		State: store.OK, StateAt: at(n), StateBy: "ada", StateWhy: "admitted", HostKey: []byte{1, byte(n)}, NoiseKey: key(1000 + n), Generation: 3, Renewing: true,
		Serial: fmt.Sprint("SN", n), HostName: "h", OS: "linux", Agent: "1.0", Protocol: 1, JoinToken: [16]byte{9}, EnrolledAt: at(n), AdmittedBy: "ada", AdmittedAt: at(n),
		Dispute:  &store.Dispute{At: at(n), Why: "two lines", Lines: []store.Line{{Addr: "a", Boot: "b", Generation: 2}}},
		LastSeen: at(n), LastAddr: "192.0.2.1", ConnectedAt: at(n), Node: "n1", Boot: "boot", Tunnel: "tls", Frozen: true, ClockSkew: -3 * time.Second, Epoch: 1 << 40, LogSize: 77}
}

func names(in []store.Device) []string {
	out := []string{}
	for _, d := range in {
		out = append(out, string(d.Name))
	}
	return out
}

func deviceRoundTrip(s *suite) {
	full, bare := device(1), store.Device{FP: key(2), Name: "bare", State: store.Waiting, HostKey: []byte{1}, NoiseKey: key(3), EnrolledAt: at(2)}
	s.ok(s.AddDevice(s.ctx, full))
	s.ok(s.AddDevice(s.ctx, bare))
	one := get[store.Device](s)
	s.same("by name", one(s.Device(s.ctx, "press-1")), full)
	s.same("by host key", one(s.DeviceByFP(s.ctx, full.FP)), full)
	s.same("by Noise key", one(s.DeviceByNoise(s.ctx, full.NoiseKey)), full)
	s.same("with nothing set", one(s.Device(s.ctx, "bare")), bare)
	_, err := s.Device(s.ctx, "none")
	s.missing("by name", err)
	_, err = s.DeviceByFP(s.ctx, key(9))
	s.missing("by host key", err)
	_, err = s.DeviceByNoise(s.ctx, key(9))
	s.missing("by Noise key", err)
	s.taken("the same key again", s.AddDevice(s.ctx, full))
	twin := device(5)
	twin.NoiseKey = full.NoiseKey
	s.taken("the same Noise key", s.AddDevice(s.ctx, twin))
}

func deviceNames(s *suite) {
	first, second := device(1), device(2)
	second.Name = first.Name
	s.ok(s.AddDevice(s.ctx, first))
	s.taken("the name", s.AddDevice(s.ctx, second))
	get[store.Device](s)(s.ChangeDevice(s.ctx, first.FP, func(d *store.Device) error { d.State = store.Revoked; return nil }))
	s.same("of only revoked ones", get[store.Device](s)(s.Device(s.ctx, first.Name)).FP, first.FP)
	s.ok(s.AddDevice(s.ctx, second))
	s.same("the one in use", get[store.Device](s)(s.Device(s.ctx, first.Name)).FP, second.FP)
	_, err := s.ChangeDevice(s.ctx, first.FP, func(d *store.Device) error { d.State = store.OK; return nil })
	s.taken("a revoked one that comes back to a name in use", err)
}

func deviceChange(s *suite) {
	d := device(1)
	s.ok(s.AddDevice(s.ctx, d))
	no := errors.New("no")
	_, err := s.ChangeDevice(s.ctx, d.FP, func(d *store.Device) error { d.Site, d.Labels = "x", nil; return no })
	if !errors.Is(err, no) {
		s.Errorf("got %v, want the change's own error", err)
	}
	s.same("after a change that failed", get[store.Device](s)(s.DeviceByFP(s.ctx, d.FP)), d)
	out := get[store.Device](s)(s.ChangeDevice(s.ctx, d.FP, func(row *store.Device) error {
		s.same("the row that a change sees", *row, d)
		row.FP, row.Name, row.Labels, row.Dispute, row.ConnectedAt = key(8), "new", map[string]string{"hall": "9"}, nil, time.Time{}
		return nil
	}))
	d.Name, d.Labels, d.Dispute, d.ConnectedAt = "new", map[string]string{"hall": "9"}, nil, time.Time{}
	s.same("after a change", get[store.Device](s)(s.DeviceByFP(s.ctx, d.FP)), d)
	s.same("what a change gives", out, d)
	_, err = s.ChangeDevice(s.ctx, key(9), func(*store.Device) error { return nil })
	s.missing("a change", err)
}

func deviceLists(s *suite) {
	for n := 1; n <= 5; n++ {
		d := device(n)
		if n == 4 {
			d.Site, d.Labels = "bern_1", map[string]string{"owner": "100%"}
		}
		if n == 5 {
			d.State = store.Revoked
		}
		s.ok(s.AddDevice(s.ctx, d))
	}
	for _, c := range []struct {
		what  string
		f     store.DeviceFilter
		want  []string
		total int
	}{
		{"everything", store.DeviceFilter{}, []string{"press-5", "press-4", "press-3", "press-2", "press-1"}, 5},
		{"a page", store.DeviceFilter{Page: store.Page{Number: 2, Size: 2}}, []string{"press-3", "press-2"}, 5},
		{"a page beyond", store.DeviceFilter{Page: store.Page{Number: 9, Size: 2}}, []string{}, 5},
		{"by name, letter case aside", store.DeviceFilter{Text: "PRESS-3"}, []string{"press-3"}, 1},
		{"by serial", store.DeviceFilter{Text: "sn2"}, []string{"press-2"}, 1},
		{"by a label's value", store.DeviceFilter{Text: "100%"}, []string{"press-4"}, 1},
		{"a wildcard is a letter", store.DeviceFilter{Text: "n_1"}, []string{"press-4"}, 1},
		{"a wildcard is no wildcard", store.DeviceFilter{Text: "p%s"}, []string{}, 0},
		{"by site", store.DeviceFilter{Site: "bern_1"}, []string{"press-4"}, 1},
		{"by sites", store.DeviceFilter{Sites: []string{"bern_1", "x"}}, []string{"press-4"}, 1},
		{"by no site", store.DeviceFilter{Sites: []string{}}, []string{}, 0},
		{"by state", store.DeviceFilter{States: []store.DeviceState{store.Revoked, store.Locked}}, []string{"press-5"}, 1},
		{"by no state", store.DeviceFilter{States: []store.DeviceState{}}, []string{}, 0},
	} {
		list, total, err := s.Devices(s.ctx, c.f)
		s.ok(err)
		s.same(c.what, names(list), c.want)
		s.same(c.what+": count", total, c.total)
	}
	s.same("all that are not revoked", names(get[[]store.Device](s)(s.AllDevices(s.ctx))), []string{"press-4", "press-3", "press-2", "press-1"})
	s.same("all that are", names(get[[]store.Device](s)(s.RevokedDevices(s.ctx))), []string{"press-5"})
}

func presence(s *suite) {
	d, other := device(1), device(2)
	other.Node = "n2"
	s.ok(s.AddDevice(s.ctx, d))
	s.ok(s.AddDevice(s.ctx, other))
	s.ok(s.SetPresence(s.ctx, d.FP, store.Presence{At: at(10), Connected: true, Addr: "192.0.2.9", Node: "n1", Boot: "b2", Agent: "1.1", Protocol: 2, Tunnel: "unterminated", ClockSkew: time.Second, Epoch: 5, LogSize: 80}))
	d.Protocol = 2
	d.LastSeen, d.ConnectedAt, d.LastAddr, d.Boot, d.Agent, d.Tunnel, d.Frozen, d.ClockSkew, d.LogSize = at(10), at(10), "192.0.2.9", "b2", "1.1", "unterminated", false, time.Second, 80
	s.same("a line came", get[store.Device](s)(s.DeviceByFP(s.ctx, d.FP)), d) // the epoch did not fall
	s.ok(s.SetPresences(s.ctx, map[[32]byte]store.Presence{d.FP: {At: at(11), Node: "n1", Epoch: 1 << 41, LogSize: 3}, key(99): {At: at(11)}}))
	d.LastSeen, d.ConnectedAt, d.Epoch, d.ClockSkew = at(11), time.Time{}, 1<<41, 0
	s.same("a line went", get[store.Device](s)(s.DeviceByFP(s.ctx, d.FP)), d)
	s.missing("presence of nobody", s.SetPresence(s.ctx, key(99), store.Presence{At: at(1)}))
	s.ok(s.SetPresence(s.ctx, d.FP, store.Presence{At: at(12), Connected: true, Node: "n1"}))
	s.same("lines of a node that starts again", get[int](s)(s.DisconnectAll(s.ctx, "n1", at(13))), 1)
	s.same("its device", get[store.Device](s)(s.DeviceByFP(s.ctx, d.FP)).Online(), false)
	s.same("another node's", get[store.Device](s)(s.DeviceByFP(s.ctx, other.FP)).Online(), true)
}

func joinToken(n int) store.JoinToken {
	return store.JoinToken{ID: [16]byte{byte(n)}, SecretHash: key(n), Name: "press", Site: "ulm", Labels: map[string]string{"hall": "1"}, Uses: 1, UsesLeft: 1,
		Created: at(n), CreatedBy: "ada", Expires: at(60), Serial: "SN1", BundleHash: key(7)}
}

func joinTokens(s *suite) {
	a, b := joinToken(1), joinToken(2)
	b.Labels, b.Uses, b.UsesLeft = nil, 3, 0 // all uses are left, whatever is said
	s.ok(s.AddJoinToken(s.ctx, a))
	s.ok(s.AddJoinToken(s.ctx, b))
	b.UsesLeft = 3
	s.same("one", get[store.JoinToken](s)(s.JoinToken(s.ctx, a.ID)), a)
	s.same("all, newest first", get[[]store.JoinToken](s)(s.JoinTokens(s.ctx)), []store.JoinToken{b, a})
	s.taken("the same id", s.AddJoinToken(s.ctx, a))
	_, err := s.JoinToken(s.ctx, [16]byte{9})
	s.missing("a code", err)
	s.ok(s.RevokeJoinToken(s.ctx, a.ID, at(5), "ada"))
	s.ok(s.RevokeJoinToken(s.ctx, a.ID, at(6), "bob"))
	a.Revoked, a.RevokedBy = at(5), "ada"
	s.same("revoked twice", get[store.JoinToken](s)(s.JoinToken(s.ctx, a.ID)), a)
	s.missing("revoking a code", s.RevokeJoinToken(s.ctx, [16]byte{9}, at(5), "ada"))
}

func redeemOnce(s *suite) {
	tok := joinToken(1)
	s.ok(s.AddJoinToken(s.ctx, tok))
	const n = 50
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			d := device(i)
			_, errs[i] = s.Redeem(s.ctx, tok.ID, d.FP, d.NoiseKey, "192.0.2.1", func(store.Joining) (store.Joined, error) { return store.Joined{Device: d}, nil })
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		if err != nil {
			s.taken("a loser", err)
			continue
		}
		if won >= 0 {
			s.Errorf("both %d and %d redeemed a code with one use", won, i)
		}
		won = i
	}
	if won < 0 {
		s.Fatal("nobody won")
	}
	s.same("devices", names(get[[]store.Device](s)(s.AllDevices(s.ctx))), []string{string(device(won).Name)})
	got := get[store.JoinToken](s)(s.JoinToken(s.ctx, tok.ID))
	tok.UsesLeft, tok.Used = 0, []store.JoinUse{{At: at(won), FP: key(won), Name: device(won).Name, Addr: "192.0.2.1"}}
	s.same("the code", got, tok)
}

func redeemNothing(s *suite) {
	tok, d := joinToken(1), device(1)
	s.ok(s.AddJoinToken(s.ctx, tok))
	no := errors.New("no")
	redeem := func(d store.Device, decide func(store.Joining) (store.Joined, error)) error {
		_, err := s.Redeem(s.ctx, tok.ID, d.FP, d.NoiseKey, "a", decide)
		return err
	}
	err := redeem(d, func(j store.Joining) (store.Joined, error) {
		taken, err := j.Taken(d.Name)
		if j.Known != nil || taken || err != nil || j.Token.ID != tok.ID {
			s.Errorf("got %+v, taken %v, %v", j, taken, err)
		}
		return store.Joined{Device: d}, no
	})
	if !errors.Is(err, no) {
		s.Errorf("got %v, want the decision's own error", err)
	}
	s.same("the code after a refusal", get[store.JoinToken](s)(s.JoinToken(s.ctx, tok.ID)), tok)
	s.ok(s.AddDevice(s.ctx, d))
	s.ok(redeem(d, func(j store.Joining) (store.Joined, error) {
		if j.Known == nil || j.Known.Name != d.Name {
			s.Errorf("got %+v, want the device known", j.Known)
		}
		if taken, _ := j.Taken(d.Name); !taken {
			s.Error("the name is not taken")
		}
		return store.Joined{Device: *j.Known, Again: true}, nil
	}))
	stranger := device(2)
	stranger.NoiseKey = d.NoiseKey
	err = redeem(stranger, func(j store.Joining) (store.Joined, error) {
		if j.Known == nil || j.Known.FP != d.FP {
			s.Errorf("got %+v, want the owner of the Noise key", j.Known)
		}
		return store.Joined{Device: stranger}, nil
	})
	s.taken("a device with another's key", err)
	s.same("the code after all", get[store.JoinToken](s)(s.JoinToken(s.ctx, tok.ID)), tok)
	_, err = s.Redeem(s.ctx, [16]byte{9}, d.FP, d.NoiseKey, "a", func(store.Joining) (store.Joined, error) { s.Error("decided"); return store.Joined{}, nil })
	s.is("an unknown code", err, store.ErrNotFound, errkind.NotFound)
}

func bundles(s *suite) {
	_, err := s.LatestBundle(s.ctx)
	s.missing("a bundle", err)
	a, b := store.Bundle{Serial: 2, Body: []byte("b"), Sig: []byte("s"), Hash: key(1), At: at(1)}, store.Bundle{Serial: 1, Body: []byte("a"), Sig: []byte("t"), Hash: key(2), At: at(2)}
	s.ok(s.AddBundle(s.ctx, a))
	s.ok(s.AddBundle(s.ctx, b))
	s.same("by hash", get[store.Bundle](s)(s.BundleByHash(s.ctx, key(2))), b)
	s.same("the latest has the highest serial", get[store.Bundle](s)(s.LatestBundle(s.ctx)), a)
	s.taken("a serial", s.AddBundle(s.ctx, store.Bundle{Serial: 2, Body: []byte("x"), Sig: []byte("s"), Hash: key(3), At: at(1)}))
	s.taken("a hash", s.AddBundle(s.ctx, store.Bundle{Serial: 3, Body: []byte("x"), Sig: []byte("s"), Hash: key(1), At: at(1)}))
	_, err = s.BundleByHash(s.ctx, key(9))
	s.missing("a bundle by hash", err)
}
