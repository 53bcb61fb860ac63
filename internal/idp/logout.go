package idp

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/page"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutPage asks whether somebody wants to sign out, when nothing proves that a client of theirs asks for it.
type logoutPage struct {
	Action, Who string
}

// serveLogout is RP-initiated logout. An id token of ours as hint proves that the client had this session; without one
// the person is asked, or any page could sign people out.
func (p *Provider) serveLogout(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.showError(w, errkind.New(errkind.Usage, "this request is not a form of at most 16 KiB"))
		return
	}
	mine, have := p.signedIn(r)
	client, sid, hinted := p.readHint(r.Form.Get("id_token_hint"))
	switch {
	case hinted:
		mine.SID = cmp.Or(sid, mine.SID)
	case have && r.Method != http.MethodPost:
		u, _ := p.users.bySubject(mine.Subject)
		p.pages.Write(w, page.Page{Name: "logout", Title: "Sign out", Data: logoutPage{Action: r.URL.RequestURI(), Who: u.Title()}})
		return
	}
	if err := p.endSession(mine.SID); err != nil {
		p.showError(w, err)
		return
	}
	if own, _ := p.state.byCookie(p.cookie(r)); own.SID == "" {
		p.setCookie(w, "", 0)
	}
	if client == "" {
		client = r.Form.Get("client_id")
	}
	p.afterLogout(w, r, client)
}

func (p *Provider) afterLogout(w http.ResponseWriter, r *http.Request, client string) {
	c, _ := p.client(client)
	to := r.Form.Get("post_logout_redirect_uri")
	u, err := url.Parse(to)
	if to == "" || err != nil || !slices.Contains(c.AfterLogout, to) {
		p.pages.Write(w, page.Page{Name: "done", Title: "Signed out", Data: "You are signed out here. You can close this page."})
		return
	}
	if state := r.Form.Get("state"); state != "" {
		q := u.Query()
		q.Set("state", state)
		u.RawQuery = q.Encode()
	}
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// readHint reads an id token that this provider signed, expired or not.
func (p *Provider) readHint(raw string) (client, sid string, ok bool) {
	var claims struct {
		Issuer string `json:"iss"`
		Client string `json:"aud"`
		SID    string `json:"sid"`
		Event  any    `json:"events"`
	}
	if raw == "" || p.keys.verify(raw, &claims) != nil || claims.Issuer != p.cfg.Issuer || claims.Event != nil {
		return "", "", false
	}
	return claims.Client, claims.SID, true
}

// serveEndSession ends a session for a client that shows its secret and has tokens of that session. Unlike RP-initiated
// logout it needs no browser, so there is neither an id token in an address nor a question to the person.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	c, ok := p.clientWithSecret(w, r)
	if !ok {
		return
	}
	s, known := p.state.bySID(r.PostForm.Get("sid"))
	if !known || !slices.Contains(s.Clients, c.ID) {
		wrong(w, http.StatusBadRequest, "invalid_request", "this client has no such session")
		return
	}
	if err := p.endSession(s.SID); err != nil {
		p.cfg.Log.Error("a session could not be ended", slog.String("sid", s.SID), slog.Any("error", err))
		wrong(w, http.StatusInternalServerError, "server_error", "the provider could not store what it must")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// endSession ends one sign-in and tells every client that has tokens of it.
func (p *Provider) endSession(sid string) error {
	if sid == "" {
		return nil
	}
	p.access.DropAll(func(a access) bool { return a.sid == sid })
	s, ok, err := p.state.end(sid)
	if ok && err == nil {
		p.sendLogouts(s)
	}
	return err
}

// sendLogouts posts a logout token to each client of a session that has ended. It does not wait: Run does.
func (p *Provider) sendLogouts(s session) {
	for _, name := range s.Clients {
		c, ok := p.client(name)
		if !ok || c.BackChannel == "" {
			continue
		}
		p.logouts.Go(func() {
			if err := p.sendLogout(c, s); err != nil {
				p.cfg.Log.Error("a client was not told that a sign-in ended", slog.String("client", c.ID), slog.String("sid", s.SID), slog.Any("error", err))
			}
		})
	}
}

// sendLogout tries three times within four seconds: clients promise to have ended everything by the fifth.
func (p *Provider) sendLogout(c Client, s session) (err error) {
	for try := range 3 {
		if try > 0 {
			time.Sleep(time.Duration(try) * 500 * time.Millisecond)
		}
		if err = p.postLogout(c, s); err == nil {
			return nil
		}
	}
	return err
}

func (p *Provider) postLogout(c Client, s session) error {
	now := p.cfg.Now()
	raw, err := p.keys.sign("logout+jwt", map[string]any{
		"iss": p.cfg.Issuer, "aud": c.ID, "sub": s.Subject, "sid": s.SID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"jti": rand.Text(), "events": map[string]any{logoutEvent: map[string]any{}},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	body := strings.NewReader(url.Values{"logout_token": {raw}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BackChannel, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := p.cfg.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 4<<10))
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s answered %d", c.BackChannel, res.StatusCode)
	}
	return nil
}

// showError shows what happened in words, or a reference when it is a fault of ours.
func (p *Provider) showError(w http.ResponseWriter, err error) {
	text, hint, reference := errkind.ForPeople(err)
	if reference != "" {
		p.cfg.Log.Error("sign-in page", slog.String("reference", reference), slog.Any("error", err))
	}
	p.pages.Write(w, page.Page{Name: "error", Status: errkind.KindOf(err).HTTP(), Title: "This did not work",
		Data: map[string]string{"Text": page.Sentence(text), "Hint": hint}})
}
