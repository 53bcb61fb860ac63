package web

import (
	"net/http"
	"strings"
)

// mountedPolicy applies to every document of a mounted handler, in addition to its own policy: no script runs on this
// site's origin, and no other site frames it. Only form-action is left to the handler, which redirects to its clients.
const mountedPolicy = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"

// mounted runs a handler that does not belong to this package, in this process or in another one. The handler may
// replace the guard's Content-Security-Policy with its own. Otherwise a reverse proxy would add its policy to the
// guard's, whose `form-action 'none'` blocks a sign-in form. The handler cannot replace the guard's other headers: a
// provider in another process may be broken into, and it shares this site's origin.
func mounted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := &ownHeaders{ResponseWriter: w, own: http.Header{}, guards: w.Header().Clone()}
		next.ServeHTTP(own, r)
		own.settle() // for an answer without a body, and for trailers
	})
}

// ownHeaders collects a handler's headers separately from those that the guard has set.
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
