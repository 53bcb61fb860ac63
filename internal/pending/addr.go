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
