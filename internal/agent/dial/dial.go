// Package dial reaches the gateway: outbound only, the hosts of the trust bundle only, through the proxies that plants
// have, and without believing the machine's clock.
//
// # What TLS is here
//
// Transport. What a gateway is trusted by is the Noise key inside, which a bundle or a join code pins. So an inspecting proxy whose
// authority the machine trusts is let through, and noticed (wire.WS.Exporter), and a certificate is judged at the times that a
// machine with a wrong clock can defend. Whoever breaks TLS reads that a machine is there and when it works, and no more.
//
// # What it refuses
//
// It follows no redirect and dials no host that the caller did not name. Every failure is classified by package reach:
// most first contacts fail by a proxy, a firewall or a certificate. Only the agent and its supervisors may import this
// package, because it knows the state directory.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/wire"
)

// Built is the floor of time: no certificate that ended before it was ever of use to this program.
var Built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// Dialer knows the way out.
type Dialer struct {
	CA    string // file with certificates to trust beside the system's; empty: the system's
	Proxy string // http://user:password@host:port or socks5://…; empty: that of the environment
	Floor time.Time
	Time  time.Time // signed, if one is known
}

// Dial opens a WebSocket to a host of the bundle.
func (d Dialer) Dial(ctx context.Context, host, path, subprotocol string, limit int64, header http.Header) (*wire.WS, error) {
	proxy, err := d.proxy()
	if err != nil {
		return nil, err
	}
	conf, err := d.tls(host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*wire.HandshakeTime)
	defer cancel()
	ws, err := wire.DialWS(ctx, wire.Dial{Host: host, Path: path, Subprotocol: subprotocol, Header: header, TLS: conf, Proxy: proxy, Limit: limit})
	if err != nil {
		return nil, reach.Explain(host, err)
	}
	return ws, nil
}

func (d Dialer) proxy() (func(*http.Request) (*url.URL, error), error) {
	if d.Proxy == "" {
		return reach.FromEnvironment, nil
	}
	u, err := reach.ParseProxy(d.Proxy, "")
	if err != nil {
		return nil, err
	}
	return http.ProxyURL(u), nil
}

func (d Dialer) tls(host string) (*tls.Config, error) {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return nil, err
	}
	roots, err := d.roots()
	if err != nil {
		return nil, err
	}
	// InsecureSkipVerify only takes the check from the library, which would ask the machine's clock; VerifyConnection makes it.
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"},
		VerifyConnection: func(cs tls.ConnectionState) error { return d.verify(cs, name, roots) }}, nil
}

func (d Dialer) roots() (*x509.CertPool, error) {
	if d.CA == "" {
		return nil, nil
	}
	raw, err := readfile.Regular(d.CA, readfile.Most)
	if err != nil {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("the file %s of --ca cannot be read", d.CA)).WithHint("It takes a certificate in PEM form.").Because(err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(raw) {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("the file %s of --ca holds no certificate", d.CA)).WithHint("It wants PEM: -----BEGIN CERTIFICATE-----.")
	}
	return pool, nil
}

// verify checks the chain at a time that this device can defend: the signed one if it has one, else the later of its own
// clock and the floor. A clock at 2040 finds every certificate expired, so the floor is tried as well. TLS is not what the
// gateway is trusted by: that is the Noise key inside, so a certificate that is accepted at the floor gives nothing away.
func (d Dialer) verify(cs tls.ConnectionState, name string, roots *x509.CertPool) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	inter := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		inter.AddCert(c)
	}
	floor := Built
	if d.Floor.After(floor) {
		floor = d.Floor
	}
	times := []time.Time{d.Time, later(state.Wall(), floor), floor, later(cs.PeerCertificates[0].NotBefore.Add(time.Second), floor)}
	var first error
	for _, at := range times {
		if at.IsZero() {
			continue
		}
		_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: inter, CurrentTime: at})
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
		var invalid x509.CertificateInvalidError
		if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
			return err
		}
	}
	return first
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
