package pending

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

func TestOneCustomersNetworksAreOneWiderNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"2001:db8:1:2::3":    "2001:db8:1::/48",
		"2001:db8:1:ffff::3": "2001:db8:1::/48",
		"2001:db8:2:2::3":    "2001:db8:2::/48",
		"::ffff:192.0.2.1":   "192.0.2.1",
		"192.0.2.1":          "192.0.2.1",
	} {
		if got := Wider(Network(netip.MustParseAddr(addr))); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
	if got := Wider(Network(netip.Addr{})); got != Network(netip.Addr{}) {
		t.Errorf("no address: got %s", got)
	}
}

func TestNoCustomerFillsTheCodes(t *testing.T) {
	c := NewCodes[string, string](time.Now)
	n := 0
	for ; n < mostCodes; n++ {
		if _, _, err := c.Begin("q", Network(netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", n)))); err != nil {
			if errkind.KindOf(err) != errkind.TooMany {
				t.Fatal(err)
			}
			break
		}
	}
	if n != mostOfWider {
		t.Errorf("got %d codes for one /48, want %d", n, mostOfWider)
	}
	if _, _, err := c.Begin("q", Network(netip.MustParseAddr("2001:db8:2::1"))); err != nil {
		t.Errorf("somebody else: got %v", err)
	}
}
