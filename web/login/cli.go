package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/problem"
)

// cliCode is a person's yes to a command line, on its way through the browser.
type cliCode struct {
	session   [32]byte // of the browser
	challenge string
}

const (
	cliCodeTime = time.Minute
	codesOfOne  = 10 // sign-in
)

// cliStart is what a command line asks in the browser's address (RFC 8252: a loopback address of its own, and PKCE).
type cliStart struct {
	Challenge, State, Redirect string
}

func readCLIStart(q url.Values) (cliStart, error) {
	c := cliStart{q.Get("challenge"), q.Get("state"), q.Get("redirect")}
	u, err := url.Parse(c.Redirect)
	switch {
	case len(c.Challenge) != 43 || len(c.State) < 16 || len(c.State) > 256:
		return c, errkind.New(errkind.Usage, "this address was not made by `sallyport login`").WithHint("Run `sallyport login` again.")
	case err != nil || u.Scheme != "http" || u.User != nil || u.Fragment != "" || u.Port() == "" || !loopbackIP(u.Hostname()):
		return c, errkind.New(errkind.Usage, "a command line is answered on a loopback address of its own machine only").WithHint("Run `sallyport login` again.")
	}
	return c, nil
}

func loopbackIP(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// confirmPage asks whether a program may act as somebody.
type confirmPage struct {
	Action, Who, From, Code string
	CLI                     *cliStart
	Error                   string
}

// serveCLI asks the person in the browser. Without the question any page could start a sign-in of a command line that is
// not theirs.
func (s *Service) serveCLI(w http.ResponseWriter, r *http.Request) {
	c, err := readCLIStart(r.URL.Query())
	if err != nil {
		s.showError(w, err, "")
		return
	}
	who, err := s.browser(r)
	if err == nil && r.URL.Query().Has("again") && s.cfg.Now().Sub(who.SignedInAt) > freshSignIn {
		err = errNobody // this sign-in is too old for what the command line wants to do
	}
	if err != nil {
		s.signInFirst(w, r, err)
		return
	}
	s.pages.Write(w, page.Page{Name: "confirm", Title: "Sign in the command line", FormTo: []string{c.Redirect},
		Data: confirmPage{Action: "/login/cli", Who: who.Person.Name, From: text(s.cfg.Addr(r)), CLI: &c}})
}

// freshSignIn is how old a sign-in may be that a command line asked for anew.
const freshSignIn = 5 * time.Minute

// browser gives who is signed in with this browser; a bearer cannot answer for a person.
func (s *Service) browser(r *http.Request) (Identity, error) {
	who, err := s.Who(r)
	if err == nil && !who.Cookie {
		return Identity{}, errNobody
	}
	return who, err
}

func (s *Service) signInFirst(w http.ResponseWriter, r *http.Request, err error) {
	if errkind.KindOf(err) != errkind.Signin {
		s.showError(w, err, "")
		return
	}
	page.Guard(w.Header())
	http.Redirect(w, r, s.signInAddress(r.URL.Query().Get("provider"), r.URL.RequestURI(), r.URL.Query().Has("again")), http.StatusSeeOther)
}

func (s *Service) serveCLIAnswer(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.showError(w, errkind.New(errkind.Usage, "this form cannot be read"), "")
		return
	}
	c, err := readCLIStart(r.PostForm)
	var who Identity
	if err == nil {
		who, err = s.browser(r)
	}
	if err != nil {
		s.showError(w, err, "")
		return
	}
	add := url.Values{"state": {c.State}}
	if r.PostForm.Get("answer") == "allow" {
		code, err := s.cliCode(who, c)
		if err != nil {
			s.showError(w, err, "")
			return
		}
		add.Set("code", code)
	} else {
		add.Set("error", "access_denied")
	}
	u, _ := url.Parse(c.Redirect) // read before
	q := u.Query()
	for k, v := range add {
		q[k] = v
	}
	u.RawQuery = q.Encode()
	page.Guard(w.Header(), c.Redirect)
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// cliCode makes a code, of which one person cannot take all there are.
func (s *Service) cliCode(who Identity, c cliStart) (string, error) {
	if s.codes.Count(func(k cliCode) bool { return k.session == who.hash }) >= codesOfOne {
		return "", pending.TooMany()
	}
	return s.codes.Put(cliCode{who.hash, c.Challenge}, cliCodeTime)
}

// serveCLIToken gives the command line its bearer for the code and the verifier that only it has. The code is used up by
// the attempt.
func (s *Service) serveCLIToken(w http.ResponseWriter, r *http.Request) {
	var in apitype.CLICode
	err := s.starts.take(s.from(r))
	if err == nil {
		err = readBody(r, &in)
	}
	if err != nil {
		problem.Write(w, s.cfg.Log, err)
		return
	}
	c, ok := s.codes.Take(in.Code)
	sum := sha256.Sum256([]byte(in.Verifier))
	if !ok || len(in.Verifier) < 43 || base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge {
		problem.Write(w, s.cfg.Log, errkind.New(errkind.Signin, "this code was used already, is older than a minute, or belongs to another command").WithHint("Run `sallyport login` again."))
		return
	}
	s.giveBearer(w, r, c.session)
}

// giveBearer makes a command line's session from a browser's. It is a sign-in of its own: it ends with the provider's
// session or by itself, and never outlives what it came from.
func (s *Service) giveBearer(w http.ResponseWriter, r *http.Request, from [32]byte) {
	t, err := s.derive(r.Context(), from, text(s.cfg.Addr(r)))
	if err != nil {
		problem.Write(w, s.cfg.Log, err)
		return
	}
	answer(w, http.StatusOK, t)
}

func (s *Service) derive(ctx context.Context, from [32]byte, addr string) (apitype.CLIToken, error) {
	row, err := s.cfg.Store.WebSession(ctx, from)
	if err != nil {
		return apitype.CLIToken{}, missing(err, errOver)
	}
	now := s.cfg.Now().UTC()
	if why := s.over(row, now); why != "" {
		return apitype.CLIToken{}, errOver
	}
	who, err := s.cfg.Store.Principal(ctx, row.Principal)
	if err != nil {
		return apitype.CLIToken{}, missing(err, errOver)
	}
	bearer := PrefixCLI + pending.Secret()
	row.IDHash, row.Kind, row.Addr, row.Created, row.LastSeen = pending.Hash(bearer), store.KindCLI, addr, now, now
	if err := s.relock(&row, bearer); err != nil {
		return apitype.CLIToken{}, err
	}
	if err := s.record(ctx, audit.SignedIn, row, map[string]string{"name": who.Name}); err != nil {
		return apitype.CLIToken{}, err
	}
	if err := s.makeRoom(ctx, row.Principal); err != nil {
		return apitype.CLIToken{}, err
	}
	if err := s.cfg.Store.AddWebSession(ctx, row); err != nil {
		return apitype.CLIToken{}, err
	}
	s.note(row, now)
	return apitype.CLIToken{Bearer: bearer, Name: who.Name, Expires: row.Expires}, nil
}

// relock makes of a copy of a browser's row one of a command line: the same key under another secret, and no refresh
// token.
func (s *Service) relock(row *store.WebSession, bearer string) error {
	k, ok := s.keyOf(*row)
	if !ok {
		return errOver // the browser that agreed was here a moment ago
	}
	t, err := k.get(*row)
	if err != nil {
		return err
	}
	t.Refresh = ""
	k.lock(row, bearer)
	return k.put(row, t)
}

// readBody reads one strict JSON object.
func readBody(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errkind.New(errkind.Usage, "the body is not the JSON that this address takes").Because(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errkind.New(errkind.Usage, "there is something after the JSON")
	}
	return nil
}

func answer(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
