package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/wire"
)

// settleTime groups changes that come together: a new DHCP lease removes an address, adds one and sets routes.
const settleTime = 500 * time.Millisecond

// watchNetwork acts on a change of this device's network, until ctx ends. Where the kernel cannot be asked for events,
// pings and back-off notice changes later.
func (a *Agent) watchNetwork(ctx context.Context) {
	events, err := networkEvents()
	if err != nil {
		a.cfg.Log.Debug("the network cannot be watched, so only pings detect its changes", slog.Any("error", err))
		return
	}
	defer events.Close()
	defer context.AfterFunc(ctx, func() { events.Close() })()
	before := a.network()
	for waitForEvent(ctx, events) {
		now := a.network()
		if now == before {
			continue // something else changed, such as a container's interface
		}
		before = now
		a.networkChanged(false)
	}
}

// networkEvents subscribes to the kernel's messages about carriers, addresses and routes (rtnetlink(7)). It needs no
// privilege.
func networkEvents() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE |
		unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV6_ROUTE
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// waitForEvent waits for one message and discards those that follow shortly after. It does not read their content: only
// the state of the network afterwards matters. ENOBUFS means that the queue overflowed, so there were messages.
func waitForEvent(ctx context.Context, events *os.File) bool {
	buf := make([]byte, 4096)
	if _, err := events.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
		return false
	}
	select {
	case <-time.After(settleTime):
	case <-ctx.Done():
		return false
	}
	events.SetReadDeadline(time.Now())
	for {
		if _, err := events.Read(buf); err != nil && !errors.Is(err, unix.ENOBUFS) {
			break
		}
	}
	return events.SetReadDeadline(time.Time{}) == nil
}

// network describes what connections depend on: which interfaces have a carrier, and the source address of packets to
// the Internet and to the gateway (or the proxy). It sends nothing: connecting a UDP socket only selects a route.
func (a *Agent) network() string {
	parts := carriers()
	a.mu.Lock()
	peer := a.peer
	a.mu.Unlock()
	for _, to := range []netip.Addr{documentation4, documentation6, peer} {
		parts = append(parts, source(to))
	}
	return strings.Join(parts, " ")
}

// carriers names the interfaces that have a carrier. It leaves out members of a bridge or bond: containers come and go
// there.
func carriers() (names []string) {
	const dir = "/sys/class/net"
	all, _ := os.ReadDir(dir)
	for _, e := range all {
		if _, err := os.Lstat(filepath.Join(dir, e.Name(), "master")); err == nil {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, e.Name(), "carrier"))
		if err == nil && strings.TrimSpace(string(raw)) == "1" {
			names = append(names, e.Name())
		}
	}
	return names
}

// Two addresses that represent the Internet. They are reserved for documentation (RFC 5737, RFC 3849), so only a
// default route leads there.
var (
	documentation4 = netip.MustParseAddr("192.0.2.1")
	documentation6 = netip.MustParseAddr("2001:db8::1")
)

// source gives the source address of packets to another address; "none" without a route.
func source(to netip.Addr) string {
	if !to.IsValid() {
		return ""
	}
	c, err := net.Dial("udp", netip.AddrPortFrom(to, 9).String())
	if err != nil {
		return "none"
	}
	defer c.Close()
	return fmt.Sprint(addrOf(c.LocalAddr()))
}

// networkChanged pings the gateway, or ends the wait for the next try. asked: the owner requested it. A connection
// receives nothing once its local address is removed, so its line is given up at once.
func (a *Agent) networkChanged(asked bool) {
	a.mu.Lock()
	l := a.line
	a.mu.Unlock()
	switch {
	case l == nil:
		if asked { // the owner's request ends more waits than a detected change, so it replaces one in the queue
			select {
			case <-a.changed:
			default:
			}
		}
		select {
		case a.changed <- asked:
		default:
		}
	case !own(l.local):
		l.giveUp(fmt.Errorf("this device no longer has the address %s of its line", l.local))
	default:
		l.pingNow()
	}
}

// own reports whether an address belongs to this device: only its own addresses can be bound. If that cannot be told,
// it reports true.
func own(a netip.Addr) bool {
	if !a.IsValid() {
		return true
	}
	c, err := net.ListenPacket("udp", netip.AddrPortFrom(a, 0).String())
	if err == nil {
		c.Close()
	}
	return !errors.Is(err, unix.EADDRNOTAVAIL)
}

// dialled records the peer of a connection.
func (a *Agent) dialled(ws *wire.WS) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.peer = addrOf(ws.RemoteAddr())
}

// addrOf is the IP address of a network address; the zero address if it has none.
func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}
