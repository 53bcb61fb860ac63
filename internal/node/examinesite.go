package node

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
	"path/filepath"
	"strings"
	"time"
)

// soon is how long before its end a certificate is worth a word.
const soon = 21 * 24 * time.Hour

func (e *examination) certificate(ctx context.Context) (string, error) {
	end, err := certEnd(e.c)
	if e.c.TLS.Mode == "behind-proxy" {
		end, err = e.proxyCertEnd(ctx)
	}
	if err != nil {
		return "", err
	}
	text := "good until " + end.UTC().Format("2006-01-02")
	if left := time.Until(end); left < 0 {
		return "", odd("ended on "+end.UTC().Format("2006-01-02"), "Renew it: no browser and no device comes in.")
	} else if left < soon {
		return "", odd(text+", which is near", "Renew it; the new file is used without a restart.")
	}
	if e.c.TLS.Mode == "self" {
		text += ", of the gateway's own authority (" + filepath.Join(e.c.Site.DataDir, "tls", "ca.pem") + "): for trials"
	}
	return text, nil
}

func (e *examination) proxyCertEnd(ctx context.Context) (time.Time, error) {
	u, err := url.Parse(e.c.Site.URL)
	if err != nil || u.Scheme != "https" {
		return time.Time{}, errors.New("TLS ends nowhere: site.url is plain http on a loopback name")
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{InsecureSkipVerify: true}} // only its date is read; the next steps verify
	c, err := d.DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		return time.Time{}, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].NotAfter, nil
}

// gateway asks the process itself, on its listener.
func (e *examination) gateway(ctx context.Context) (string, error) {
	host, port, err := net.SplitHostPort(e.c.Listen.HTTPS)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	status, text, err := e.get(ctx, net.JoinHostPort(host, port), e.c.TLS.Mode != "behind-proxy")
	switch {
	case err != nil:
		return "", odd("does not answer at "+e.c.Listen.HTTPS+": "+short(err), "Start it: systemctl start sallyport; its log says what it lacks.")
	case status != http.StatusOK:
		return "", odd("runs and is not ready: "+strings.ReplaceAll(text, "\n", "; "), "New sessions are refused until that is so again.")
	}
	return "runs and is ready", nil
}

// public goes the way that people and devices go.
func (e *examination) public(ctx context.Context) (string, error) {
	status, _, err := e.get(ctx, "", true)
	switch {
	case err != nil:
		return "", odd(e.c.Site.URL+" cannot be reached from here: "+short(err), "Look at the name in DNS, the firewall and, behind a proxy, at its certificate.")
	case status == http.StatusMisdirectedRequest:
		return "", odd(e.c.Site.URL+" is answered, but under another Host", "The proxy must pass the Host header on unchanged.")
	case status != http.StatusOK && status != http.StatusServiceUnavailable:
		return "", odd(fmt.Sprintf("%s answers %d, which is not how a gateway answers", e.c.Site.URL, status), "Something else listens there, or the proxy does not pass requests on.")
	}
	return e.c.Site.URL + " leads here", nil
}

// get asks for /readyz under the site's name; at says where to connect instead of where the name leads.
func (e *examination) get(ctx context.Context, at string, https bool) (int, string, error) {
	u, err := url.Parse(e.c.Site.URL)
	if err != nil {
		return 0, "", err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if raw, err := os.ReadFile(filepath.Join(e.c.Site.DataDir, "tls", "ca.pem")); err == nil && e.c.TLS.Mode == "self" {
		roots.AppendCertsFromPEM(raw)
	}
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if at != "" {
			addr = at
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	scheme := u.Scheme
	if !https {
		scheme = "http"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+u.Host+"/readyz", nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	return resp.StatusCode, strings.TrimSpace(string(raw)), err
}

func short(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 && strings.HasPrefix(text, "dial ") {
		return text[i+2:]
	}
	return text
}
