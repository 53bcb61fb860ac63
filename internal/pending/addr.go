package pending

import "net/netip"

// Network is what counts as one asker: an IPv4 address or an IPv6 /64, since whoever has one address of that has all.
func Network(a netip.Addr) string {
	if a = a.Unmap(); a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// Wider is the network around one that Network gave: of IPv6 the /48 that a single customer may have whole, with 65536
// networks in it. An IPv4 address stays.
func Wider(network string) string {
	p, err := netip.ParsePrefix(network)
	if err != nil || !p.Addr().Is6() {
		return network
	}
	return netip.PrefixFrom(p.Addr(), 48).Masked().String()
}
