package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/readfile"
)

const (
	hookTime   = 10 * time.Second // of one attempt
	hookAnswer = 16 << 10         // bytes of an answer that are read
)

// WebhookConfig says where documents go.
type WebhookConfig struct {
	Name       string
	URL        string // https, or http on this host; or URLFile
	URLFile    string // file with the URL, if it has a secret in it
	SecretFile string // file with the signing secret, whsec_…; empty: not signed
}

// Webhook sends documents to one receiver.
type Webhook struct {
	cfg  WebhookConfig
	http *http.Client
	now  func() time.Time
}

// NewWebhook checks c and reads its files once, so that a mistake is found at the start. The error says what to write
// instead, and never contains a URL of a file or a secret.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	if (c.URL == "") == (c.URLFile == "") {
		return nil, errors.New("write url or url_file")
	}
	h := &Webhook{cfg: c, now: time.Now}
	if _, err := h.address(); err != nil {
		return nil, err
	}
	if _, err := h.key(); err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: hookTime, Control: refuseLinkLocal}).DialContext
	t.ResponseHeaderTimeout, t.MaxResponseHeaderBytes = hookTime, 64<<10
	t.MaxIdleConnsPerHost = 1
	h.http = &http.Client{Transport: t, Timeout: hookTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return h, nil
}

// refuseLinkLocal refuses the addresses at which clouds give out credentials. It sees the address after DNS.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if a := ap.Addr().Unmap(); err != nil || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return fmt.Errorf("%s is a link-local or special address, which webhooks must not have", ap.Addr())
	}
	return nil
}

// address gives the URL to send to.
func (h *Webhook) address() (string, error) {
	text, key := h.cfg.URL, "url"
	if h.cfg.URLFile != "" {
		raw, err := readfile.Regular(h.cfg.URLFile, 64<<10)
		if err != nil {
			return "", fmt.Errorf("url_file: %w", err)
		}
		text, key = string(bytes.TrimSpace(raw)), "url_file"
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return "", fmt.Errorf("%s: write one URL, such as \"https://hooks.acme.example/sallyport\"", key)
	case u.Scheme != "https" && !(u.Scheme == "http" && Loopback(u.Hostname())):
		return "", fmt.Errorf("%s must begin with https://; only a receiver on this host can have http://", key)
	}
	return text, nil
}

// key gives the signing key; nil: documents are not signed.
func (h *Webhook) key() ([]byte, error) {
	if h.cfg.SecretFile == "" {
		return nil, nil
	}
	raw, err := readfile.Regular(h.cfg.SecretFile, 64<<10)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	k, err := ParseSecret(string(bytes.TrimSpace(raw)))
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	return k, nil
}

// Send posts one JSON document. It returns nil if the receiver answers with a status from 200 to 299. The error has
// neither the URL nor the answer, since both can have secrets. 410 Gone is marked by Permanent.
func (h *Webhook) Send(ctx context.Context, notificationID string, body []byte) error {
	r, err := h.request(ctx, notificationID, body)
	if err != nil {
		return err
	}
	res, err := h.http.Do(r)
	if err != nil {
		return withoutURL(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, hookAnswer)) // so that the connection can be used again
	switch {
	case res.StatusCode == http.StatusGone:
		return Permanent(errors.New("the receiver answered 410 Gone"))
	case res.StatusCode < 200 || res.StatusCode > 299:
		return fmt.Errorf("the receiver answered %d", res.StatusCode)
	}
	return nil
}

// request makes the request of one attempt. The signature has the time of the attempt, since receivers refuse old ones.
func (h *Webhook) request(ctx context.Context, notificationID string, body []byte) (*http.Request, error) {
	to, err := h.address()
	if err != nil {
		return nil, err
	}
	key, err := h.key()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL cannot be used")
	}
	now := h.now()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "sallyport")
	r.Header.Set(HeaderID, notificationID)
	r.Header.Set(HeaderTime, strconv.FormatInt(now.Unix(), 10))
	if key != nil {
		r.Header.Set(HeaderSignature, Sign(key, notificationID, now, body))
	}
	return r, nil
}

// withoutURL drops the URL that package net/http puts into its errors: the URL of a chat has a secret in its path.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
