package sqlite

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const tokenColumns = "id, name, hash, issuer, sub, machine, scopes, network, created, expires, revoked, last_used"

func scanToken(r scanner, t *store.APIToken) error {
	return r.Scan(&t.ID, &t.Name, fixed(t.Hash[:]), &t.Principal.Issuer, &t.Principal.Subject, &t.Machine, asJSON(&t.Scopes), &t.Network,
		at(&t.Created), at(&t.Expires), at(&t.Revoked), at(&t.LastUsed))
}

// AddAPIToken stores a token's hash and rights.
func (db *DB) AddAPIToken(ctx context.Context, t store.APIToken) error {
	_, err := db.exec(ctx, "store API token", "INSERT INTO api_tokens ("+tokenColumns+") VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
		t.ID, t.Name, t.Hash[:], t.Principal.Issuer, t.Principal.Subject, t.Machine, asJSON(t.Scopes), t.Network,
		micros(t.Created), micros(t.Expires), micros(t.Revoked), micros(t.LastUsed))
	return err
}

// APIToken reads one by its id.
func (db *DB) APIToken(ctx context.Context, tokenID string) (store.APIToken, error) {
	return one(ctx, db.read, "API token", tokenID, scanToken, "SELECT "+tokenColumns+" FROM api_tokens WHERE id=?", tokenID)
}

// APITokenByHash reads one by the hash of its text; the caller asks Live.
func (db *DB) APITokenByHash(ctx context.Context, hash [32]byte) (store.APIToken, error) {
	return one(ctx, db.read, "API token", short(hash), scanToken, "SELECT "+tokenColumns+" FROM api_tokens WHERE hash=?", hash[:])
}

// APITokens lists a person's tokens, or everybody's for the zero principal.
func (db *DB) APITokens(ctx context.Context, p id.Principal) ([]store.APIToken, error) {
	var w where
	if !p.IsZero() {
		w.add("issuer=? AND sub=?", p.Issuer, p.Subject)
	}
	return list(ctx, db.read, "list API tokens", scanToken, "SELECT "+tokenColumns+" FROM api_tokens"+w.String()+" ORDER BY created DESC, id", w.args...)
}

// RevokeAPIToken marks one; the first revocation's time stays.
func (db *DB) RevokeAPIToken(ctx context.Context, tokenID string, when time.Time) error {
	n, err := db.exec(ctx, "revoke API token", "UPDATE api_tokens SET revoked=coalesce(revoked,?) WHERE id=?", when.UnixMicro(), tokenID)
	return touched(n, err, "API token", tokenID)
}

// RevokeAPITokensOf marks all of a person's: tokens die with their user.
func (db *DB) RevokeAPITokensOf(ctx context.Context, p id.Principal, when time.Time) ([]store.APIToken, error) {
	return list(ctx, db.write, "revoke API tokens", scanToken,
		"UPDATE api_tokens SET revoked=? WHERE issuer=? AND sub=? AND revoked IS NULL RETURNING "+tokenColumns, when.UnixMicro(), p.Issuer, p.Subject)
}

// TouchAPIToken moves last used, never back.
func (db *DB) TouchAPIToken(ctx context.Context, tokenID string, when time.Time) error {
	n, err := db.exec(ctx, "touch API token", "UPDATE api_tokens SET last_used=max(coalesce(last_used,0),?) WHERE id=?", when.UnixMicro(), tokenID)
	return touched(n, err, "API token", tokenID)
}
