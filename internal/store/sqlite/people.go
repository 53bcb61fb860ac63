package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const principalColumns = "issuer, sub, name, username, email, groups, seen_at"

func scanPrincipal(r scanner, p *store.Principal) error {
	return r.Scan(&p.ID.Issuer, &p.ID.Subject, &p.Name, &p.Username, &p.Email, asJSON(&p.Groups), at(&p.SeenAt))
}

// PutPrincipal stores somebody as last seen.
func (db *DB) PutPrincipal(ctx context.Context, p store.Principal) error {
	_, err := db.exec(ctx, "store principal", `INSERT INTO principals (`+principalColumns+`) VALUES (?,?,?,?,?,?,?)
		ON CONFLICT DO UPDATE SET name=excluded.name, username=excluded.username, email=excluded.email, groups=excluded.groups, seen_at=excluded.seen_at`,
		p.ID.Issuer, p.ID.Subject, p.Name, p.Username, p.Email, asJSON(p.Groups), micros(p.SeenAt))
	return err
}

// Principal reads one.
func (db *DB) Principal(ctx context.Context, p id.Principal) (store.Principal, error) {
	return one(ctx, db.read, "person", p.Subject, scanPrincipal,
		"SELECT "+principalColumns+" FROM principals WHERE issuer=? AND sub=?", p.Issuer, p.Subject)
}

// Principals lists all, last seen first.
func (db *DB) Principals(ctx context.Context) ([]store.Principal, error) {
	return list(ctx, db.read, "list principals", scanPrincipal,
		"SELECT "+principalColumns+" FROM principals ORDER BY seen_at DESC, issuer, sub")
}

const webSessionColumns = `id_hash, issuer, sub, provider, sid, key_id, sealed_key, tokens, has_refresh, token_hash,
	auth_time, second_factor_at, amr, acr, kind, addr, created, last_seen, expires, no_refresh, confirmed_at`

func scanWebSession(r scanner, s *store.WebSession) error {
	return r.Scan(fixed(s.IDHash[:]), &s.Principal.Issuer, &s.Principal.Subject, &s.Provider, &s.SID,
		fixed(s.KeyID[:]), &s.SealedKey, &s.Tokens, &s.HasRefresh, fixed(s.TokenHash[:]),
		at(&s.AuthTime), at(&s.SecondFactorAt), asJSON(&s.AMR), &s.ACR, &s.Kind, &s.Addr, at(&s.Created),
		at(&s.LastSeen), at(&s.Expires), &s.NoRefresh, at(&s.ConfirmedAt))
}

func addWebSession(ctx context.Context, q querier, s store.WebSession) error {
	_, err := q.ExecContext(ctx, "INSERT INTO web_sessions ("+webSessionColumns+
		") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		s.IDHash[:], s.Principal.Issuer, s.Principal.Subject, s.Provider, s.SID,
		s.KeyID[:], bytesOf(s.SealedKey), bytesOf(s.Tokens), s.HasRefresh, s.TokenHash[:],
		micros(s.AuthTime), micros(s.SecondFactorAt), asJSON(s.AMR), s.ACR, s.Kind, s.Addr, micros(s.Created),
		micros(s.LastSeen), micros(s.Expires), s.NoRefresh, micros(s.ConfirmedAt))
	return err
}

// bytesOf keeps an empty value from being stored as NULL.
func bytesOf(b []byte) []byte { return append([]byte{}, b...) }

// AddWebSession stores a sign-in.
func (db *DB) AddWebSession(ctx context.Context, s store.WebSession) error {
	if err := addWebSession(ctx, db.write, s); err != nil {
		return failed("store web session", err)
	}
	return nil
}

// ReplaceWebSession ends old and stores next at once: the cookie rotates at sign-in and step-up. It refuses
// when old is gone, so a session that was ended meanwhile does not come back. If next has another id token, that of old
// is among SignOuts from closeAt on.
func (db *DB) ReplaceWebSession(ctx context.Context, old [32]byte, next store.WebSession, closeAt time.Time) error {
	return db.tx(ctx, "rotate web session", func(tx *sql.Tx) error {
		var token []byte
		err := tx.QueryRowContext(ctx, "DELETE FROM web_sessions WHERE id_hash=? RETURNING token_hash", old[:]).Scan(&token)
		if errors.Is(err, sql.ErrNoRows) {
			return store.NotFound("web session", short(old))
		}
		if err == nil {
			err = addWebSession(ctx, tx, next)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE sign_outs SET due=? WHERE token_hash=?", closeAt.UnixMicro(), token)
		}
		return err
	})
}

// SignOuts lists the hashes of id tokens that the signer has to close at now, at most 100. An id token is among them
// once no session has it any more.
func (db *DB) SignOuts(ctx context.Context, now time.Time) ([][32]byte, error) {
	return list(ctx, db.read, "list sign-outs", func(r scanner, h *[32]byte) error { return r.Scan(fixed(h[:])) },
		"SELECT token_hash FROM sign_outs WHERE due<=? ORDER BY due, token_hash LIMIT 100", now.UnixMicro())
}

// SignedOut removes a hash from SignOuts, once the signer has closed the token.
func (db *DB) SignedOut(ctx context.Context, token [32]byte) error {
	_, err := db.exec(ctx, "note a sign-out", "DELETE FROM sign_outs WHERE token_hash=?", token[:])
	return err
}

// WebSession reads one by the hash of its secret; the caller compares Expires.
func (db *DB) WebSession(ctx context.Context, hash [32]byte) (store.WebSession, error) {
	return one(ctx, db.read, "web session", short(hash), scanWebSession,
		"SELECT "+webSessionColumns+" FROM web_sessions WHERE id_hash=?", hash[:])
}

// WebSessionsOf lists a person's sign-ins.
func (db *DB) WebSessionsOf(ctx context.Context, p id.Principal) ([]store.WebSession, error) {
	return list(ctx, db.read, "list web sessions", scanWebSession,
		"SELECT "+webSessionColumns+" FROM web_sessions WHERE issuer=? AND sub=? ORDER BY created DESC, id_hash", p.Issuer, p.Subject)
}

// TouchWebSession moves last seen, never back.
func (db *DB) TouchWebSession(ctx context.Context, hash [32]byte, when time.Time) error {
	n, err := db.exec(ctx, "touch web session", "UPDATE web_sessions SET last_seen=max(coalesce(last_seen,0),?) WHERE id_hash=?", when.UnixMicro(), hash[:])
	return touched(n, err, "web session", short(hash))
}

// EndWebSession deletes one and gives what it was. The bytes of its tokens are erased from the files.
func (db *DB) EndWebSession(ctx context.Context, hash [32]byte) (store.WebSession, error) {
	was, err := one(ctx, db.write, "web session", short(hash), scanWebSession,
		"DELETE FROM web_sessions WHERE id_hash=? RETURNING "+webSessionColumns, hash[:])
	if err == nil {
		db.erased(ctx, 1)
	}
	return was, err
}

// EndWebSessionsBySID deletes what a back-channel logout names and gives it, so that live shells end too.
func (db *DB) EndWebSessionsBySID(ctx context.Context, issuer, sid string) ([]store.WebSession, error) {
	if sid == "" { // sign-ins without a sid share the empty one
		return nil, nil
	}
	return db.endWebSessions(ctx, "issuer=? AND sid=?", issuer, sid)
}

// EndWebSessionsOf deletes all of a person's sign-ins and gives them.
func (db *DB) EndWebSessionsOf(ctx context.Context, p id.Principal) ([]store.WebSession, error) {
	return db.endWebSessions(ctx, "issuer=? AND sub=?", p.Issuer, p.Subject)
}

// SweepWebSessions deletes what has expired and gives it.
func (db *DB) SweepWebSessions(ctx context.Context, now time.Time) ([]store.WebSession, error) {
	return db.endWebSessions(ctx, "expires<=?", now.UnixMicro())
}

func (db *DB) endWebSessions(ctx context.Context, which string, args ...any) ([]store.WebSession, error) {
	gone, err := list(ctx, db.write, "end web sessions", scanWebSession,
		"DELETE FROM web_sessions WHERE "+which+" RETURNING "+webSessionColumns, args...)
	db.erased(ctx, len(gone))
	return gone, err
}

func short(hash [32]byte) string { return hex.EncodeToString(hash[:4]) }

// SignInsWithoutRefresh counts the browser sign-ins, not expired at now, that have no refresh token, so that the
// provider cannot be asked about them again. The map is keyed by the provider's name and has no zeros.
func (db *DB) SignInsWithoutRefresh(ctx context.Context, now time.Time) (map[string]int, error) {
	type row struct {
		provider string
		n        int
	}
	rows, err := list(ctx, db.read, "count sign-ins",
		func(r scanner, c *row) error { return r.Scan(&c.provider, &c.n) },
		"SELECT provider, count(*) FROM web_sessions WHERE no_refresh AND kind=? AND expires>? GROUP BY provider",
		store.KindWeb, now.UnixMicro())
	out := map[string]int{}
	for _, r := range rows {
		out[r.provider] = r.n
	}
	return out, err
}

// CountSignIns gives SignInsWithoutRefresh of a database that another process has open. It changes no file: without a
// running gateway there is no write-ahead log, and the error is fs.ErrNotExist.
func CountSignIns(ctx context.Context, path string, now time.Time) (map[string]int, error) {
	if _, err := os.Stat(path + "-wal"); err != nil {
		return nil, err
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&_query_only=true&_busy_timeout=2000"}
	read, err := sql.Open("sqlite3", dsn.String())
	if err != nil {
		return nil, err
	}
	defer read.Close()
	return (&DB{read: read}).SignInsWithoutRefresh(ctx, now)
}
