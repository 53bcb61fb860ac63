package idp

import "net/http"

// clientWithSecret returns the client that sends a form and shows its secret. If it returns false, the request was
// answered with an error.
func (p *Provider) clientWithSecret(w http.ResponseWriter, r *http.Request) (c Client, ok bool) {
	if err := r.ParseForm(); err != nil {
		wrong(w, http.StatusBadRequest, "invalid_request", "the body is not a form of at most 16 KiB")
		return c, false
	}
	if c, ok = p.authenticate(r); !ok || c.Secret == "" {
		wrong(w, http.StatusUnauthorized, "invalid_client", "the client id or its secret is wrong")
		return c, false
	}
	return c, true
}

// serveAccount tells an authenticated client whether a person is a user, or has left: was removed or disabled. OpenID
// Connect has no message for this. API tokens end with their user, so the gateway must know. For a person who is not in
// the file it reports neither, so that nothing is revoked.
func (p *Provider) serveAccount(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.clientWithSecret(w, r); !ok {
		return
	}
	u, known := p.users.bySubject(r.PostForm.Get("sub"))
	answer(w, http.StatusOK, map[string]bool{"known": known && !u.left(), "left": known && u.left()})
}
