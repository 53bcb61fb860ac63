package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const joinColumns = "secret_hash, name, site, labels, uses, uses_left, created, created_by, expires, serial, bundle_hash, revoked, revoked_by, id"

func scanJoinToken(r scanner, t *store.JoinToken) error {
	return r.Scan(fixed(t.SecretHash[:]), &t.Name, &t.Site, asJSON(&t.Labels), &t.Uses, &t.UsesLeft, at(&t.Created), &t.CreatedBy, at(&t.Expires),
		&t.Serial, fixed(t.BundleHash[:]), at(&t.Revoked), &t.RevokedBy, fixed(t.ID[:]))
}

func scanJoinUse(r scanner, u *store.JoinUse) error {
	var name string
	err := r.Scan(at(&u.At), fixed(u.FP[:]), &name, &u.Addr)
	u.Name = id.Device(name)
	return err
}

// AddJoinToken stores a token with all its uses left.
func (db *DB) AddJoinToken(ctx context.Context, t store.JoinToken, events ...store.AuditEvent) error {
	return db.tx(ctx, "store join token", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insert("enroll_tokens", joinColumns),
			t.SecretHash[:], t.Name, t.Site, asJSON(t.Labels), t.Uses, t.Uses, micros(t.Created), t.CreatedBy,
			micros(t.Expires),
			t.Serial, t.BundleHash[:], micros(t.Revoked), t.RevokedBy, t.ID[:])
		if err != nil {
			return err
		}
		return addEvents(ctx, tx, events)
	})
}

func joinToken(ctx context.Context, q querier, tokenID [16]byte) (store.JoinToken, error) {
	t, err := one(ctx, q, "join code", hex.EncodeToString(tokenID[:4]), scanJoinToken, "SELECT "+joinColumns+" FROM enroll_tokens WHERE id=?", tokenID[:])
	if err != nil {
		return t, err
	}
	t.Used, err = list(ctx, q, "list uses", scanJoinUse, "SELECT at, fp, name, addr FROM enroll_uses WHERE token=? ORDER BY id DESC", tokenID[:])
	return t, err
}

// JoinToken reads one with its uses.
func (db *DB) JoinToken(ctx context.Context, tokenID [16]byte) (store.JoinToken, error) {
	return joinToken(ctx, db.read, tokenID)
}

// JoinTokens lists all, newest first, without their uses.
func (db *DB) JoinTokens(ctx context.Context) ([]store.JoinToken, error) {
	return list(ctx, db.read, "list join tokens", scanJoinToken, "SELECT "+joinColumns+" FROM enroll_tokens ORDER BY created DESC, id")
}

// RevokeJoinToken marks one; the first revocation stays.
func (db *DB) RevokeJoinToken(ctx context.Context, tokenID [16]byte, when time.Time, by string,
	events ...store.AuditEvent) error {
	return db.tx(ctx, "revoke join token", func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE enroll_tokens
			SET revoked_by=CASE WHEN revoked IS NULL THEN ? ELSE revoked_by END, revoked=coalesce(revoked,?)
			WHERE id=?`, by, when.UnixMicro(), tokenID[:])
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err := touched(n, err, "join code", hex.EncodeToString(tokenID[:4])); err != nil {
			return err
		}
		return addEvents(ctx, tx, events)
	})
}

// Redeem spends one use of a token and stores the device that decide makes of it, all or nothing. known says
// whom else the keys belong to: it is looked up inside the transaction.
func (db *DB) Redeem(ctx context.Context, tokenID [16]byte, fp, noise [32]byte, addr string, decide func(store.Joining) (store.Joined, error)) (store.Device, error) {
	var joined store.Joined
	err := db.tx(ctx, "redeem join code", func(tx *sql.Tx) (err error) {
		j := store.Joining{Taken: func(name id.Device) (bool, error) { return taken(ctx, tx, name) }}
		if j.Token, err = joinToken(ctx, tx, tokenID); err != nil {
			return err
		}
		if j.Known, err = known(ctx, tx, fp, noise); err != nil {
			return err
		}
		if joined, err = decide(j); err != nil || joined.Again {
			return err
		}
		return spend(ctx, tx, tokenID, joined.Device, addr)
	})
	if err != nil {
		return store.Device{}, err
	}
	return joined.Device, nil
}

func spend(ctx context.Context, tx *sql.Tx, tokenID [16]byte, d store.Device, addr string) error {
	res, err := tx.ExecContext(ctx, "UPDATE enroll_tokens SET uses_left=uses_left-1 WHERE id=? AND uses_left>0", tokenID[:])
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, store.Conflict("the join code has no use left"))
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO enroll_uses (token, at, fp, name, addr) VALUES (?,?,?,?,?)",
		tokenID[:], micros(d.EnrolledAt), d.FP[:], string(d.Name), addr)
	if err != nil {
		return err
	}
	return addDevice(ctx, tx, d)
}

func taken(ctx context.Context, tx *sql.Tx, name id.Device) (bool, error) {
	var n int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM devices WHERE name=? AND state<>'revoked'", string(name)).Scan(&n)
	return n > 0, err
}

func known(ctx context.Context, tx *sql.Tx, fp, noise [32]byte) (*store.Device, error) {
	d, err := one(ctx, tx, "device with key", short(fp), scanDevice, selectDevice+" WHERE fp=? OR noise_key=? ORDER BY fp=? DESC LIMIT 1", fp[:], noise[:], fp[:])
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &d, err
}

const bundleColumns = "serial, body, sig, hash, at"

func scanBundle(r scanner, b *store.Bundle) error {
	return r.Scan(&b.Serial, &b.Body, &b.Sig, fixed(b.Hash[:]), at(&b.At))
}

// AddBundle stores a published trust bundle.
func (db *DB) AddBundle(ctx context.Context, b store.Bundle) error {
	_, err := db.exec(ctx, "store bundle", insert("bundles", bundleColumns), b.Serial, b.Body, b.Sig, b.Hash[:], micros(b.At))
	return err
}

// BundleByHash reads the one that a join code pins.
func (db *DB) BundleByHash(ctx context.Context, hash [32]byte) (store.Bundle, error) {
	return one(ctx, db.read, "trust bundle", short(hash), scanBundle, "SELECT "+bundleColumns+" FROM bundles WHERE hash=?", hash[:])
}

// LatestBundle reads the one with the highest serial.
func (db *DB) LatestBundle(ctx context.Context) (store.Bundle, error) {
	return one(ctx, db.read, "trust bundle", "yet", scanBundle, "SELECT "+bundleColumns+" FROM bundles ORDER BY serial DESC LIMIT 1")
}
