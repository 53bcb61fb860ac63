package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/limit"
	"github.com/sallyport/sallyport/web/problem"
)

const terminalPath = apitype.TerminalPath

// guard is what every request meets before any handler.
type guard struct {
	hosts map[string]bool
	tls   bool
	rates *limit.Rates // by network
	addr  func(*http.Request) netip.Addr
	log   *slog.Logger
}

// hostSet is the exact list of Host values that are answered. The scheme's own port may be named or not.
func hostSet(u *url.URL, more []string) map[string]bool {
	out := map[string]bool{}
	port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	for _, h := range append([]string{u.Host}, more...) {
		h = strings.ToLower(h)
		out[h] = true
		if bare, ok := strings.CutSuffix(h, port); ok {
			out[bare] = true
		} else if !strings.Contains(h[strings.LastIndexByte(h, ']')+1:], ":") {
			out[h+port] = true
		}
	}
	return out
}

func (g *guard) around(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, g.log, errkind.New(errkind.Denied, "this was sent by a page of another site, so it was not done").
			WithHint("Do it in this gateway's own pages."))
	}))
	inner := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.headers(w.Header())
		if !g.hosts[strings.ToLower(r.Host)] {
			g.misdirected(w, r)
			return
		}
		if wait, ok := g.slow(r); ok {
			w.Header().Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
			problem.Write(w, g.log, errkind.New(errkind.TooMany, "too many requests come from your address").WithHint("Wait a moment."))
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// misdirected answers requests for a name that is not ours. It does not repeat the name.
func (g *guard) misdirected(w http.ResponseWriter, r *http.Request) {
	status := http.StatusMisdirectedRequest
	if r.Host == "" {
		status = http.StatusBadRequest
	}
	problem.Send(w, apitype.Problem{Title: http.StatusText(status), Status: status, Reason: errkind.Usage.Word(),
		Detail: "this gateway does not answer to that name", Hint: "Open the address that the gateway's operator named."})
}

func (g *guard) slow(r *http.Request) (time.Duration, bool) {
	var a netip.Addr
	if g.addr != nil {
		a = g.addr(r)
	} else if p, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		a = p.Addr()
	}
	ok, wait := g.rates.Allow(pending.Network(a))
	return wait, !ok
}

// headers are those of an answer that is no document: nothing may load, run, frame or be remembered of it.
func (g *guard) headers(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if g.tls {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
