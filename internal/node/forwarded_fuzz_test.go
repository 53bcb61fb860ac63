package node

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzForwarded: only a trusted proxy is believed, and only as far as trusted ones wrote: what stands left of the first stranger is
// the stranger's word.
func FuzzForwarded(f *testing.F) {
	f.Add("127.0.0.1:1", "203.0.113.9, 10.1.2.3", "")
	f.Add("203.0.113.7:1", "192.0.2.1", "192.0.2.2")
	f.Add("[::1]:1", "::ffff:10.0.0.1,", "fe80::1%eth0")
	f.Add("127.0.0.1:1", "10.0.0.1,x,10.0.0.2", "")
	f.Add("[::1]:1", "::ffff:10.0.0.17", "0::1%ethf")
	trusted := netip.MustParsePrefix("10.0.0.0/8")
	of := forwarded([]string{"127.0.0.0/8", "::1/128", trusted.String()})
	f.Fuzz(func(t *testing.T, remote, one, two string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {one, two}}}
		ap, _ := netip.ParseAddrPort(remote)
		peer, got := ap.Addr().Unmap(), of(r)
		ours := func(a netip.Addr) bool { // no network holds an address with a zone
			return a.Zone() == "" && (a.IsLoopback() && a.Unmap() == a || trusted.Contains(a))
		}
		hops := strings.Split(one+","+two, ",")
		hop := func(i int) netip.Addr { // the zero address: it cannot be read, or there is none
			if i < 0 {
				return netip.Addr{}
			}
			a, _ := netip.ParseAddr(strings.TrimSpace(hops[i]))
			return a.Unmap()
		}
		ok := got == peer && (!ours(peer) || !hop(len(hops)-1).IsValid())
		for i := len(hops) - 1; i >= 0 && !ok && ours(peer) && hop(i).IsValid(); i-- { // all hops on the right of i are ours
			if ok = got == hop(i) && (!ours(got) || !hop(i-1).IsValid()); !ours(hop(i)) {
				break
			}
		}
		if !ok {
			t.Errorf("%q, %q, %q: got %s", remote, one, two, got)
		}
	})
}
