package idp

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/pending"
)

// How somebody showed who they are, in the words of RFC 8176.
const (
	amrPassword = "pwd"
	amrOTP      = "otp"
	amrMulti    = "mfa"
)

// step is a password that was right, waiting for the second factor.
type step struct {
	user  string
	back  string
	tries int
}

const maxTries = 5

// signinForm is what the password page shows. Back is the request that it interrupts, as a path of ours.
type signinForm struct {
	Action, Back string
	Host         string
	User         string
	Error, Hint  string
	Step         string // second page only
}

// askPassword shows the password page for a request of ours.
func (p *Provider) askPassword(w http.ResponseWriter, r *http.Request, back string, f signinForm) {
	f.Action, f.Back, f.Host = p.path+"/signin", back, r.Host
	status := http.StatusOK
	if f.Error != "" {
		status = http.StatusUnauthorized
	}
	p.pages.Write(w, page.Page{Name: "signin", Status: status, Title: "Sign in to " + p.cfg.Site, Data: f, FormTo: p.formTo(back)})
}

// formTo lets the form's answer lead on to where the client wants the browser back.
func (p *Provider) formTo(back string) []string {
	u, err := url.Parse(back)
	if err != nil || u.Path != p.path+"/authorize" {
		return nil
	}
	req, err := p.readRequest(u.Query())
	if err != nil {
		return nil
	}
	return []string{req.redirect}
}

// backTo accepts only the two requests that a sign-in can interrupt.
func (p *Provider) backTo(back string) (*url.URL, error) {
	u, err := url.Parse(back)
	if err != nil || u.IsAbs() || u.Host != "" || (u.Path != p.path+"/authorize" && u.Path != p.path+"/device") {
		return nil, errkind.New(errkind.Usage, "this form belongs to no sign-in").WithHint("Start again where you came from.")
	}
	return u, nil
}

func (p *Provider) servePassword(w http.ResponseWriter, r *http.Request) {
	back := r.PostFormValue("back")
	if _, err := p.backTo(back); err != nil {
		p.showError(w, err)
		return
	}
	name, password := strings.ToLower(strings.TrimSpace(r.PostFormValue("username"))), r.PostFormValue("password")
	form := signinForm{User: clip(name)}
	leave, ok := enter()
	if !ok { // before anything is counted: this attempt was not made
		w.Header().Set("Retry-After", "5")
		p.showError(w, errkind.New(errkind.Unavailable, "too many people sign in at this moment").WithHint("Wait a few seconds, go back and try again."))
		return
	}
	defer leave()
	if wait := p.backoff.attempt(p.cfg.Addr(r), form.User); wait > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(seconds(wait)))
		form.Error = fmt.Sprintf("There were too many attempts. Wait %d s, then try again.", seconds(wait))
		p.askPassword(w, r, back, form)
		return
	}
	u, ok := p.checkPassword(name, password)
	if !ok {
		form.Error, form.Hint = "This user name or password is wrong.", "Look at the address above, at Caps Lock, and at the spelling of the name."
		p.askPassword(w, r, back, form)
		return
	}
	p.backoff.forgive(p.cfg.Addr(r), form.User)
	if u.TOTP != "" {
		p.askSecond(w, r, step{user: u.Name, back: back}, "")
		return
	}
	p.complete(w, r, u, back, []string{amrPassword})
}

// checkPassword takes the same time for a name that nobody has.
func (p *Provider) checkPassword(name, password string) (User, bool) {
	u, ok := p.users.byName(name)
	hash := u.Password
	if !ok || u.Disabled {
		hash = nobody
	}
	return u, samePassword(hash, password) && ok && !u.Disabled
}

func (p *Provider) askSecond(w http.ResponseWriter, r *http.Request, s step, wrong string) {
	name, err := p.steps.Put(s, stepTime)
	if err != nil {
		p.showError(w, err)
		return
	}
	status := http.StatusOK
	if wrong != "" {
		status = http.StatusUnauthorized
	}
	f := signinForm{Action: p.path + "/second", Host: r.Host, User: s.user, Step: name, Error: wrong}
	p.pages.Write(w, page.Page{Name: "second", Status: status, Title: "Second factor", Data: f, FormTo: p.formTo(s.back)})
}

// otpSlips makes a name under which wrong codes are counted apart from wrong passwords.
const otpSlips = " otp"

// serveSecond takes the code. Each page carries a step of its own, so nothing is tried twice from one.
func (p *Provider) serveSecond(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("step")
	s, ok := p.steps.Take(name)
	if !ok {
		p.showError(w, errkind.New(errkind.Signin, "this sign-in took too long, or was finished already").WithHint("Start again where you came from."))
		return
	}
	if wait := p.backoff.attempt(p.cfg.Addr(r), s.user+otpSlips); wait > 0 {
		p.askSecond(w, r, s, fmt.Sprintf("There were too many attempts. Wait %d s, then try again.", seconds(wait)))
		return
	}
	if s.tries++; s.tries > maxTries {
		p.showError(w, errkind.New(errkind.Signin, "the second factor was wrong too often").WithHint("Start again where you came from."))
		return
	}
	code := strings.ReplaceAll(r.PostFormValue("code"), " ", "")
	if err := p.users.useTOTP(s.user, code, p.cfg.Now()); err != nil {
		p.askSecond(w, r, s, "This code is wrong, or was used already. Take the one that is shown now; the clock of your phone must be right.")
		return
	}
	p.backoff.forgive(p.cfg.Addr(r), s.user+otpSlips)
	u, ok := p.users.byName(s.user)
	if !ok || u.Disabled {
		p.showError(w, errkind.New(errkind.Signin, "this user is no longer known"))
		return
	}
	p.complete(w, r, u, s.back, []string{amrPassword, amrOTP, amrMulti})
}

// complete makes the session and goes on with what the sign-in interrupted. The secret is new each time, so a cookie
// planted before is worth nothing.
func (p *Provider) complete(w http.ResponseWriter, r *http.Request, u User, back string, amr []string) {
	to, err := p.backTo(back)
	if err != nil {
		p.showError(w, err)
		return
	}
	now, cookie := p.cfg.Now().UTC(), pending.Secret()
	s, ended, err := p.state.begin(session{Cookie: hexHash(cookie), Subject: u.Subject, AuthTime: now, AMR: amr, Expires: now.Add(SessionTime)}, p.cookie(r))
	if err != nil {
		p.showError(w, err)
		return
	}
	for _, o := range ended {
		p.sendLogouts(o)
	}
	p.setCookie(w, cookie, SessionTime)
	for _, what := range []string{u.Name, u.Name + otpSlips} {
		p.backoff.remember(p.cfg.Addr(r), what)
	}
	if to.Path == p.path+"/device" {
		http.Redirect(w, r, to.RequestURI(), http.StatusSeeOther)
		return
	}
	req, err := p.readRequest(to.Query())
	if err != nil {
		p.refuse(w, r, req, err)
		return
	}
	p.grant(w, r, req, s)
}

// signedIn gives the browser's session, unless its person may not stay.
func (p *Provider) signedIn(r *http.Request) (session, bool) {
	s, ok := p.state.byCookie(p.cookie(r))
	if !ok {
		return session{}, false
	}
	u, known := p.users.bySubject(s.Subject)
	return s, known && u.mayStay(s.AuthTime)
}

func (p *Provider) secure() bool { return strings.HasPrefix(p.cfg.Issuer, "https://") }

// cookieName has the prefix that keeps subdomains and plain http from planting one. Without TLS, on a loopback address
// only, there is none.
func (p *Provider) cookieName() string {
	if p.secure() {
		return "__Host-sallyport-idp"
	}
	return "sallyport-idp"
}

func (p *Provider) cookie(r *http.Request) string {
	c, err := r.Cookie(p.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

func (p *Provider) setCookie(w http.ResponseWriter, value string, life time.Duration) {
	c := &http.Cookie{Name: p.cookieName(), Value: value, Path: "/", HttpOnly: true, Secure: p.secure(), SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds())}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
