package reach

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Answer is the error for an HTTP answer that is not 101 to a request for a WebSocket, or not 2xx to another request.
type Answer struct {
	Status     int           // of the answer
	RetryAfter time.Duration // from its Retry-After header, at most an hour; 0: it has none
	Gateway    bool          // it is a problem document: a gateway wrote it, not a proxy in front of it
	WebSocket  bool          // the request asked for a WebSocket
}

// AnswerOf describes r by its status and headers; it does not read the body. webSocket: the request asked for a
// WebSocket.
func AnswerOf(r *http.Response, webSocket bool) *Answer {
	return &Answer{Status: r.StatusCode, RetryAfter: retryAfter(r.Header.Get("Retry-After")), WebSocket: webSocket,
		Gateway: strings.HasPrefix(r.Header.Get("Content-Type"), "application/problem+json")}
}

// Error names the status.
func (a *Answer) Error() string { return "the answer was " + status(a.Status) }

func (a *Answer) classify(host string) (Cause, string, string) {
	front := "Check the address, and that the proxy in front of the gateway passes "
	if a.WebSocket {
		front += "WebSockets on to it."
	} else {
		front += "requests on to it."
	}
	switch s := a.Status; {
	case a.Gateway && s == http.StatusServiceUnavailable:
		return NoGatewayNow, "the gateway " + host + " is not ready (" + status(s) + ")", "Try again in a minute."
	case s == http.StatusMisdirectedRequest:
		return WrongHost, host + " does not answer to that name (" + status(s) + ")",
			"Use the gateway's own address, and let the proxy in front of it pass the Host header unchanged."
	case s == http.StatusBadGateway, s == http.StatusServiceUnavailable, s == http.StatusGatewayTimeout:
		return Upstream, host + " has no gateway behind it at present (" + status(s) + ")",
			"The gateway stopped, is restarting or has no room, or the proxy in front of it is set to " +
				"a wrong address. Try again in a minute."
	case s >= 300 && s < 400:
		return Redirected, host + " answered with a redirect (" + status(s) + "), which is not how a gateway answers",
			"Use the gateway's own address. A network with a sign-in page answers like this too: " +
				"open a web page there first."
	case s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusProxyAuthRequired:
		return SignInFirst, host + " answered " + status(s) + ", and the answer is not the gateway's",
			"A proxy or a firewall in front of the gateway refused the request: it must pass /api, /login and /agent " +
				"without a sign-in of its own."
	case s == http.StatusTooManyRequests:
		return TooMany, host + " refuses more requests for now (" + status(s) + ")", "Wait a minute, then try again."
	case s == http.StatusSwitchingProtocols:
		return NoGateway, host + " opened a WebSocket that is not a gateway's",
			"Check the address: another kind of server answers there."
	case a.WebSocket && s != http.StatusNotFound:
		return NoWebSocket, host + " did not open a WebSocket (" + status(s) +
			"), which is not how a gateway answers", front
	}
	return NoGateway, host + " answered " + status(a.Status) + ", which is not how a gateway answers", front
}

// retryAfter reads seconds or an HTTP date (RFC 9110 section 10.2.3), at most an hour.
func retryAfter(v string) time.Duration {
	var d time.Duration
	if s, err := strconv.Atoi(v); err == nil {
		d = time.Duration(s) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = time.Until(t)
	}
	return max(0, min(d, time.Hour))
}
