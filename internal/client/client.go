// Package client is how programs of ours talk to a gateway: the API as calls, and the terminal as a stream. The command line
// is built on it; it needs no cgo and runs on Linux, macOS and Windows.
//
// # The secret
//
// A bearer goes to the gateway it was given for and nowhere else: redirects are not followed, and plain http is spoken to a
// loopback address only. It is kept in a file that its user alone can read.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/web/apitype"
)

// maxAnswer bounds what is read of a JSON answer.
const maxAnswer = 64 << 20

// Client talks to one gateway.
type Client struct {
	base   *url.URL
	bearer string
	from   string      // environment variable that holds bearer; empty: a sign-in gave it
	tls    *tls.Config // never given to http.Transport itself, which would add h2 to it
	dial   reach.Dialer
	http   *http.Client
}

// Options say which gateway, with what.
type Options struct {
	Gateway string // https://host[:port]; http for loopback only
	Bearer  string // sign-in or API token; empty: neither
	CAFile  string // PEM, on top of the system's authorities
	// BearerFrom is the name of the environment variable that holds Bearer, for messages; empty: a sign-in gave it.
	BearerFrom string
}

// New makes a client.
func New(o Options) (*Client, error) {
	base, err := ParseGateway(o.Gateway)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, bearer: o.Bearer, from: o.BearerFrom, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	if o.CAFile != "" {
		if c.tls.RootCAs, err = withCA(o.CAFile); err != nil {
			return nil, err
		}
	}
	c.dial = reach.Dialer{Proxy: reach.FromEnvironment, Scheme: base.Scheme, TLS: c.tls}
	c.http = &http.Client{
		Transport: &http.Transport{DialContext: c.dial.DialContext, TLSClientConfig: c.tls.Clone(),
			ForceAttemptHTTP2:     true,
			ResponseHeaderTimeout: time.Minute, TLSHandshakeTimeout: 15 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Gateway gives the address.
func (c *Client) Gateway() string { return c.base.String() }

// ParseGateway checks an address. It has no path, and no plain http beyond this machine.
func ParseGateway(text string) (*url.URL, error) {
	if text == "" {
		return nil, errkind.New(errkind.Usage, "no gateway is known").WithHint("Sign in with `sallyport login --gateway https://…`, or set SALLYPORT_GATEWAY.")
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "":
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("%q is not a gateway's address", text)).WithHint("Write it as https://access.example.com.")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, errkind.New(errkind.Usage, fmt.Sprintf("%s would carry your sign-in unencrypted", text)).WithHint("Use https; http is for this machine only.")
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// wantPEM is what --ca takes.
const wantPEM = "--ca takes the authority's certificate in PEM form; whoever runs the gateway has it."

func withCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, errkind.New(errkind.Usage, "the file of the certificate authority cannot be read: "+err.Error()).WithHint(wantPEM)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errkind.New(errkind.Usage, file+" holds no certificate in PEM form").WithHint(wantPEM)
	}
	return pool, nil
}

// Get reads JSON.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, out)
}

// Post sends JSON and reads JSON; either may be nil.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, http.MethodPost, path, in, out)
}

// Delete removes.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("%s answered what is not understood", c.base.Host)).
			WithHint("Is this the address of a Sallyport gateway, and is it as new as this program?").Because(err)
	}
	return nil
}

// Stream opens an answer that is read as it comes. The caller closes it.
func (c *Client) Stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	resp, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// PostStream is Stream of an answer to a POST.
func (c *Client) PostStream(ctx context.Context, path string, in any) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodPost, path, in)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("write request: %w", err)
		}
	}
	resp, err := c.patiently(ctx, func() (*http.Response, error) { return c.sendOnce(ctx, method, path, body) })
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(resp, false)
}

// sendOnce sends one request; a nil body sends none.
func (c *Client) sendOnce(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, reach.Explain(c.base.Host, err)
	}
	return resp, nil
}

// Refusal is an error that the gateway told. Its problem document says more than the text.
type Refusal struct{ Problem apitype.Problem }

func (r *Refusal) Error() string { return r.Problem.Detail }

// refusal turns a refusing answer into an error. Only a problem document has the gateway's own text; any other answer
// comes from another server, and reach describes it by its status.
func (c *Client) refusal(resp *http.Response, webSocket bool) error {
	var p apitype.Problem
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(raw, &p) != nil || p.Detail == "" {
		return reach.Explain(c.base.Host, reach.AnswerOf(resp, webSocket))
	}
	kind := errkind.FromHTTP(resp.StatusCode)
	if kind == errkind.Internal && resp.StatusCode < 500 {
		kind = errkind.Usage
	}
	if kind == errkind.Internal { // told by the gateway in words made for people
		kind = errkind.Unavailable
	}
	if kind == errkind.Signin && p.Hint == "" {
		p.Hint = "Sign in with `sallyport login`."
	}
	if kind == errkind.Signin && c.from != "" {
		p.Detail = c.from + ": " + p.Detail
		p.Hint = "`sallyport token create` makes a token. Unset " + c.from + " to use your sign-in."
	}
	return errkind.New(kind, p.Detail).WithHint(p.Hint).Because(&Refusal{p})
}

// Clock reads what the sign-in page shows, and the gateway's time as its answer tells it.
func (c *Client) Clock(ctx context.Context, page *apitype.SignIn) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	resp, err := c.send(ctx, http.MethodGet, "/api/v1/signin", nil)
	if err != nil {
		return time.Time{}, err
	}
	defer resp.Body.Close()
	when, _ := http.ParseTime(resp.Header.Get("Date")) // an answer without one tells no time
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(page); err != nil {
		return when, errkind.New(errkind.Unavailable, fmt.Sprintf("%s is not a Sallyport gateway", c.base.Host)).WithHint("Check the address.").Because(err)
	}
	return when, nil
}
