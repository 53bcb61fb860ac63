package oidcauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// What a provider may cost us.
const (
	requestTime = 10 * time.Second
	maxBody     = 512 << 10
)

var errTooLong = errors.New("the provider's answer is longer than 512 KiB")

// client has a deadline, reads bounded bodies and follows no redirects: a token request must go where it was sent.
// Roots, unless nil, are the only trusted authorities.
func client(t http.RoundTripper, roots *x509.CertPool) *http.Client {
	if t == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.ResponseHeaderTimeout = requestTime
		own.MaxResponseHeaderBytes = 64 << 10
		own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
		t = own
	}
	return &http.Client{Transport: bounded{t}, Timeout: requestTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// bounded cuts bodies off, also those that a library reads to the end.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err == nil {
		res.Body = &shortBody{ReadCloser: res.Body, left: maxBody}
	}
	return res, err
}

type shortBody struct {
	io.ReadCloser
	left int64
}

func (s *shortBody) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, errTooLong
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// statusError is an answer other than 200.
type statusError struct {
	addr string
	code int
}

func (e statusError) Error() string { return fmt.Sprintf("%s answered %d", e.addr, e.code) }

// getJSON reads one document, with an access token unless that is empty. Errors contain the status and never the body.
func getJSON(ctx context.Context, c *http.Client, addr, access string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, addr, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return statusError{addr, res.StatusCode}
	}
	if kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err != nil || !(kind == "application/json" || strings.HasSuffix(kind, "+json")) {
		return fmt.Errorf("%s answered something that is not JSON", addr)
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		if errors.Is(err, errTooLong) {
			return err
		}
		return fmt.Errorf("%s answered JSON that cannot be read", addr)
	}
	return nil
}

// with hands our client to the library.
func (p *Provider) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, p.http)
}

// allowedURL accepts https, and http where no network is between.
func allowedURL(addr string) bool {
	u, err := url.Parse(addr)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}

// Inside answers requests by a handler in this process, for the built-in provider: the same requests and answers, without
// the way out to the gateway's own public name and back, which a proxy in front may not allow.
func Inside(h http.Handler) http.RoundTripper { return inside{h} }

type inside struct{ h http.Handler }

func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr, in.Host = r.URL.RequestURI(), "127.0.0.1:0", r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &answer{head: http.Header{}}
	i.h.ServeHTTP(w, in)
	in.Body.Close()
	return w.response(r), nil
}
