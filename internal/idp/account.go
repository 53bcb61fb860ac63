package idp

import "net/http"

// serveAccount tells a client that shows its secret whether somebody is known here, and whether they have left: removed or
// disabled. OpenID Connect has no words for it: a sign-in says who is here, and nothing says who has left. API tokens die with
// their user, so the gateway must know. Neither is said of a person who is not in the file: then nothing may be revoked.
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
