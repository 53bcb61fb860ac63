package idp

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
)

// Grants.
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"
)

// access is what an access token stands for: userinfo, and nothing else.
type access struct {
	subject, scope, sid, client, family string
}

// issue is what tokens are made of.
type issue struct {
	client   string
	scope    string
	nonce    string
	sid      string
	authTime time.Time
	amr      []string
	family   string // empty: a new one
}

type tokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token,omitempty"`
	Scope   string `json:"scope"`
}

// errUnheard keeps a sign-in from being ended because a file is missing: the client asks again later.
var errUnheard = errors.New("the person of this sign-in is not among the users, and was not removed")

var errInvalidGrant = errors.New("this grant is unknown, used, expired or not yours")

func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		wrong(w, http.StatusBadRequest, "invalid_request", "the body is not a form of at most 16 KiB")
		return
	}
	c, ok := p.authenticate(r)
	if !ok {
		if _, _, basic := r.BasicAuth(); basic {
			w.Header().Set("WWW-Authenticate", `Basic realm="sallyport"`)
		}
		wrong(w, http.StatusUnauthorized, "invalid_client", "the client id or its secret is wrong")
		return
	}
	var i issue
	var err error
	switch r.PostForm.Get("grant_type") {
	case grantCode:
		i, err = p.redeemCode(c, r.PostForm)
	case grantRefresh:
		i, err = p.redeemRefresh(c, r.PostForm.Get("refresh_token"))
	case grantDevice:
		i, err = p.redeemDevice(c, r.PostForm.Get("device_code"))
	default:
		wrong(w, http.StatusBadRequest, "unsupported_grant_type", "the grants are "+grantCode+", "+grantRefresh+" and "+grantDevice)
		return
	}
	var t tokens
	if err == nil {
		t, err = p.makeTokens(i, r.PostForm)
	}
	var no *refusal
	switch {
	case err == nil:
		answer(w, http.StatusOK, t)
	case errors.As(err, &no):
		wrong(w, http.StatusBadRequest, no.code, no.text)
	case errors.Is(err, errUnheard):
		p.cfg.Log.Error("the person of a sign-in is not among the users, and was not removed; "+
			"check that users.json is the right file", slog.String("client", c.ID))
		wrong(w, http.StatusServiceUnavailable, "temporarily_unavailable", errUnheard.Error())
	case errors.Is(err, errInvalidGrant):
		wrong(w, http.StatusBadRequest, "invalid_grant", errInvalidGrant.Error())
	default:
		p.cfg.Log.Error("tokens could not be issued", slog.Any("error", err))
		wrong(w, http.StatusInternalServerError, "server_error", "the provider could not store what it must")
	}
}

// authenticate knows a client by its secret, in the header or in the body but not in both; a public one by its name.
func (p *Provider) authenticate(r *http.Request) (Client, bool) {
	name, given := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, pass, ok := r.BasicAuth(); ok {
		u, err1 := url.QueryUnescape(user)
		s, err2 := url.QueryUnescape(pass)
		if err1 != nil || err2 != nil || given != "" || (name != "" && name != u) {
			return Client{}, false
		}
		name, given = u, s
	}
	c, ok := p.client(name)
	if !ok || (c.Secret == "" && given != "") {
		return Client{}, false
	}
	return c, c.Secret == "" || c.knows(given)
}

// redeemCode uses a code up. Its second use ends what its first one began: one of the two was a thief.
func (p *Provider) redeemCode(c Client, form url.Values) (issue, error) {
	text := form.Get("code")
	k, ok := p.codes.Change(text, func(k *code) { k.used = true })
	if !ok || k.client != c.ID {
		return issue{}, errInvalidGrant
	}
	if k.used {
		return issue{}, errors.Join(errInvalidGrant, p.revoke(k.sid, k.family))
	}
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if k.redirect != form.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != k.challenge {
		return issue{}, errInvalidGrant
	}
	family := strings.ToLower(rand.Text())
	p.codes.Change(text, func(k *code) { k.family = family })
	return issue{client: c.ID, scope: k.scope, nonce: k.nonce, sid: k.sid, authTime: k.authTime, amr: k.amr, family: family}, nil
}

// redeemRefresh takes the newest token of a family. An older one means that somebody else has a copy: the family ends.
func (p *Provider) redeemRefresh(c Client, text string) (issue, error) {
	name, _, ok := strings.Cut(text, ".")
	sid, f, found := p.state.family(name)
	if !ok || !found || f.Client != c.ID {
		return issue{}, errInvalidGrant
	}
	if f.Current != hexHash(text) || !p.cfg.Now().Before(f.Expires) {
		p.cfg.Log.Warn("a refresh token was used twice; its family is revoked", slog.String("client", c.ID), slog.String("sid", sid))
		return issue{}, errors.Join(errInvalidGrant, p.revoke(sid, f.ID))
	}
	return issue{client: c.ID, scope: f.Scope, sid: sid, authTime: f.AuthTime, amr: f.AMR, family: f.ID}, nil
}

func (p *Provider) revoke(sid, name string) error {
	p.access.DropAll(func(a access) bool { return a.family == name })
	return p.state.change(func(all map[string]session) error {
		if s, ok := all[sid]; ok {
			s.Families = slices.DeleteFunc(s.Families, func(f family) bool { return f.ID == name })
			all[sid] = s
		}
		return nil
	})
}

// makeTokens rotates the family in the session's row first: a token that could not be stored is not given out.
func (p *Provider) makeTokens(i issue, form url.Values) (tokens, error) {
	s, ok := p.state.bySID(i.sid)
	u, known := p.users.bySubject(s.Subject)
	switch {
	case ok && !known:
		return tokens{}, errUnheard
	case !ok || !u.mayStay(i.authTime):
		return tokens{}, errInvalidGrant
	}
	refresh := i.family + "." + pending.Secret()
	if err := p.state.rotate(i, refresh, form.Get("refresh_token")); err != nil {
		return tokens{}, err
	}
	at, err := p.access.Put(access{subject: u.Subject, scope: i.scope, sid: i.sid, client: i.client, family: i.family}, tokenTime)
	if err != nil {
		return tokens{}, err
	}
	id, err := p.keys.sign("JWT", p.idClaims(u, i, at))
	return tokens{Access: at, Type: "Bearer", Expires: int(tokenTime.Seconds()), ID: id, Refresh: refresh, Scope: i.scope}, err
}

func (p *Provider) idClaims(u User, i issue, at string) map[string]any {
	now := p.cfg.Now()
	sum := sha256.Sum256([]byte(at))
	claims := map[string]any{
		"iss": p.cfg.Issuer, "aud": i.client, "iat": now.Unix(), "exp": now.Add(tokenTime).Unix(), "auth_time": i.authTime.Unix(),
		"amr": i.amr, "sid": i.sid, "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if i.nonce != "" {
		claims["nonce"] = i.nonce
	}
	u.claims(claims, i.scope)
	return claims
}

// claims adds who somebody is. Groups always, also none: an absent claim would say that nobody knows.
func (u User) claims(claims map[string]any, scope string) {
	claims["sub"], claims["groups"] = u.Subject, u.Groups
	has := strings.Fields(scope)
	if slices.Contains(has, "profile") {
		claims["name"], claims["preferred_username"] = u.Title(), u.Name
	}
	if slices.Contains(has, "email") && u.Email != "" {
		claims["email"] = u.Email
	}
}

func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, known := p.access.Get(bearer)
	s, live := p.state.bySID(a.sid)
	u, there := p.users.bySubject(a.subject)
	if ok && known && live && !there {
		wrong(w, http.StatusServiceUnavailable, "temporarily_unavailable", errUnheard.Error())
		return
	}
	if !ok || !known || !live || !u.mayStay(s.AuthTime) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		wrong(w, http.StatusUnauthorized, "invalid_token", "the access token is unknown or expired")
		return
	}
	claims := map[string]any{}
	u.claims(claims, a.scope)
	answer(w, http.StatusOK, claims)
}
