// Package errkind gives an error the one property its three audiences share: its
// kind. The kind decides the HTTP status, the exit status and whether the text may be
// shown. People get the text and a hint what to do next; the operator gets the whole
// chain in the log; code branches on the kind.
//
// # What is shown
//
// Only what somebody wrote for people. An error that nobody classified is Internal: it may
// hold paths, queries or what another person typed, so whoever asked reads a reference, and
// the chain stands beside that reference in the log. What does not exist and what the asker may not
// see have one kind and one text, or a refusal would be a way to look.
//
// It stands at the bottom of the graph: everybody may import it, the recorder and
// the outsider's verifier too, so it brings no web server along.
package errkind

import (
	"cmp"
	"crypto/rand"
	"errors"
	"time"
)

// Kind says what sort of failure an error is.
type Kind int

// The kinds. Internal is the zero value: an error nobody classified is never shown.
const (
	Internal    Kind = iota
	Usage            // the asker's words are off: exit 2, HTTP 400
	Signin           // who asks is not known: exit 1, HTTP 401
	Denied           // policy, grant or owner refuse: exit 77, HTTP 403
	NotFound         // not there, or not visible to the asker: exit 1, HTTP 404
	Conflict         // somebody was first, or the state forbids it: exit 1, HTTP 409
	TooMany          // over a rate or a count: exit 1, HTTP 429
	Unavailable      // it could be done, not now: exit 1, HTTP 503
)

// Error is an error with a kind, a text for people and a hint.
type Error struct {
	Kind Kind
	Text string // what happened and why; for people
	Hint string // what to do next; empty: what anybody can do about this kind
	Err  error  // the cause; for the log only

	// Wait is the least time before the same request may work; 0: not known. HTTP says it in Retry-After.
	Wait time.Duration
}

// New makes an error that people may read.
func New(kind Kind, text string) *Error { return &Error{Kind: kind, Text: text} }

// WithHint returns a copy of e with a hint.
func (e *Error) WithHint(hint string) *Error {
	c := *e
	c.Hint = hint
	return &c
}

// WithWait returns a copy of e with the least time before the same request may work. An error that comes after its
// request has left something behind, such as an entry of the log, needs one: programs send again what may work soon.
func (e *Error) WithWait(least time.Duration) *Error {
	c := *e
	c.Wait = least
	return &c
}

// Because returns a copy of e with its cause, which is logged and never shown.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Text + ": " + e.Err.Error()
	}
	return e.Text
}

func (e *Error) Unwrap() error { return e.Err }

// Of finds the outermost classified error in err's chain.
func Of(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// KindOf gives err's kind; Internal when nobody classified it.
func KindOf(err error) Kind {
	if e, ok := Of(err); ok {
		return e.Kind
	}
	return Internal
}

// ForPeople gives the text and hint to show; there is always something to do. An unclassified error becomes a
// reference that stands beside the full chain in the log.
func ForPeople(err error) (text, hint, reference string) {
	if e, ok := Of(err); ok && e.Kind != Internal {
		return e.Text, cmp.Or(e.Hint, e.Kind.next()), ""
	}
	reference = rand.Text()[:6]
	return "internal fault, reference " + reference, "Tell whoever runs the gateway this reference; its log says what happened.", reference
}

// HTTP gives the status for a kind (RFC 9110 section 15). The numbers stand here so that what classifies errors, the
// recorder and the outsider's verifier among it, does not bring a web server along.
func (k Kind) HTTP() int {
	switch k {
	case Usage:
		return 400
	case Signin:
		return 401
	case Denied:
		return 403
	case NotFound:
		return 404
	case Conflict:
		return 409
	case TooMany:
		return 429
	case Unavailable:
		return 503
	}
	return 500
}

// Exit gives the exit status of a command that failed so.
func (k Kind) Exit() int {
	switch k {
	case Usage:
		return 2
	case Denied:
		return 77
	}
	return 1
}

// FromHTTP gives the kind behind a status, for clients.
func FromHTTP(status int) Kind {
	for _, k := range []Kind{Usage, Signin, Denied, NotFound, Conflict, TooMany, Unavailable} {
		if k.HTTP() == status {
			return k
		}
	}
	return Internal
}
