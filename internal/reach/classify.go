package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Settings that appear in hints.
const (
	proxySetting = "HTTPS_PROXY (for an agent: `sallyport-agent proxy set`, or --proxy of enroll). Its form is " +
		proxyForm + "."
	caSetting = "--ca FILE"
)

// classify gives the cause of a failure with its text and hint.
func classify(host string, err error) (Cause, string, string) {
	var proxy *ProxyError
	if errors.As(err, &proxy) {
		return proxy.classify(host)
	}
	var answer *Answer
	if errors.As(err, &answer) {
		return answer.classify(host)
	}
	for _, look := range []func(string, error) (Cause, string, string){certificate, handshake, connection} {
		if c, text, hint := look(host, err); c != Other {
			return c, text, hint
		}
	}
	return Other, host + " cannot be reached: " + words(err),
		"Check the address, the network and, where one is needed, the proxy in " + proxySetting
}

// connection classifies failures before TLS, and connections that end.
func connection(host string, err error) (Cause, string, string) {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return NameUnknown, "the name " + name(host) + " is not known in DNS",
			"Check the address for typing errors, and this machine's DNS settings."
	case errors.As(err, &dns):
		return NameServer, "DNS does not answer when asked for " + name(host),
			"Check this machine's network and its DNS settings."
	case is(err, noRoute...):
		return NoRoute, "this machine has no network route to " + host,
			"Check its cable, its network settings and its default route."
	case is(err, refused...):
		return Refused, "nothing listens at " + host + " (connection refused)",
			"Check the address and the port, and that the gateway runs."
	case is(err, syscall.EACCES, syscall.EPERM):
		return Blocked, "this machine does not permit a connection to " + host,
			"A firewall or a security policy of this machine forbids it."
	case timeout(err):
		return Silent, host + " does not answer",
			"A firewall may drop the connection. Outgoing TCP to " + host + " must be allowed, or a proxy be set in " +
				proxySetting
	case is(err, closed...) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "server closed idle connection"): // http.Transport has no value for it
		return Closed, host + " closed the connection before it answered",
			"A firewall or a proxy on the way may cut it, and so may a gateway that is stopping. Try again in a minute."
	}
	return Other, "", ""
}

func is(err error, any ...error) bool {
	for _, e := range any {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func timeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout()
}

// certificate classifies certificates that were not accepted. x509 has one reason for "expired" and "not yet valid".
func certificate(host string, err error) (Cause, string, string) {
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var wrong x509.HostnameError
	var other *tls.CertificateVerificationError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return period(host, invalid.Cert, time.Now())
	case errors.As(err, &authority):
		return Authority, "the certificate of " + host + " is signed by an authority that this machine does not trust",
			"If the gateway has a private authority, or a proxy here opens TLS, give that authority's certificate " +
				"with " + caSetting + ". If you expect neither, another party may be intercepting the connection."
	case errors.As(err, &wrong):
		return WrongName, "the certificate at " + host + " is for other names" + names(wrong.Certificate),
			"Check the address. It must be one of the names in the certificate."
	case errors.As(err, &invalid):
		return Certificate, "the certificate of " + host + " is not acceptable: " + words(invalid),
			"The gateway's administrator must replace the certificate."
	case errors.As(err, &other):
		return Certificate, "the certificate of " + host + " is not acceptable: " + words(other.Err),
			"The gateway's administrator must replace the certificate."
	}
	return Other, "", ""
}

// period tells an expired certificate from one that is not valid yet. This machine's clock may be wrong, so the text
// shows both times.
func period(host string, c *x509.Certificate, now time.Time) (Cause, string, string) {
	day := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
	if now.Before(c.NotBefore) {
		return NotYet, "the certificate of " + host + " is not valid before " + day(c.NotBefore) +
				", and this machine's clock says " + day(now),
			"Set this machine's clock. If it is right, the certificate was issued for later."
	}
	return Expired, "the certificate of " + host + " expired on " + day(c.NotAfter) +
			", and this machine's clock says " + day(now),
		"If the clock is right, the gateway's administrator must renew the certificate. Otherwise set the clock."
}

// names lists up to three names of a certificate.
func names(c *x509.Certificate) string {
	if c == nil || len(c.DNSNames) == 0 {
		return ""
	}
	return " (" + printable(strings.Join(c.DNSNames[:min(len(c.DNSNames), 3)], ", ")) + ")"
}

// handshake classifies TLS failures other than certificates, and answers that are not HTTP.
func handshake(host string, err error) (Cause, string, string) {
	var record tls.RecordHeaderError
	var alert *net.OpError
	switch text := err.Error(); {
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return NotTLS, host + " does not speak TLS",
			"Check the port. A gateway's address begins with https:// (a demo's with http://). A portal or a proxy may " +
				"answer instead of the gateway."
	case errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(text, "no application protocol"):
		return HTTP2Only, host + " offers HTTP/2 only, and a session needs HTTP/1.1 for its WebSocket",
			"Let the proxy in front of the gateway accept HTTP/1.1 beside HTTP/2."
	case errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(text, "unrecognized name"):
		return WrongName, host + " does not serve this name",
			"Check the address, and the server names of the proxy in front of the gateway."
	case errors.As(err, &alert) && alert.Op == "remote error":
		return TLSRefused, host + " refused the TLS connection: " + words(alert.Err),
			"The proxy in front of the gateway must accept TLS 1.2 or later, without client certificates."
	case strings.Contains(text, "malformed HTTP") && strings.Contains(text, `\x04\x00\x00\x00\x00\x00`):
		// The server sent its SETTINGS frame (RFC 9113 section 3.4).
		return HTTP2Only, host + " speaks HTTP/2 only, and a session needs HTTP/1.1 for its WebSocket",
			"Let the proxy in front of the gateway accept HTTP/1.1 beside HTTP/2."
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "malformed MIME"),
		strings.Contains(text, "readLoopPeekFailLocked"): // http.Transport's text for bytes before the request
		return NotHTTP, "the answer of " + host + " is not HTTP",
			"Check the address and the port: another kind of server listens there."
	}
	return Other, "", ""
}

// name gives host without its port.
func name(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// words gives a library's text for a failure, without the failed request, in printable characters.
func words(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return printable(err.Error())
}

// mostWords bounds text from libraries.
const mostWords = 160

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, s)
	if r := []rune(s); len(r) > mostWords {
		s = string(r[:mostWords]) + "…"
	}
	return s
}

// status writes a status code with its standard text, never with the text that the other side sent.
func status(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}
