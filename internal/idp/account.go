package idp

import "net/http"

// serveAccount tells an authenticated client whether a person is a user, or has left: was removed or disabled. OpenID
// Connect has no message for this. API tokens end with their user, so the gateway must know. For a person who is not in
// the file it reports neither, so that nothing is revoked.
func (p *Provider) serveAccount(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		wrong(w, http.StatusBadRequest, "invalid_request", "the body is not a form of at most 16 KiB")
		return
	}
	c, ok := p.authenticate(r)
	if !ok || c.Secret == "" {
		wrong(w, http.StatusUnauthorized, "invalid_client", "the client id or its secret is wrong")
		return
	}
	u, known := p.users.bySubject(r.PostForm.Get("sub"))
	answer(w, http.StatusOK, map[string]bool{"known": known && !u.left(), "left": known && u.left()})
}
