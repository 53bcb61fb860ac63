package login

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// How bearers begin.
const (
	PrefixCLI   = "spc_" // sallyport login
	PrefixToken = "spt_" // API token
)

// ViaToken is Identity.Via of an API token. Of sessions it is their kind, web or cli.
const ViaToken = "token"

// Identity is who calls, and how it is known.
type Identity struct {
	Person     authz.Person
	Evidence   signer.Evidence
	Key        string // names the session or token
	Via        string // web, cli or token
	Cookie     bool   // shown by a cookie: the Origin of a WebSocket counts
	Provider   string
	TokenID    string
	Scopes     []string // of an API token
	SignedInAt time.Time
	Expires    time.Time
	NoRefresh  bool // the provider cannot be asked again about this sign-in

	hash [32]byte
}

var (
	errNobody = errkind.New(errkind.Signin, "you are not signed in").WithHint("Sign in first: in the browser, or with `sallyport login`.")
	errOver   = errkind.New(errkind.Signin, "your sign-in has ended").WithHint("Sign in again: in the browser, or with `sallyport login`.")
	errToken  = errkind.New(errkind.Signin, "this API token is unknown, revoked or expired").WithHint("`sallyport token create` makes a new one.")
)

// Who says who calls. A bearer counts alone: cookies are ignored beside it.
func (s *Service) Who(r *http.Request) (Identity, error) {
	addr := s.cfg.Addr(r)
	if head := r.Header.Get("Authorization"); head != "" {
		bearer, ok := strings.CutPrefix(head, "Bearer ")
		switch {
		case ok && strings.HasPrefix(bearer, PrefixCLI):
			return s.session(r.Context(), bearer, store.KindCLI, addr)
		case ok && strings.HasPrefix(bearer, PrefixToken):
			return s.token(r.Context(), bearer, addr)
		}
		return Identity{}, errkind.New(errkind.Signin, "the Authorization header holds neither a command line's sign-in nor an API token").
			WithHint("Write \"Authorization: Bearer spt_…\", or sign in with `sallyport login`.")
	}
	c, err := r.Cookie(s.cookieName())
	if err != nil || c.Value == "" {
		return Identity{}, errNobody
	}
	return s.session(r.Context(), c.Value, store.KindWeb, addr)
}

// session knows somebody by a session's secret.
func (s *Service) session(ctx context.Context, secret, kind string, addr netip.Addr) (Identity, error) {
	row, err := s.cfg.Store.WebSession(ctx, pending.Hash(secret))
	if err != nil {
		return Identity{}, missing(err, errOver)
	}
	if row.Kind != kind {
		return Identity{}, errOver
	}
	now := s.cfg.Now()
	if why := s.over(row, now); why != "" {
		s.end(ctx, row.IDHash, why)
		return Identity{}, errOver
	}
	k, err := unlock(row, secret)
	if err != nil {
		return Identity{}, err
	}
	s.keepKey(k)
	s.seen(ctx, row, now)
	if row, err = s.confirmed(ctx, row, now); err != nil {
		return Identity{}, missing(err, errOver)
	}
	by, err := k.evidence(row, text(addr))
	if err != nil {
		return Identity{}, err
	}
	who, err := s.cfg.Store.Principal(ctx, row.Principal)
	if err != nil {
		return Identity{}, missing(err, errOver)
	}
	return Identity{
		Person:   authz.Person{ID: row.Principal, Name: who.Name, Groups: who.Groups, SecondFactorAt: row.SecondFactorAt, Address: addr},
		Evidence: by, Key: Key(row), Via: row.Kind, Cookie: kind == store.KindWeb,
		Provider:   row.Provider,
		SignedInAt: row.AuthTime, Expires: row.Expires, NoRefresh: row.NoRefresh, hash: row.IDHash,
	}, nil
}

// over says why a session no longer counts, or nothing.
func (s *Service) over(row store.WebSession, now time.Time) string {
	switch {
	case !now.Before(row.Expires):
		return "it has expired"
	case row.Kind == store.KindWeb && now.Sub(row.LastSeen) >= s.cfg.Idle && !s.cfg.InUse(Key(row)):
		return s.idleFor()
	}
	return ""
}

func (s *Service) idleFor() string { return "nothing was asked for " + s.cfg.Idle.String() }

// seen notes that a session is in use; the store hears of it once a minute.
func (s *Service) seen(ctx context.Context, row store.WebSession, now time.Time) {
	s.note(row, now)
	if now.Sub(row.LastSeen) < time.Minute {
		return
	}
	if err := s.cfg.Store.TouchWebSession(ctx, row.IDHash, now); err != nil && errkind.KindOf(err) != errkind.NotFound {
		s.cfg.Log.Warn("last use of a sign-in was not stored", slog.Any("error", err))
	}
}

// missing words a row that is not there; other errors stay what they are.
func missing(err, text error) error {
	if errkind.KindOf(err) == errkind.NotFound {
		return text
	}
	return err
}

// activity is what is remembered of a session while it is used.
type activity struct {
	row    store.WebSession // as last read
	seen   time.Time
	asked  time.Time // when the provider was last asked
	tried  time.Time // when old evidence last caused a request to the provider
	asking bool
	keys   []string // every key it has had
}

func (s *Service) note(row store.WebSession, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.active[row.IDHash]
	if a == nil {
		a = &activity{asked: row.ConfirmedAt, keys: []string{Key(row)}}
		s.active[row.IDHash] = a
	}
	a.row, a.seen = row, now
}

// rename lets what was opened under an old cookie end with the new one.
func (s *Service) rename(old, row store.WebSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := []string{Key(row)}
	if a := s.active[old.IDHash]; a != nil {
		keys = append(keys, a.keys...)
	}
	delete(s.active, old.IDHash)
	s.dropKey(old.KeyID)
	now := s.cfg.Now()
	s.active[row.IDHash] = &activity{row: row, seen: now, asked: now, keys: keys}
}
