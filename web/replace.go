package web

import (
	"maps"
	"net/http"
)

// replaced runs a handler that does not belong to this package, in this process or in another one. Its headers replace
// the guard's of the same name. A reverse proxy adds the headers it receives to those that are set, and a browser
// enforces every Content-Security-Policy of an answer: a sign-in form whose own policy allows it would be blocked by
// the guard's `form-action 'none'` beside it.
func replaced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := &ownHeaders{ResponseWriter: w, own: http.Header{}}
		next.ServeHTTP(own, r)
		own.settle() // for an answer without a body, and for trailers
	})
}

// ownHeaders collects a handler's headers apart from those that are set already.
type ownHeaders struct {
	http.ResponseWriter
	own http.Header
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

func (o *ownHeaders) settle() { maps.Copy(o.ResponseWriter.Header(), o.own) }
