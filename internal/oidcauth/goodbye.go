package oidcauth

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Values of Config.Logout: how the browser asks the provider to end its own session (OpenID Connect RP-Initiated
// Logout). An id token never goes into an address: addresses are in histories, logs and Referer headers.
const (
	LogoutHint = "hint"          // an address with client_id and logout_hint; the provider may ask the person
	LogoutPost = "post_id_token" // a form that posts the id token, for providers that demand it
)

// Goodbye says where the browser goes to end the provider's session. Fields, unless nil, are posted there by a form.
type Goodbye struct {
	To     string
	Fields map[string]string
}

// Goodbye gives the way to end the provider's session in the browser; To is empty if the provider has no address for
// it. Hint names the session or the person to the provider, and backTo is where the provider sends the browser then.
func (p *Provider) Goodbye(ctx context.Context, idToken, hint, backTo string) Goodbye {
	m, _, err := p.discover(ctx)
	if err != nil || !allowedURL(m.EndSession) {
		return Goodbye{}
	}
	u, err := url.Parse(m.EndSession)
	if err != nil {
		return Goodbye{}
	}
	fields := map[string]string{"client_id": p.cfg.ClientID, "post_logout_redirect_uri": backTo}
	if p.cfg.Logout == LogoutPost && idToken != "" {
		fields["id_token_hint"] = idToken
		return Goodbye{m.EndSession, fields}
	}
	q := u.Query()
	for k, v := range fields {
		q.Set(k, v)
	}
	if hint != "" {
		q.Set("logout_hint", hint)
	}
	u.RawQuery = q.Encode()
	return Goodbye{To: u.String()}
}

// EndSession ends a session at the provider over the back channel, and reports whether the provider did. Only the
// built-in provider can be asked; the client authenticates with its secret.
func (p *Provider) EndSession(ctx context.Context, sid string) (bool, error) {
	m, _, err := p.discover(ctx)
	if err != nil || m.End == "" || sid == "" {
		return false, err
	}
	status, err := p.postAsClient(ctx, m.End, url.Values{"sid": {sid}}, nil)
	if err == nil && status != http.StatusNoContent {
		err = p.unreachable(fmt.Errorf("the address for ends of sessions answered %d", status))
	}
	return err == nil, err
}

// postAsClient posts a form with the client's id and secret, and reads the answer with read unless that is nil.
func (p *Provider) postAsClient(ctx context.Context, addr string, form url.Values,
	read func(*http.Response) error) (status int, err error) {
	if !allowedURL(addr) {
		return 0, p.misconfigured(fmt.Sprintf("its address %q is neither https nor loopback", clip(addr)),
			"Look at the provider's discovery document.")
	}
	form.Set("client_id", p.cfg.ClientID)
	form.Set("client_secret", p.cfg.ClientSecret)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, addr, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := p.http.Do(req)
	if err != nil {
		return 0, p.unreachable(err)
	}
	defer res.Body.Close()
	if read != nil {
		err = read(res)
	}
	return res.StatusCode, err
}
