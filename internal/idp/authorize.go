package idp

import (
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/pending"
)

// request is an authorization request that has been checked.
type request struct {
	client    Client
	redirect  string
	state     string
	scope     string
	nonce     string
	challenge string
	prompt    string
	maxAge    time.Duration // below 0: not asked
	hint      string
}

// code is what a code stands for. A used one is remembered until it expires: its second use ends what the first began.
type code struct {
	client, redirect, challenge string
	scope, nonce                string
	sid                         string
	authTime                    time.Time
	amr                         []string
	used                        bool
	family                      string
}

// refusal is an error that goes back to the client by redirect.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return r.code + ": " + r.text }

// readRequest checks an authorization request. An error that is no refusal must not be sent anywhere: neither the client
// nor its address is known to be good.
func (p *Provider) readRequest(q url.Values) (request, error) {
	c, ok := p.client(q.Get("client_id"))
	if !ok {
		return request{}, errkind.New(errkind.Usage, fmt.Sprintf("no program of the name %q is registered here", clip(q.Get("client_id")))).
			WithHint("Whoever set up the program gives it the client id that this provider knows.")
	}
	r := request{client: c, redirect: q.Get("redirect_uri"), state: q.Get("state"), scope: q.Get("scope"), nonce: q.Get("nonce"),
		challenge: q.Get("code_challenge"), prompt: q.Get("prompt"), maxAge: -1, hint: clip(q.Get("login_hint"))}
	if !slices.ContainsFunc(c.Redirects, func(have string) bool { return sameRedirect(have, r.redirect) }) {
		return request{}, errkind.New(errkind.Usage, fmt.Sprintf("%s asked to come back to %q, which is not registered for it", c.ID, clip(r.redirect))).
			WithHint("The redirect URI must be the registered one, letter for letter: scheme, host, port and path.")
	}
	return r, r.check(q)
}

func (r *request) check(q url.Values) error {
	for _, k := range []string{"client_id", "redirect_uri", "state", "scope", "nonce", "code_challenge", "response_type", "prompt", "max_age"} {
		if len(q[k]) > 1 {
			return &refusal{"invalid_request", k + " stands twice"}
		}
	}
	switch {
	case q.Get("request") != "":
		return &refusal{"request_not_supported", "request objects are not supported"}
	case q.Get("request_uri") != "":
		return &refusal{"request_uri_not_supported", "request objects are not supported"}
	case q.Get("response_type") != "code":
		return &refusal{"unsupported_response_type", "only the code flow is supported"}
	case q.Get("response_mode") != "" && q.Get("response_mode") != "query":
		return &refusal{"invalid_request", "only response_mode=query is supported"}
	case !slices.Contains(strings.Fields(r.scope), "openid"):
		return &refusal{"invalid_scope", "scope must contain openid"}
	case q.Get("code_challenge_method") != "S256" || len(r.challenge) != 43:
		return &refusal{"invalid_request", "PKCE with code_challenge_method=S256 is required"}
	case len(r.state) > 512 || len(r.nonce) > 512 || len(r.scope) > 256:
		return &refusal{"invalid_request", "state, nonce or scope is too long"}
	case r.prompt != "" && r.prompt != "none" && r.prompt != "login" && r.prompt != "consent" && r.prompt != "select_account":
		return &refusal{"invalid_request", "this prompt is not known"}
	}
	if m := q.Get("max_age"); m != "" {
		n, err := strconv.Atoi(m)
		if err != nil || n < 0 || n > 1<<30 {
			return &refusal{"invalid_request", "max_age is a number of seconds"}
		}
		r.maxAge = time.Duration(n) * time.Second
	}
	return nil
}

// sameRedirect compares exactly, but lets a loopback address have any port (RFC 8252 section 7.3).
func sameRedirect(have, got string) bool {
	if have == got {
		return true
	}
	h, err1 := url.Parse(have)
	g, err2 := url.Parse(got)
	if err1 != nil || err2 != nil || h.Scheme != "http" || g.Scheme != "http" || g.User != nil || g.Fragment != "" {
		return false
	}
	ip := net.ParseIP(h.Hostname())
	return ip != nil && ip.IsLoopback() && h.Port() == "" && h.Hostname() == g.Hostname() && h.Path == g.Path && h.RawQuery == g.RawQuery
}

func (p *Provider) client(id string) (Client, bool) {
	i := slices.IndexFunc(p.cfg.Clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return Client{}, false
	}
	return p.cfg.Clients[i], true
}

// serveAuthorize answers at once when the browser is signed in well enough, and asks otherwise.
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	req, err := p.readRequest(r.URL.Query())
	if err != nil {
		p.refuse(w, r, req, err)
		return
	}
	s, ok := p.signedIn(r)
	fresh := ok && (req.maxAge < 0 || p.cfg.Now().Sub(s.AuthTime) <= req.maxAge)
	switch {
	case fresh && (req.prompt == "" || req.prompt == "none" || req.prompt == "consent"):
		p.grant(w, r, req, s)
	case req.prompt == "none":
		p.refuse(w, r, req, &refusal{"login_required", "nobody is signed in"})
	default:
		p.askPassword(w, r, r.URL.RequestURI(), signinForm{User: req.hint})
	}
}

// grant sends a code to the client.
func (p *Provider) grant(w http.ResponseWriter, r *http.Request, req request, s session) {
	c, err := p.codes.Put(code{client: req.client.ID, redirect: req.redirect, challenge: req.challenge, scope: req.scope, nonce: req.nonce,
		sid: s.SID, authTime: s.AuthTime, amr: s.AMR}, codeTime)
	if err != nil {
		p.showError(w, err)
		return
	}
	p.sendBack(w, r, req, url.Values{"code": {c}})
}

// refuse sends an error to the client when its address is known to be good, and shows it otherwise.
func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, req request, err error) {
	if no, ok := err.(*refusal); ok {
		p.sendBack(w, r, req, url.Values{"error": {no.code}, "error_description": {no.text}})
		return
	}
	p.showError(w, err)
}

func (p *Provider) sendBack(w http.ResponseWriter, r *http.Request, req request, add url.Values) {
	u, err := url.Parse(req.redirect)
	if err != nil {
		p.showError(w, err)
		return
	}
	q := u.Query()
	for k, v := range add {
		q[k] = v
	}
	if req.state != "" {
		q.Set("state", req.state)
	}
	q.Set("iss", p.cfg.Issuer) // RFC 9207
	u.RawQuery = q.Encode()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// knows compares a client's secret in constant time.
func (c Client) knows(given string) bool {
	a, b := pending.Hash(c.Secret), pending.Hash(given)
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func clip(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
