package idp

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/pending"
)

// asking is a device that waits for somebody to agree (RFC 8628).
type asking struct {
	client, scope string
	addr          netip.Addr
}

func (p *Provider) serveDeviceStart(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		wrong(w, http.StatusBadRequest, "invalid_request", "the body is not a form of at most 16 KiB")
		return
	}
	c, ok := p.authenticate(r)
	switch {
	case !ok:
		wrong(w, http.StatusUnauthorized, "invalid_client", "the client id or its secret is wrong")
		return
	case !c.Device:
		wrong(w, http.StatusBadRequest, "unauthorized_client", "this client may not use the device grant")
		return
	case !strings.Contains(" "+r.PostForm.Get("scope")+" ", " openid "):
		wrong(w, http.StatusBadRequest, "invalid_scope", "scope must contain openid")
		return
	}
	addr := p.cfg.Addr(r)
	device, user, err := p.devices.Begin(asking{c.ID, clip(r.PostForm.Get("scope")), addr}, pending.Network(addr))
	if err != nil {
		wrong(w, http.StatusTooManyRequests, "slow_down", "too many sign-ins are under way")
		return
	}
	verify := p.cfg.Issuer + "/device"
	answer(w, http.StatusOK, map[string]any{"device_code": device, "user_code": user, "verification_uri": verify,
		"verification_uri_complete": verify + "?user_code=" + user, "expires_in": int(pending.CodeTime.Seconds()), "interval": int(pending.CodeInterval.Seconds())})
}

func (p *Provider) redeemDevice(c Client, device string) (issue, error) {
	i, _, status := p.devices.Poll(device, func(a asking) bool { return a.client == c.ID })
	switch status {
	case pending.Waiting:
		return issue{}, &refusal{"authorization_pending", "nobody has confirmed this yet"}
	case pending.TooFast:
		return issue{}, &refusal{"slow_down", "the questions come too fast"}
	case pending.Expired:
		return issue{}, &refusal{"expired_token", "nobody confirmed this in time"}
	case pending.Denied:
		return issue{}, &refusal{"access_denied", "somebody refused this sign-in"}
	case pending.Unknown:
		return issue{}, errInvalidGrant
	}
	return i, nil
}

// devicePage is the page on which somebody confirms a device's sign-in.
type devicePage struct {
	Action, Code, Error string
	Client, From, Who   string
	Ask                 bool
}

// serveDevicePage asks for the code, and then whether it is really the person's own device: the code may have come in a
// mail from somebody else.
func (p *Provider) serveDevicePage(w http.ResponseWriter, r *http.Request) {
	s, ok := p.signedIn(r)
	if !ok {
		p.askPassword(w, r, r.URL.RequestURI(), signinForm{})
		return
	}
	u, _ := p.users.bySubject(s.Subject)
	text := r.URL.Query().Get("user_code")
	d := devicePage{Action: p.path + "/device", Code: clip(text), Who: u.Title()}
	if text != "" {
		if wait := p.backoff.attempt(p.cfg.Addr(r), s.Subject+" device"); wait > 0 {
			d.Error = "There were too many attempts. Wait a minute, then try again."
		} else if n, user, found := p.devices.Find(text); found {
			p.backoff.forgive(p.cfg.Addr(r), s.Subject+" device")
			d.Ask, d.Code, d.Client, d.From = true, user, n.client, n.addr.String()
		} else {
			d.Error = "This code is wrong, has expired or was used."
		}
	}
	p.pages.Write(w, page.Page{Name: "device", Title: "Sign in on another device", Data: d})
}

func (p *Provider) serveDeviceAnswer(w http.ResponseWriter, r *http.Request) {
	s, ok := p.signedIn(r)
	if !ok {
		p.showError(w, errkind.New(errkind.Signin, "your sign-in has ended").WithHint("Open the address that your device shows again."))
		return
	}
	err := p.answerDevice(s, r.PostFormValue("user_code"), r.PostFormValue("answer") == "allow")
	if err != nil {
		p.showError(w, err)
		return
	}
	text := "The other device was refused."
	if r.PostFormValue("answer") == "allow" {
		text = "The other device is signed in. You can close this page."
	}
	p.pages.Write(w, page.Page{Name: "done", Title: "Done", Data: text})
}

// answerDevice gives the device a session of its own, so that it stays when the browser signs out and the other way round.
func (p *Provider) answerDevice(s session, text string, allow bool) error {
	late := errkind.New(errkind.Conflict, "this code is wrong, has expired or was answered already").WithHint("Start again on the device.")
	n, _, ok := p.devices.Find(text)
	if !ok {
		return late
	}
	if !allow {
		if !p.devices.Answer(text, nil) {
			return late
		}
		return nil
	}
	own, _, err := p.state.begin(session{Subject: s.Subject, AuthTime: s.AuthTime, AMR: s.AMR, Expires: p.cfg.Now().Add(SessionTime).UTC()}, "")
	if err != nil {
		return err
	}
	i := issue{client: n.client, scope: n.scope, sid: own.SID, authTime: s.AuthTime, amr: s.AMR, family: strings.ToLower(rand.Text())}
	if !p.devices.Answer(text, &i) {
		_, _, err := p.state.end(own.SID)
		return errors.Join(late, err)
	}
	return nil
}
