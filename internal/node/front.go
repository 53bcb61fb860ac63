package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/connlimit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/problem"
)

// Front is the listener and its server. It answers before there is a gateway behind it: alive, not ready, and why not.
// So a device or a person who comes while the gateway waits for its signer reads that, and not a refused connection.
type Front struct {
	srv    *http.Server
	addr   net.Addr
	failed chan error
	inside atomic.Pointer[http.Handler]
	why    atomic.Pointer[string]
}

// Open begins to answer on l. Of connections that package connlimit counts, requests find theirs in their context.
func Open(l net.Listener, log *slog.Logger) *Front {
	f := &Front{failed: make(chan error, 8), addr: l.Addr()}
	f.Waiting("")
	f.srv = &http.Server{Handler: bounded(f), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ConnContext: connlimit.Context, ErrorLog: serverLog(log)}
	go func() { f.failed <- f.srv.Serve(l) }()
	return f
}

// Waiting says what the gateway waits for before it can serve.
func (f *Front) Waiting(why string) { f.why.Store(&why) }

// Close ends at once.
func (f *Front) Close() { f.srv.Close() }

func (f *Front) serve(h http.Handler) { f.inside.Store(&h) }

func (f *Front) shutdown(ctx context.Context) {
	f.srv.Shutdown(ctx)
	f.srv.Close()
}

// ServeHTTP hands on, once there is something to hand on to.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := f.inside.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/healthz" {
		healthy(w, r)
		return
	}
	w.Header().Set("Retry-After", "5")
	text := "the gateway is starting"
	if why := *f.why.Load(); why != "" {
		text += ": " + why
	}
	if r.URL.Path == "/readyz" {
		http.Error(w, text, http.StatusServiceUnavailable)
		return
	}
	problem.Send(w, apitype.Problem{Title: http.StatusText(http.StatusServiceUnavailable), Status: http.StatusServiceUnavailable,
		Reason: errkind.Unavailable.Word(), Detail: text, Hint: "Try again in a minute."})
}

func healthy(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
