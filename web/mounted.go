package web

import (
	"net/http"
	"strings"
)

// mountedPolicy holds for every document of a mounted handler, beside its own policy: nothing runs on this site's origin
// and no other site frames it. Only form-action is left to the handler, which redirects to where people come from.
const mountedPolicy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"

// mounted runs a handler that does not belong to this package, in this process or in another one. It may replace the
// guard's Content-Security-Policy by one of its own: a reverse proxy adds the headers it receives to those that are set,
// and a sign-in form whose own policy allows it would be blocked by the guard's `form-action 'none'` beside it. It cannot
// replace what else the guard has set. A provider in another process that was broken into is on this site's origin.
func mounted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := &ownHeaders{ResponseWriter: w, own: http.Header{}, guards: w.Header().Clone()}
		next.ServeHTTP(own, r)
		own.settle() // for an answer without a body, and for trailers
	})
}

// ownHeaders collects a handler's headers apart from those that are set already.
type ownHeaders struct {
	http.ResponseWriter
	own, guards http.Header
}

// Header implements http.ResponseWriter.
func (o *ownHeaders) Header() http.Header { return o.own }

// WriteHeader implements http.ResponseWriter.
func (o *ownHeaders) WriteHeader(status int) {
	o.settle()
	o.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (o *ownHeaders) Write(p []byte) (int, error) {
	o.settle()
	return o.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find what the server's own writer can do.
func (o *ownHeaders) Unwrap() http.ResponseWriter { return o.ResponseWriter }

const policyHeader = "Content-Security-Policy"

func (o *ownHeaders) settle() {
	to := o.ResponseWriter.Header()
	for name, values := range o.own {
		if http.CanonicalHeaderKey(name) != name {
			continue // the same header by another spelling would go out beside the guard's
		}
		if _, set := o.guards[name]; !set {
			to[name] = values
		}
	}
	if policy := strings.Join(o.own[policyHeader], ", "); policy != "" {
		to.Set(policyHeader, policy+", "+mountedPolicy)
	}
}
