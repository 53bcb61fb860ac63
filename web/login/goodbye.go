package login

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/store"
)

const (
	// afterLogout is where the provider sends the browser back; it must be registered there.
	afterLogout = "/signin"
	goodbyePath = "/logout/continue"
	goodbyeTime = 5 * time.Minute
	endTime     = 3 * time.Second // for the built-in provider's answer
)

// goodbye is a form that still has to be shown: an id token is posted to the provider and never part of an address.
type goodbye struct {
	oidcauth.Goodbye
	ShownAs string
}

// leaveProvider ends the provider's session of a sign-in that has ended here, or gives the address at which the browser
// ends it.
func (s *Service) leaveProvider(w http.ResponseWriter, r *http.Request, row store.WebSession, idToken string) string {
	to := s.cfg.URL + afterLogout
	p, err := s.cfg.Providers.Named(row.Provider)
	if err != nil {
		return to
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), endTime)
	defer cancel()
	ended, err := p.EndSession(ctx, row.SID)
	if err != nil {
		s.cfg.Log.Warn("the provider was not told of a sign-out", slog.String("provider", p.Name()), slog.Any("error", err))
	}
	if ended {
		return to
	}
	g := p.Goodbye(r.Context(), idToken, s.hint(r.Context(), row), to)
	if g.Fields == nil {
		return cmp.Or(g.To, to)
	}
	secret, err := s.goodbyes.Put(goodbye{g, p.ShownAs()}, goodbyeTime)
	if err != nil {
		s.cfg.Log.Warn("a sign-out at the provider was not offered", slog.Any("error", err))
		return to
	}
	s.setCookie(w, s.goodbyeCookie(), secret, goodbyeTime)
	return s.cfg.URL + goodbyePath
}

// hint names a session, or else the person, to the provider.
func (s *Service) hint(ctx context.Context, row store.WebSession) string {
	if row.SID != "" {
		return row.SID
	}
	who, err := s.cfg.Store.Principal(ctx, row.Principal)
	if err != nil {
		return ""
	}
	return cmp.Or(who.Username, who.Email)
}

// serveGoodbye shows the form once, to the browser that signed out.
func (s *Service) serveGoodbye(w http.ResponseWriter, r *http.Request) {
	c, err := r.Cookie(s.goodbyeCookie())
	var g goodbye
	ok := false
	if err == nil {
		g, ok = s.goodbyes.Take(c.Value)
		s.setCookie(w, s.goodbyeCookie(), "", 0)
	}
	if !ok {
		page.Guard(w.Header())
		http.Redirect(w, r, afterLogout, http.StatusSeeOther)
		return
	}
	s.pages.Write(w, page.Page{Name: "goodbye", Title: "Signed out", FormTo: []string{g.To}, Data: g})
}

func (s *Service) goodbyeCookie() string { return s.cookieName() + "-goodbye" }
