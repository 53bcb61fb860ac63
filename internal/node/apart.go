package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/wire"
)

// apart is the signer's process as the gateway sees it. The signer's calls go by signer.Client; beside them the gateway
// introduces itself, passes on what browsers ask of the built-in provider, and fetches the logout tokens that it sends.
// The provider is over there because whoever can sign in as anybody needs no other key.
type apart struct {
	socket string
	unix   *http.Transport
}

func newApart(socket string) *apart {
	return &apart{socket: socket, unix: &http.Transport{MaxIdleConnsPerHost: 16, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
}

// RoundTrip sends a request for the site's own address to the signer's process.
func (a *apart) RoundTrip(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.Host, out.URL.Scheme = r.URL.Host, "http"
	return a.unix.RoundTrip(out)
}

// introduction is what gateway and signer tell each other at the start of either.
type introduction struct {
	Noise wire.Hash `json:"noise"` // public half of the gateway's key
}

type welcome struct {
	Secret string `json:"secret"` // of the gateway as the built-in provider's client; empty: there is no such provider
}

// meet introduces the gateway, as often as it takes: the signer may be started later.
func (a *apart) meet(ctx context.Context, noise wire.Hash, log *slog.Logger, wait func(why string)) (welcome, error) {
	said := ""
	for n := 0; ; n++ {
		w, err := a.introduce(ctx, noise)
		if err == nil || errkind.KindOf(err) != errkind.Unavailable {
			wait("")
			return w, err
		}
		text, _, _ := errkind.ForPeople(err)
		wait(text)
		if text != said || n%120 == 0 {
			said = text
			log.Warn("waiting for the signer", slog.String("socket", a.socket), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return w, context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (a *apart) introduce(ctx context.Context, noise wire.Hash) (welcome, error) {
	var w welcome
	raw, err := json.Marshal(introduction{noise})
	if err != nil {
		return w, err
	}
	resp, err := a.post(ctx, "/gateway", raw, 5*time.Second)
	if err != nil {
		return w, errkind.New(errkind.Unavailable, "the signer does not answer at "+a.socket).
			WithHint("Start sallyport-signer, and look whether [signer] gateway_user names the user that this gateway runs as.").Because(err)
	}
	switch resp.status {
	case http.StatusOK:
		return w, json.Unmarshal(resp.body, &w)
	case http.StatusForbidden:
		return w, errkind.New(errkind.Denied, "the signer refuses this gateway: "+string(bytes.TrimSpace(resp.body)))
	}
	return w, fmt.Errorf("the signer answered %d: %s", resp.status, bytes.TrimSpace(resp.body))
}

type reply struct {
	status int
	body   []byte
}

func (a *apart) post(ctx context.Context, path string, body []byte, most time.Duration) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://signer"+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	resp, err := a.unix.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return reply{resp.StatusCode, raw}, err
}

// provider passes browsers on to the built-in provider. What they say of their own address does not go along.
func (a *apart) provider(addr func(*http.Request) netip.Addr, log *slog.Logger) http.Handler {
	if addr == nil {
		addr = func(r *http.Request) netip.Addr {
			p, _ := netip.ParseAddrPort(r.RemoteAddr)
			return p.Addr().Unmap()
		}
	}
	return &httputil.ReverseProxy{
		Transport: a.unix,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", "signer"
			for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				p.Out.Header.Del(h)
			}
			p.Out.Header.Set(clientHeader, addr(p.In).String())
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			log.Warn("the built-in provider does not answer", slog.Any("error", err))
			http.Error(w, "The signer, which holds the built-in provider, does not answer, so nobody can sign in with it now. Try again in a minute.", http.StatusServiceUnavailable)
		},
	}
}

// clientHeader tells the signer's process which address a browser has, as far as the gateway knows.
const clientHeader = "Sallyport-Client"

// told is one logout token on its way to the gateway.
type told struct {
	URL  string `json:"url"`
	Body string `json:"body"`
}

// fetchLogouts takes logout tokens from the signer's process and gives them to the site, as if the provider had posted them.
func (a *apart) fetchLogouts(ctx context.Context, site http.Handler) error {
	for ctx.Err() == nil {
		resp, err := a.post(ctx, "/logouts", nil, longPoll+10*time.Second)
		var l told
		switch {
		case err == nil && resp.status == http.StatusNoContent:
			continue
		case err == nil && resp.status == http.StatusOK:
			err = json.Unmarshal(resp.body, &l)
		case err == nil:
			err = fmt.Errorf("logout tokens: the signer answered %d", resp.status)
		}
		if err == nil {
			err = post(ctx, site, l)
		}
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
	return context.Cause(ctx)
}

func post(ctx context.Context, site http.Handler, l told) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL, strings.NewReader(l.Body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := oidcauth.Inside(site).RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return errors.New("a logout token was not taken: " + resp.Status)
	}
	return nil
}
