package login

import (
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/pending"
)

// flow is one sign-in under way, kept under its state and bound to the browser that began it.
type flow struct {
	oidcauth.Flow
	cookie [32]byte
	next   string
	from   string
	wider  string
	again  bool // the provider was told to see the person afresh
}

const (
	flowTime     = 10 * time.Minute
	flowsOfOne   = 100 // network
	flowsOfWider = 500 // see pending.Wider
)

// serveChoose goes to the one provider, or to the page that offers them.
func (s *Service) serveChoose(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, s.signInAddress(r.URL.Query().Get("provider"), localPath(r.URL.Query().Get("next")), r.URL.Query().Has("again")), http.StatusSeeOther)
}

// signInAddress is where a sign-in begins. again: the provider sees the person afresh, also if it still knows them.
func (s *Service) signInAddress(provider, next string, again bool) string {
	q := "?" + url.Values{"next": {next}}.Encode()
	if again {
		q += "&again"
	}
	if all := s.cfg.Providers.All(); len(all) == 1 {
		return "/login/" + all[0].Name() + q
	}
	if p, err := s.cfg.Providers.Named(provider); err == nil {
		return "/login/" + p.Name() + q
	}
	return "/signin" + q
}

// serveStart sends the browser to a provider.
func (s *Service) serveStart(w http.ResponseWriter, r *http.Request) {
	s.start(w, r, r.PathValue("provider"), localPath(r.URL.Query().Get("next")), r.URL.Query().Has("again"))
}

func (s *Service) start(w http.ResponseWriter, r *http.Request, provider, next string, again bool) {
	from := s.from(r)
	p, err := s.cfg.Providers.Named(provider)
	if err == nil {
		err = s.starts.take(from)
	}
	wider := pending.Wider(from)
	if err == nil && (s.flows.Count(func(f flow) bool { return f.from == from }) >= flowsOfOne ||
		s.flows.Count(func(f flow) bool { return f.wider == wider }) >= flowsOfWider) {
		err = pending.TooMany()
	}
	if err != nil {
		s.showError(w, err, "")
		return
	}
	f, to, err := p.Start(r.Context(), again)
	if err != nil {
		s.showError(w, err, "/signin")
		return
	}
	secret := pending.Secret()
	err = s.flows.PutAs(f.State, flow{Flow: f, cookie: pending.Hash(secret), next: next, from: from, wider: wider, again: again}, flowTime)
	if err != nil {
		s.showError(w, err, "")
		return
	}
	s.setCookie(w, s.flowCookie(f.State), secret, flowTime)
	page.Guard(w.Header())
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// serveCallback takes what the provider sends back. The flow is used up first, whatever comes of it.
func (s *Service) serveCallback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f, err := s.flowOf(w, r, q.Get("state"))
	if err != nil {
		s.showError(w, err, "/")
		return
	}
	back := "/login/" + f.Provider + "?" + url.Values{"next": {f.next}}.Encode()
	p, err := s.cfg.Providers.Named(f.Provider)
	var in oidcauth.SignIn
	if err == nil {
		in, err = p.Finish(r.Context(), f.Flow, q)
	}
	if err != nil {
		s.showError(w, err, back, slog.String("provider", f.Provider), slog.String("addr", f.from))
		return
	}
	if in.RefreshToken == "" && !f.Consent && p.AsksConsent() { // with the person's consent there may be one
		s.start(w, r, f.Provider, f.next, f.again)
		return
	}
	if old := s.cfg.Now().Sub(in.SignedInAt) >= s.cfg.Life; old && !f.again { // the provider remembers longer than we do
		s.start(w, r, f.Provider, f.next, true)
		return
	} else if old {
		s.showError(w, errkind.New(errkind.Signin, "your sign-in at "+p.ShownAs()+" is too old").WithHint("Sign out there, then sign in here again."), back)
		return
	}
	if f.again && s.cfg.Now().Sub(in.SignedInAt) > freshSignIn { // or this would go round in circles
		s.showError(w, errkind.New(errkind.Signin, p.ShownAs()+" did not check again who you are").WithHint("Sign out there, then sign in here again."), back)
		return
	}
	if err := s.begin(w, r, in); err != nil {
		s.showError(w, err, back)
		return
	}
	page.Guard(w.Header())
	http.Redirect(w, r, f.next, http.StatusSeeOther)
}

// flowOf takes a flow out and checks that this browser began it here.
func (s *Service) flowOf(w http.ResponseWriter, r *http.Request, state string) (flow, error) {
	no := errkind.New(errkind.Signin, "this sign-in was finished already, took longer than ten minutes, or began in another browser").
		WithHint("Sign in again. If it happens each time, this browser refuses cookies.")
	if err := s.starts.take(s.from(r)); err != nil {
		return flow{}, err
	}
	f, ok := s.flows.Take(state)
	if !ok {
		return flow{}, no
	}
	name := s.flowCookie(f.State)
	c, err := r.Cookie(name)
	s.setCookie(w, name, "", 0)
	if err != nil || f.Provider != r.PathValue("provider") {
		return flow{}, no
	}
	if h := pending.Hash(c.Value); subtle.ConstantTimeCompare(h[:], f.cookie[:]) != 1 {
		return flow{}, no
	}
	return f, nil
}

// flowCookie has a name for each flow, so that two tabs may sign in at once.
func (s *Service) flowCookie(state string) string { return s.cookieName() + "-flow-" + state[:8] }

// cookieName has the prefix that keeps other hosts and plain http from planting one. Without TLS, which is for loopback
// only, there is none.
func (s *Service) cookieName() string {
	if s.secure {
		return "__Host-sallyport"
	}
	return "sallyport"
}

func (s *Service) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds())}
	if life <= 0 {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// problemPage is what an error page shows.
type problemPage struct {
	Text, Hint, Again string
}

// showError shows an error in words, or a reference if it is an internal fault. It logs internal faults, errors of kind
// errkind.Unavailable, and every error for which the caller gives attributes in more.
func (s *Service) showError(w http.ResponseWriter, err error, again string, more ...any) {
	text, hint, reference := errkind.ForPeople(err)
	attrs := append(more, slog.Any("error", err))
	switch {
	case reference != "":
		s.cfg.Log.Error("sign-in refused", append(attrs, slog.String("reference", reference))...)
	case errkind.KindOf(err) == errkind.Unavailable || len(more) > 0:
		s.cfg.Log.Warn("sign-in refused", attrs...)
	}
	s.pages.Write(w, page.Page{Name: "error", Status: errkind.KindOf(err).HTTP(), Title: "This did not work", Data: problemPage{page.Sentence(text), hint, again}})
}
