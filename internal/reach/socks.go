// golang.org/x/net/proxy also speaks SOCKS5, but returns each reply of the proxy as a text without its code: a wrong
// password, a forbidden target and an unreachable one could be told apart only by the library's wording.

package reach

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

// Replies of a SOCKS5 server (RFC 1928 section 6).
const (
	socksDone      = 0
	socksForbidden = 2
	socksLast      = 8
)

// socks asks a SOCKS5 proxy (RFC 1928) for a tunnel. The proxy resolves the target's name.
func socks(conn net.Conn, proxy *url.URL, addr string) error {
	fail := &ProxyError{Proxy: proxy.Host, Credentials: proxy.User != nil, Socks: true}
	want, err := socksTarget(addr)
	if err == nil {
		err = socksMethod(conn, proxy, fail)
	}
	if err == nil {
		err = socksConnect(conn, want, fail)
	}
	if err != nil {
		fail.Err = err
		return fail
	}
	return nil
}

// socksMethod agrees on no authentication, or on a user name and a password (RFC 1929).
func socksMethod(conn net.Conn, proxy *url.URL, fail *ProxyError) error {
	offer := []byte{5, 1, 0}
	if proxy.User != nil {
		offer = []byte{5, 2, 0, 2}
	}
	var got [2]byte
	if err := ask(conn, offer, got[:]); err != nil {
		return err
	}
	switch {
	case got[0] != 5:
		return errNotSocks
	case got[1] == 0:
		return nil
	case got[1] != 2 || proxy.User == nil:
		fail.Status = 407 // the HTTP status with this meaning
		return errors.New("the proxy requires authentication")
	}
	user := proxy.User.Username()
	password, _ := proxy.User.Password()
	msg := append([]byte{1, byte(len(user))}, user...) // at most 255 bytes, as ParseProxy has checked
	msg = append(append(msg, byte(len(password))), password...)
	if err := ask(conn, msg, got[:]); err != nil {
		return err
	}
	if got[1] != 0 {
		fail.Status = 407
		return errors.New("the proxy refuses user name or password")
	}
	return nil
}

var errNotSocks = errors.New("not a SOCKS5 answer")

func socksConnect(conn net.Conn, want []byte, fail *ProxyError) error {
	var head [5]byte // version, reply, reserved, kind of address, first byte of it
	if err := ask(conn, append([]byte{5, 1, 0}, want...), head[:]); err != nil {
		return err
	}
	switch reply := head[1]; {
	case head[0] != 5 || reply > socksLast:
		return errNotSocks
	case reply == socksForbidden:
		fail.Status = 403
		return errors.New("forbidden by the proxy's rules")
	case reply != socksDone:
		fail.Status = 502
		return fmt.Errorf("SOCKS5 reply %d", reply)
	}
	rest := map[byte]int{1: 4 - 1 + 2, 3: int(head[4]) + 2, 4: 16 - 1 + 2}[head[3]] // of the address, and the port
	if rest == 0 {
		return errNotSocks
	}
	_, err := io.CopyN(io.Discard, conn, int64(rest))
	return err
}

// ask writes msg, then fills answer.
func ask(conn net.Conn, msg, answer []byte) error {
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, answer)
	return err
}

// socksTarget writes host:port as kind, address and port.
func socksTarget(addr string) ([]byte, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	var out []byte
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Unmap().Is4():
		out = append([]byte{1}, ip.Unmap().AsSlice()...)
	case err == nil:
		out = append([]byte{4}, ip.AsSlice()...)
	case len(host) > 255:
		return nil, errors.New("the name is too long for SOCKS5")
	default:
		out = append([]byte{3, byte(len(host))}, host...)
	}
	return append(out, byte(n>>8), byte(n)), nil
}
