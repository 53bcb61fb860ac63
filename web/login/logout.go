package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/problem"
)

// serveLogout ends the session that the request shows, and says where the provider's own ends. It answers the same
// whether there was a session or not.
func (s *Service) serveLogout(w http.ResponseWriter, r *http.Request) {
	row, secret, ok, err := s.shown(r)
	if err != nil {
		problem.Write(w, s.cfg.Log, err)
		return
	}
	to := s.cfg.URL + afterLogout
	if ok {
		by, _ := EvidenceOf(row, secret, "") // without an id token the provider gets a hint
		if err := s.tryEnd(r.Context(), row.IDHash, "signed out"); err != nil {
			problem.Write(w, s.cfg.Log, err)
			return
		}
		if row.Kind == store.KindWeb {
			to = s.leaveProvider(w, r, row, by.IDToken)
		}
	}
	s.setCookie(w, s.cookieName(), "", 0)
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	if strings.Contains(r.Header.Get("Accept"), "application/json") || r.Header.Get("Authorization") != "" {
		answer(w, http.StatusOK, apitype.SignedOut{Redirect: to})
		return
	}
	page.Guard(w.Header(), to)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// shown finds the session of a bearer or of a cookie, however old, and gives its secret.
func (s *Service) shown(r *http.Request) (row store.WebSession, secret string, ok bool, err error) {
	head := r.Header.Get("Authorization") // a bearer counts alone, as in Who
	secret, kind := strings.TrimPrefix(head, "Bearer "), store.KindCLI
	if head == "" {
		if c, err := r.Cookie(s.cookieName()); err == nil {
			secret, kind = c.Value, store.KindWeb
		}
	}
	row, err = s.cfg.Store.WebSession(r.Context(), pending.Hash(secret))
	if err != nil && errkind.KindOf(err) == errkind.NotFound {
		return store.WebSession{}, "", false, nil
	}
	return row, secret, err == nil && row.Kind == kind, err
}

// serveBackChannel takes a provider's word that a sign-in is over: the browser's session, the command lines that came of
// it, and what they have open.
func (s *Service) serveBackChannel(w http.ResponseWriter, r *http.Request) {
	p, err := s.cfg.Providers.Named(r.PathValue("provider"))
	from := "backchannel " + s.from(r)
	if err == nil {
		err = s.starts.take(from)
	}
	if err != nil {
		problem.Write(w, s.cfg.Log, err)
		return
	}
	out, err := p.VerifyLogout(r.Context(), r.PostFormValue("logout_token"))
	if err != nil {
		s.cfg.Log.Warn("logout token refused", slog.String("provider", p.Name()), slog.Any("error", err))
		status, code := http.StatusBadRequest, "invalid_request"
		if errkind.KindOf(err) == errkind.Unavailable {
			status, code = http.StatusServiceUnavailable, "temporarily_unavailable"
		}
		answer(w, status, map[string]string{"error": code})
		return
	}
	s.starts.giveBack(from) // a provider may sign a whole shift out at once, and tells nobody twice
	if err := s.endAllOf(r, id.Principal{Issuer: out.Issuer, Subject: out.Subject}, out.SID); err != nil {
		s.cfg.Log.Error("a sign-in that the provider ended could not be ended here", slog.Any("error", err))
		answer(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// endAllOf ends the sessions with a sid. Those of the person that have none may be the same one; without a sid all of the
// person's are meant.
func (s *Service) endAllOf(r *http.Request, p id.Principal, sid string) error {
	const why = "the provider signed you out"
	ctx := context.WithoutCancel(r.Context()) // begun, it is done
	gone, err := s.cfg.Store.EndWebSessionsBySID(ctx, p.Issuer, sid)
	for _, row := range gone {
		s.ended(ctx, row, why)
	}
	if err != nil || p.Subject == "" {
		return err
	}
	all, err := s.cfg.Store.WebSessionsOf(ctx, p)
	for _, row := range all {
		if sid == "" || row.SID == "" {
			err = errors.Join(err, s.tryEnd(ctx, row.IDHash, why))
		}
	}
	return err
}
