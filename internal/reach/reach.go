// Package reach classifies every network failure in one place, for the command line, the agent and both doctors.
//
// A failed connection has a cause: the name is unknown, a proxy asks for a password, a certificate has expired. Each
// cause has one text and one hint in this package, so two programs never explain the same failure differently. Callers
// pass the error of the dial unchanged to Explain, and show the error that it returns.
//
// # Proxies
//
// The libraries that speak to proxies reduce an answer to a text. So Dialer opens tunnels through HTTP and SOCKS5
// proxies itself and keeps the status code.
//
// # What is shown
//
// No text of another server reaches the terminal: answers are described by their status code alone, and a library's
// text is shortened and stripped of control characters. The cause itself stays in the chain, for logs.
//
// The package imports only errkind, so that every program can use it.
package reach

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Cause is why a host could not be reached.
type Cause int

// The causes, in the order in which a connection meets them.
const (
	Other Cause = iota

	NameUnknown // DNS has no such name
	NameServer  // DNS does not answer
	NoRoute     // this machine has no network route to it
	Blocked     // this machine forbids the connection
	Refused     // nothing listens
	Silent      // no answer in time
	Closed      // closed before an answer

	ProxyAddress       // the setting cannot be read
	ProxyUnreachable   // the proxy itself cannot be reached
	NotProxy           // something else listens at its address
	ProxyPassword      // it asks for a password and got none
	ProxyWrongPassword // it does not accept the one it got
	ProxyScheme        // it asks for a kind of sign-in that this program does not support
	ProxyForbids       // it does not allow this target
	ProxyTarget        // it cannot reach the target itself

	Authority   // signed by an unknown authority
	Expired     // the certificate has expired
	NotYet      // the certificate is not valid yet
	WrongName   // the certificate is for other names
	Certificate // the certificate is unacceptable in another way
	NotTLS      // the other side does not speak TLS
	TLSRefused  // the other side ended the TLS handshake
	HTTP2Only   // the other side has no HTTP/1.1, which WebSockets need

	NotHTTP      // the answer is not HTTP
	WrongHost    // 421: the server does not serve this name
	NoGateway    // 404, or another answer that a gateway does not give
	Upstream     // 502, 503, 504 from a proxy in front of the gateway
	Redirected   // 3xx
	SignInFirst  // 401, 403 from a server in front of the gateway
	TooMany      // 429
	NoWebSocket  // an HTTP answer, but no upgrade to WebSocket
	NoGatewayNow // the gateway's own 503: not ready, or no room

	Stopping // the gateway said that it is stopping
	Lost     // an established connection broke
)

// Failure is a classified network failure; Explain puts it into the chain of what it returns.
type Failure struct {
	Cause Cause // its class
	Err   error // as the network gave it; for logs
}

// Error gives the text of the cause, which is for logs only.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives the error of the network.
func (f *Failure) Unwrap() error { return f.Err }

// Of gives the cause of an error that Explain or Broken returned; false for other errors.
func Of(err error) (Cause, bool) {
	var f *Failure
	if !errors.As(err, &f) {
		return Other, false
	}
	return f.Cause, true
}

// Explain turns a failed dial, handshake or request to host (host:port) into an error for people. It returns
// context.Canceled and errors that are classified already unchanged. An *Answer in err's chain is explained by its
// status.
func Explain(host string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if _, done := Of(err); done {
		return err
	}
	if e, ok := errkind.Of(err); ok { // already an error for people, such as a wrong setting
		return e
	}
	c, text, hint := classify(host, err)
	return unavailable(c, text, hint, err)
}

// Text gives the text of Explain in one line, for lists such as a doctor's. It is empty for nil.
func Text(host string, err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errkind.Of(Explain(host, err)); ok {
		return e.Text
	}
	return words(err)
}

// Broken explains why an established connection to host (host:port) ended. code is the close code of a WebSocket
// (RFC 6455 section 7.4.1), 0 for none. It returns nil and context.Canceled unchanged.
func Broken(host string, code int, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	switch code {
	case closeGoingAway, closeRestart:
		return unavailable(Stopping, "the gateway "+host+" is stopping or restarting", "Try again in a minute.", err)
	case closeTryLater:
		return unavailable(NoGatewayNow, "the gateway "+host+" is not ready", "Try again in a minute.", err)
	}
	text := "the connection to " + host + " was lost: "
	switch c, _, _ := classify(host, err); {
	case c == Silent:
		text += "it no longer answers"
	case c == NoRoute:
		text += "this machine has no network route to it"
	case c == Closed, code == closeAbnormal:
		text += "it was closed without notice"
	default:
		text += words(err)
	}
	return unavailable(Lost, text, "The network or a proxy in between cut it, or the gateway stopped. Try again.", err)
}

// Interrupted reports whether a handshake on an established connection failed for a reason that can only be the network
// or a stopping gateway. A connection closed without a close code does not count: a peer that rejects a message closes
// it like that.
func Interrupted(code int, err error) bool {
	c, _, _ := classify("", err)
	return code == closeGoingAway || code == closeRestart || code == closeTryLater || c == Silent || c == NoRoute
}

func unavailable(c Cause, text, hint string, err error) error {
	return errkind.New(errkind.Unavailable, text).WithHint(hint).Because(&Failure{c, err})
}

// Close codes (RFC 6455 section 7.4.1 and the IANA registry) of a server that stops.
const (
	closeGoingAway = 1001
	closeAbnormal  = 1006 // never sent: the library reports it for an end without a close frame
	closeRestart   = 1012
	closeTryLater  = 1013
)
