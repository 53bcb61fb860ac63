package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const policyColumns = "version, sha256, files, by, reason, at"

func scanPolicy(r scanner, p *store.PolicyVersion) error {
	return r.Scan(&p.Version, fixed(p.SHA256[:]), asJSON(&p.Files), &p.By, &p.Reason, at(&p.At))
}

// AddPolicy stores a later version. The signer gives the numbers and this is a copy: a database that was restored from
// yesterday lacks some, and must take the next one all the same. A number that is not above the last is a conflict.
func (db *DB) AddPolicy(ctx context.Context, p store.PolicyVersion) error {
	return db.tx(ctx, "store policy", func(tx *sql.Tx) error {
		var last int
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(version),0) FROM policies").Scan(&last); err != nil {
			return err
		}
		if p.Version <= last {
			return store.Conflict(fmt.Sprintf("policy version %d cannot follow version %d", p.Version, last))
		}
		_, err := tx.ExecContext(ctx, insert("policies", policyColumns), p.Version, p.SHA256[:], asJSON(p.Files), p.By, p.Reason, micros(p.At))
		return err
	})
}

// Policy reads a version.
func (db *DB) Policy(ctx context.Context, version int) (store.PolicyVersion, error) {
	return one(ctx, db.read, "policy version", fmt.Sprint(version), scanPolicy, "SELECT "+policyColumns+" FROM policies WHERE version=?", version)
}

// LatestPolicy reads the one in force.
func (db *DB) LatestPolicy(ctx context.Context) (store.PolicyVersion, error) {
	return one(ctx, db.read, "policy", "yet", scanPolicy, "SELECT "+policyColumns+" FROM policies ORDER BY version DESC LIMIT 1")
}

// Policies lists all versions, newest first.
func (db *DB) Policies(ctx context.Context) ([]store.PolicyVersion, error) {
	return list(ctx, db.read, "list policies", scanPolicy, "SELECT "+policyColumns+" FROM policies ORDER BY version DESC")
}

const decisionColumns = "at, issuer, sub, device, action, allowed, rule, text, policy_sha, session, inputs"

func scanDecision(r scanner, d *store.Decision) error {
	var device string
	err := r.Scan(&d.ID, at(&d.At), &d.Principal.Issuer, &d.Principal.Subject, &device, &d.Action, &d.Allowed, &d.Rule, &d.Text,
		fixed(d.PolicySHA[:]), sessionColumn{&d.Session}, &d.Inputs)
	d.Device = id.Device(device)
	return err
}

func decisionArgs(d store.Decision) []any {
	return []any{micros(d.At), d.Principal.Issuer, d.Principal.Subject, string(d.Device), d.Action, d.Allowed, d.Rule, d.Text, d.PolicySHA[:],
		sessionText(d.Session), d.Inputs}
}

// Decisions lists, newest first.
func (db *DB) Decisions(ctx context.Context, f store.DecisionFilter) ([]store.Decision, error) {
	var w where
	if !f.Principal.IsZero() {
		w.add("issuer=? AND sub=?", f.Principal.Issuer, f.Principal.Subject)
	}
	if f.Device != "" {
		w.add("device=?", string(f.Device))
	}
	if !f.Session.IsZero() {
		w.add("session=?", f.Session.String())
	}
	if f.Refused {
		w.add("allowed=0")
	}
	if !f.From.IsZero() {
		w.add("at>=?", f.From.UnixMicro())
	}
	if f.Before > 0 {
		w.add("id<?", f.Before)
	}
	return list(ctx, db.read, "list decisions", scanDecision, "SELECT id, "+decisionColumns+" FROM decisions"+w.String()+" ORDER BY id DESC LIMIT ?",
		append(w.args, limit(f.Limit))...)
}

const auditColumns = "at, type, phase, actor, subject, addr, leaf, body"

func scanAudit(r scanner, e *store.AuditEvent) error {
	return r.Scan(&e.ID, at(&e.At), &e.Type, &e.Phase, &e.Actor, &e.Subject, &e.Addr, &e.Leaf, &e.Body)
}

// AddAudit stores an event that stands in the log and gives its number.
func (db *DB) AddAudit(ctx context.Context, e store.AuditEvent) (int64, error) {
	res, err := db.write.ExecContext(ctx, insert("audit", auditColumns), micros(e.At), e.Type, e.Phase, e.Actor, e.Subject, e.Addr, e.Leaf, e.Body)
	if err != nil {
		return 0, failed("store audit event", err)
	}
	return res.LastInsertId()
}

// addEvents stores events beside the rows that they are about: a reader of one of them finds the other.
func addEvents(ctx context.Context, tx *sql.Tx, events []store.AuditEvent) error {
	for _, e := range events {
		_, err := tx.ExecContext(ctx, insert("audit", auditColumns), micros(e.At), e.Type, e.Phase, e.Actor,
			e.Subject, e.Addr, e.Leaf, e.Body)
		if err != nil {
			return err
		}
	}
	return nil
}

// AuditEvents lists, newest first.
func (db *DB) AuditEvents(ctx context.Context, f store.AuditFilter) ([]store.AuditEvent, error) {
	var w where
	for column, value := range map[string]string{"type": f.Type, "actor": f.Actor, "subject": f.Subject} {
		if value != "" {
			w.add(column+"=?", value)
		}
	}
	if f.Text != "" {
		w.text(f.Text, "actor", "subject", "CAST(body AS TEXT)")
	}
	if !f.From.IsZero() {
		w.add("at>=?", f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		w.add("at<?", f.To.UnixMicro())
	}
	if f.Before > 0 {
		w.add("id<?", f.Before)
	}
	if f.Leaf > 0 {
		w.add("leaf<?", int64(min(f.Leaf, math.MaxInt64)))
	}
	return list(ctx, db.read, "list audit events", scanAudit, "SELECT id, "+auditColumns+" FROM audit"+w.String()+" ORDER BY id DESC LIMIT ?",
		append(w.args, limit(f.Limit))...)
}
