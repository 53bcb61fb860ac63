// Package problem is the one edge where errors become words for whoever called: RFC 9457 problem documents on HTTP,
// error messages on the terminal socket.
//
// An error that nobody classified is never shown. It gets a reference, which stands beside the whole chain in the log,
// and the caller reads the reference only.
//
// One edge, because the second one is where a path, a query or another person's name gets out. Whoever answers a request in package
// web goes through here; the device's door has its own way of saying nothing at all.
package problem

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

// ContentType is that of a problem document.
const ContentType = "application/problem+json"

// Of renders an error, and logs what may not be shown.
func Of(log *slog.Logger, err error) apitype.Problem {
	kind := errkind.KindOf(err)
	text, hint, reference := errkind.ForPeople(err)
	switch {
	case reference != "":
		log.Error("internal fault", slog.String("reference", reference), slog.Any("error", err))
	case kind == errkind.Unavailable:
		log.Warn("refused", slog.Any("error", err))
	}
	status := kind.HTTP()
	p := apitype.Problem{Title: http.StatusText(status), Status: status, Detail: text, Reason: kind.Word(), Hint: hint,
		Reference: reference}
	if e, ok := errkind.Of(err); ok {
		p.RetryAfter = int(math.Ceil(e.Wait.Seconds()))
	}
	return p
}

// Write answers a request with an error's problem document.
func Write(w http.ResponseWriter, log *slog.Logger, err error) { Send(w, Of(log, err)) }

// laterSeconds is when to try again where nobody knows better.
const laterSeconds = 5

// Later reports whether the same request may work later.
func Later(p apitype.Problem) bool {
	return p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable
}

// RetryAfter gives the value of that header for what may work later.
func RetryAfter(p apitype.Problem) string { return strconv.Itoa(cmp.Or(p.RetryAfter, laterSeconds)) }

// Send writes a problem document.
func Send(w http.ResponseWriter, p apitype.Problem) {
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="sallyport"`)
	}
	if Later(p) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", RetryAfter(p))
	}
	w.WriteHeader(p.Status)
	var b strings.Builder
	if json.NewEncoder(&b).Encode(p) == nil {
		w.Write([]byte(b.String()))
	}
}
