package login

import (
	"context"
	"encoding/hex"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/store"
)

// sessionsOfOne bounds how many sign-ins one person keeps; the oldest gives way.
const sessionsOfOne = 50

// begin makes a browser's session of a sign-in. An old cookie of the same person is replaced, and what was opened under
// it goes on under the new one; a cookie of anybody else ends.
func (s *Service) begin(w http.ResponseWriter, r *http.Request, in oidcauth.SignIn) error {
	ctx, now, secret := r.Context(), s.cfg.Now().UTC(), pending.Secret()
	row := store.WebSession{
		IDHash:         pending.Hash(secret),
		Principal:      in.Principal,
		Provider:       in.Provider,
		SID:            in.SID,
		AuthTime:       in.SignedInAt,
		ConfirmedAt:    in.IssuedAt,
		SecondFactorAt: in.SecondFactorAt,
		AMR:            in.AMR,
		ACR:            in.ACR,
		Kind:           store.KindWeb,
		Addr:           text(s.cfg.Addr(r)),
		Created:        now,
		LastSeen:       now,
		Expires:        in.SignedInAt.Add(s.cfg.Life),
	}
	if in.RefreshToken == "" {
		s.withoutRefresh(&row)
	}
	k := newSignInKey()
	k.lock(&row, secret)
	if err := k.put(&row, tokens{ID: in.IDToken, Access: in.AccessToken, Refresh: in.RefreshToken}); err != nil {
		return err
	}
	if err := s.record(ctx, audit.SignedIn, row, map[string]string{"name": in.Name}); err != nil {
		return err
	}
	if err := s.remember(ctx, in, now); err != nil {
		return err
	}
	if err := s.makeRoom(ctx, in.Principal); err != nil {
		return err
	}
	old, had, err := s.cookieSession(r)
	if err != nil {
		return err
	}
	switch {
	case had && old.Principal == row.Principal:
		if err := s.cfg.Store.ReplaceWebSession(ctx, old.IDHash, row, now.Add(replacedAfter)); err != nil {
			return err
		}
		s.rename(old, row)
		s.handOver(ctx, old)
	default:
		if had {
			s.end(ctx, old.IDHash, "somebody else signed in with this browser")
		}
		if err := s.cfg.Store.AddWebSession(ctx, row); err != nil {
			return err
		}
	}
	s.identify(ctx, row, k)
	s.setCookie(w, s.cookieName(), secret, row.Expires.Sub(now))
	return nil
}

// remember stores who somebody is as of now, and tells when their groups have changed.
func (s *Service) remember(ctx context.Context, in oidcauth.SignIn, now time.Time) error {
	before, err := s.cfg.Store.Principal(ctx, in.Principal)
	if err != nil && errkind.KindOf(err) != errkind.NotFound {
		return err
	}
	p := store.Principal{ID: in.Principal, Name: in.Name, Username: in.Username, Email: in.Email, Groups: in.Groups, SeenAt: now}
	if err := s.cfg.Store.PutPrincipal(ctx, p); err != nil {
		return err
	}
	if !before.ID.IsZero() && !slices.Equal(before.Groups, in.Groups) {
		s.cfg.OnChanged(in.Principal)
	}
	return nil
}

func (s *Service) makeRoom(ctx context.Context, p id.Principal) error {
	all, err := s.cfg.Store.WebSessionsOf(ctx, p) // newest first
	if err != nil || len(all) < sessionsOfOne {
		return err
	}
	for _, old := range all[sessionsOfOne-1:] {
		s.end(ctx, old.IDHash, "too many sign-ins at once")
	}
	return nil
}

// cookieSession finds the session of a request's cookie, however old.
func (s *Service) cookieSession(r *http.Request) (store.WebSession, bool, error) {
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return store.WebSession{}, false, nil
	}
	row, err := s.cfg.Store.WebSession(r.Context(), pending.Hash(c.Value))
	if errkind.KindOf(err) == errkind.NotFound && err != nil {
		return store.WebSession{}, false, nil
	}
	return row, err == nil && row.Kind == store.KindWeb, err
}

// record writes evidence of a sign-in or of its end.
func (s *Service) record(ctx context.Context, typ string, row store.WebSession, more map[string]string) error {
	fields := map[string]string{"provider": row.Provider, "via": row.Kind, "key": Key(row)}
	if !row.SecondFactorAt.IsZero() {
		fields["second_factor_at"] = row.SecondFactorAt.UTC().Format(time.RFC3339)
	}
	for k, v := range more {
		fields[k] = v
	}
	return s.cfg.Audit.Record(ctx, audit.Event{Type: typ, Actor: row.Principal.String(), Subject: row.Principal.Subject, Addr: row.Addr, Fields: fields})
}

// Key names a session to whoever opens something under it. It tells nothing of the secret.
func Key(row store.WebSession) string { return row.Kind + ":" + hex.EncodeToString(row.IDHash[:12]) }

// end is tryEnd for callers who can tell nobody: the log has the error.
func (s *Service) end(ctx context.Context, hash [32]byte, why string) { _ = s.tryEnd(ctx, hash, why) }

// tryEnd deletes a session and closes what was opened under it. An error says that the store still has it.
func (s *Service) tryEnd(ctx context.Context, hash [32]byte, why string) error {
	ctx = context.WithoutCancel(ctx) // begun, it is done
	row, err := s.cfg.Store.EndWebSession(ctx, hash)
	switch {
	case err == nil:
		s.handOver(ctx, row)
		s.ended(ctx, row, why)
	case errkind.KindOf(err) != errkind.NotFound:
		s.cfg.Log.Error("a sign-in could not be ended in the store", slog.Any("error", err))
		s.closeAll(hash, store.WebSession{}, why)
		return err
	}
	return nil
}

// ended is called for each session that is no longer in the store. It goes on when evidence cannot be written: ending
// takes rights away, and waiting would leave them.
func (s *Service) ended(ctx context.Context, row store.WebSession, why string) {
	s.endedBy(ctx, row, why, nil)
}

// endedBy is ended with more fields of the log's entry.
func (s *Service) endedBy(ctx context.Context, row store.WebSession, why string, more map[string]string) {
	s.closeAll(row.IDHash, row, why)
	s.tellNow(ctx)
	fields := map[string]string{"why": why}
	maps.Copy(fields, more)
	if err := s.record(ctx, audit.SignedOut, row, fields); err != nil {
		s.cfg.Log.Error("the end of a sign-in could not be written to the log", slog.Any("error", err))
	}
}

// closeAll tells under every key that the session has had.
func (s *Service) closeAll(hash [32]byte, row store.WebSession, why string) {
	s.mu.Lock()
	a := s.active[hash]
	delete(s.active, hash)
	if a != nil {
		s.dropKey(a.row.KeyID)
	}
	s.mu.Unlock()
	var keys []string
	if row.Kind != "" {
		keys = append(keys, Key(row))
	}
	if a != nil {
		keys = append(keys, a.keys...)
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		s.cfg.OnSignedOut(k, why)
	}
}
