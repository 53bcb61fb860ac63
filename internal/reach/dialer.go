package reach

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Dialer opens TCP connections, directly or through a proxy. Its zero value dials directly.
type Dialer struct {
	Proxy  func(*http.Request) (*url.URL, error) // as in http.Transport; nil: no proxy
	Scheme string                                // of the target's URL, which Proxy sees: http or https
	TLS    *tls.Config                           // for a proxy with an https address; nil: the system's authorities

	// Net opens the TCP connection to the target or the proxy; nil: a net.Dialer that waits 15 s at most.
	Net func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Times of a connection.
const (
	connectTime = 15 * time.Second // for TCP
	proxyTime   = 20 * time.Second // for the proxy to reach the target
)

// maxHead bounds a proxy's answer.
const maxHead = 64 << 10

// DialContext connects to addr (host:port) over network ("tcp"). A failure of the proxy is a *ProxyError, and a proxy's
// address that can never work is an error of kind errkind.Usage. Other errors come from the network. A proxy has 20 s
// to reach the target.
func (d Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	proxy, err := d.proxy(addr)
	if err != nil {
		return nil, err
	}
	if proxy == nil {
		return d.net(ctx, network, addr)
	}
	at := proxy.Host
	conn, err := d.net(ctx, network, at)
	if err != nil {
		return nil, &ProxyError{Proxy: at, Err: err, Dial: true}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(proxyTime))
	through, err := d.through(ctx, conn, proxy, addr)
	if !stop() { // the connection was closed for ctx, so err does not say why
		err = &ProxyError{Proxy: at, Err: context.Cause(ctx)}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return through, nil
}

func (d Dialer) net(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.Net != nil {
		return d.Net(ctx, network, addr)
	}
	return (&net.Dialer{Timeout: connectTime}).DialContext(ctx, network, addr)
}

// proxy chooses the proxy for addr.
func (d Dialer) proxy(addr string) (*url.URL, error) {
	if d.Proxy == nil {
		return nil, nil
	}
	u, err := d.Proxy(&http.Request{URL: &url.URL{Scheme: d.Scheme, Host: addr}})
	if _, ours := Of(err); err != nil && !ours {
		return nil, unusable("", "", "it is not a URL") // err may hold the password
	}
	if err != nil || u == nil {
		return nil, err
	}
	return ParseProxy(u.String(), "")
}

// through asks the proxy at the other end of conn for a tunnel to addr.
func (d Dialer) through(ctx context.Context, conn net.Conn, proxy *url.URL, addr string) (net.Conn, error) {
	switch proxy.Scheme {
	case "http":
		return conn, connect(conn, proxy, addr)
	case "https":
		conf := WebSocketTLS(d.TLS)
		conf.ServerName = proxy.Hostname()
		t := tls.Client(conn, conf)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, &ProxyError{Proxy: proxy.Host, Err: err, Dial: true}
		}
		return t, connect(t, proxy, addr)
	}
	return conn, socks(conn, proxy, addr)
}

// WebSocketTLS gives the configuration for a WebSocket: a copy of base that offers HTTP/1.1 alone. A WebSocket upgrade
// (RFC 6455) is an HTTP/1.1 request, and http.Transport adds h2 to the configuration that it is given; a server that
// then chooses h2 breaks it.
func WebSocketTLS(base *tls.Config) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		c = base.Clone()
	}
	c.NextProtos = []string{"http/1.1"}
	return c
}

// connect asks an HTTP proxy for a tunnel (RFC 9110 section 9.3.6).
func connect(conn net.Conn, proxy *url.URL, addr string) error {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	fail := &ProxyError{Proxy: proxy.Host}
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		basic := http.Request{Header: http.Header{}}
		basic.SetBasicAuth(u.Username(), password)
		req.Header.Set("Proxy-Authorization", basic.Header.Get("Authorization"))
		fail.Credentials = true
	}
	if fail.Err = req.Write(conn); fail.Err != nil {
		return fail
	}
	in := bufio.NewReader(io.LimitReader(conn, maxHead))
	resp, err := http.ReadResponse(in, req) //nolint:bodyclose // what follows the answer is the tunnel, no body
	if err != nil {
		fail.Err = err
		return fail
	}
	if fail.Status = resp.StatusCode; fail.Status/100 != 2 {
		fail.Schemes = resp.Header.Values("Proxy-Authenticate")
		fail.Err = &Answer{Status: fail.Status}
		return fail
	}
	if in.Buffered() > 0 { // the target never speaks first: in TLS and in HTTP the client does
		fail.Status, fail.Err = 0, errors.New("it sent bytes before the client did")
		return fail
	}
	return nil
}
