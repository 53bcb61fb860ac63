package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const sessionColumns = `device, fp, site, issuer, sub, principal_name, login, action, argv, pty, state, asked, started, ended, until, reason,
	purpose, ticket, rule, via_token, front, client_addr, node, policy_sha, exit_status, exit_signal, bytes_in, bytes_out, hidden_ranges, gaps, record, id`

const selectSession = "SELECT " + sessionColumns + " FROM sessions"

func scanSession(r scanner, s *store.Session) error {
	var device string
	var exit sql.NullInt64
	err := r.Scan(&device, fixed(s.DeviceFP[:]), &s.Site, &s.Principal.Issuer, &s.Principal.Subject, &s.PrincipalName, &s.Login, &s.Action, asJSON(&s.Argv), &s.PTY,
		&s.State, at(&s.Asked), at(&s.Started), at(&s.Ended), at(&s.Until), &s.EndReason, &s.Purpose, &s.Ticket, &s.Rule, &s.ViaToken, &s.Front, &s.ClientAddr,
		&s.Node, fixed(s.PolicySHA[:]), &exit, &s.ExitSignal, &s.BytesIn, &s.BytesOut, &s.HiddenRanges, &s.Gaps, &s.Record, sessionColumn{&s.ID})
	s.Device = id.Device(device)
	if exit.Valid {
		status := int(exit.Int64)
		s.ExitStatus = &status
	}
	return err
}

func scanListed(r scanner, s *store.Session) error {
	err := scanSession(r, s)
	*s = s.Listed()
	return err
}

func sessionArgs(s store.Session) []any {
	var exit any
	if s.ExitStatus != nil {
		exit = *s.ExitStatus
	}
	return []any{string(s.Device), s.DeviceFP[:], s.Site, s.Principal.Issuer, s.Principal.Subject, s.PrincipalName, s.Login, s.Action, asJSON(s.Argv), s.PTY,
		s.State, micros(s.Asked), micros(s.Started), micros(s.Ended), micros(s.Until), s.EndReason, s.Purpose, s.Ticket, s.Rule, s.ViaToken, s.Front, s.ClientAddr,
		s.Node, s.PolicySHA[:], exit, s.ExitSignal, s.BytesIn, s.BytesOut, s.HiddenRanges, s.Gaps, s.Record, s.ID.String()}
}

// AddSession stores a session that was asked for.
func (db *DB) AddSession(ctx context.Context, s store.Session) error {
	_, err := db.exec(ctx, "store session", insert("sessions", sessionColumns), sessionArgs(s)...)
	return err
}

// AddDecided stores a session together with the decision about it and the events of the log, in one transaction.
func (db *DB) AddDecided(ctx context.Context, s store.Session, d store.Decision, events ...store.AuditEvent) error {
	return db.tx(ctx, "store decision", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, insert("sessions", sessionColumns), sessionArgs(s)...); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insert("decisions", decisionColumns), decisionArgs(d)...); err != nil {
			return err
		}
		return addEvents(ctx, tx, events)
	})
}

// AddDecision stores a decision about a session that runs, and the events of the log, in one transaction.
func (db *DB) AddDecision(ctx context.Context, d store.Decision, events ...store.AuditEvent) error {
	return db.tx(ctx, "store decision", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, insert("decisions", decisionColumns), decisionArgs(d)...); err != nil {
			return err
		}
		return addEvents(ctx, tx, events)
	})
}

// Session reads one.
func (db *DB) Session(ctx context.Context, sid id.Session) (store.Session, error) {
	return one(ctx, db.read, "session", sid.String(), scanSession, selectSession+" WHERE id=?", sid.String())
}

// SessionByPrefix reads the only one whose id begins so; "last" is the newest.
func (db *DB) SessionByPrefix(ctx context.Context, prefix string) (store.Session, error) {
	if prefix == "last" {
		return one(ctx, db.read, "session", "yet", scanSession, selectSession+" ORDER BY asked DESC, id DESC LIMIT 1")
	}
	if prefix == "" || strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return store.Session{}, errkind.New(errkind.Usage, "a session id has only a-z and 2-7").WithHint("Copy it from `sallyport sessions list`.")
	}
	found, err := list(ctx, db.read, "find session", scanSession, selectSession+" WHERE id>=? AND id<? LIMIT 2", prefix, prefix+"{")
	switch {
	case err != nil:
		return store.Session{}, err
	case len(found) == 0:
		return store.Session{}, store.NotFound("session", prefix)
	case len(found) > 1:
		return store.Session{}, errkind.New(errkind.Usage, "more than one session id begins with "+prefix).WithHint("Type more of it.")
	}
	return found[0], nil
}

// ChangeSession lets change edit the row in one transaction. ID stays as it is.
func (db *DB) ChangeSession(ctx context.Context, sid id.Session, change func(*store.Session) error) (store.Session, error) {
	var s store.Session
	err := db.tx(ctx, "change session", func(tx *sql.Tx) (err error) {
		if s, err = one(ctx, tx, "session", sid.String(), scanSession, selectSession+" WHERE id=?", sid.String()); err != nil {
			return err
		}
		if err := change(&s); err != nil {
			return err
		}
		s.ID = sid
		return putSession(ctx, tx, s)
	})
	if err != nil {
		return store.Session{}, err
	}
	return s, nil
}

func putSession(ctx context.Context, tx *sql.Tx, s store.Session) error {
	_, err := tx.ExecContext(ctx, update("sessions", sessionColumns[:strings.LastIndex(sessionColumns, ",")], "id=?"), sessionArgs(s)...)
	return err
}

// ChangeRecorded lets change edit the rows of a session and of one of its parts in one transaction. What names them stays as it is.
func (db *DB) ChangeRecorded(ctx context.Context, sid id.Session, n uint32, change func(*store.Session, *store.Part) error) error {
	return db.tx(ctx, "change session", func(tx *sql.Tx) error {
		s, err := one(ctx, tx, "session", sid.String(), scanSession, selectSession+" WHERE id=?", sid.String())
		if err != nil {
			return err
		}
		p, err := part(ctx, tx, sid, n)
		if err != nil {
			return err
		}
		if err := change(&s, &p); err != nil {
			return err
		}
		s.ID, p.Session, p.Part = sid, sid, n
		if err := putSession(ctx, tx, s); err != nil {
			return err
		}
		return putPart(ctx, tx, p)
	})
}

func sessionWhere(f store.SessionFilter) *where {
	w := &where{}
	if f.Text != "" {
		w.text(f.Text, "device", "principal_name", "sub", "login", "purpose", "ticket", "id")
	}
	if f.Device != "" {
		w.add("device=?", string(f.Device))
	}
	if !f.Principal.IsZero() {
		w.add("issuer=? AND sub=?", f.Principal.Issuer, f.Principal.Subject)
	}
	if f.User != "" {
		userWhere(w, f)
	}
	if f.Sites != nil {
		in(w, "site", f.Sites)
	}
	if f.Sight != nil {
		term, args := "issuer=? AND sub=?", []any{f.Sight.Principal.Issuer, f.Sight.Principal.Subject}
		if f.Sight.Token != "" {
			term, args = term+" AND via_token=?", append(args, f.Sight.Token)
		}
		if n := len(f.Sight.Sites); n > 0 {
			term += " OR site IN " + marks(n)
		}
		for _, site := range f.Sight.Sites {
			args = append(args, site)
		}
		w.add("("+term+")", args...)
	}
	if f.States != nil {
		in(w, "state", f.States)
	}
	if f.Grant != "" {
		w.add("id IN (SELECT session FROM session_grants WHERE grant_id=?)", f.Grant)
	}
	if f.Recorded {
		w.add("EXISTS (SELECT 1 FROM parts WHERE parts.session=sessions.id)")
	}
	if !f.From.IsZero() {
		w.add("asked>=?", f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		w.add("asked<?", f.To.UnixMicro())
	}
	return w
}

// userWhere looks into the row for what people are called there, and takes those who were found elsewhere as one parameter,
// however many they are.
func userWhere(w *where, f store.SessionFilter) {
	people := make([]string, len(f.Users))
	for i, p := range f.Users {
		people[i] = p.Issuer + "\n" + p.Subject
	}
	w.add(`((' '||principal_name) LIKE ? ESCAPE '\' OR sub=? COLLATE NOCASE OR issuer||char(10)||sub IN (SELECT value FROM json_each(?)))`,
		"% "+literal(f.User)+"%", f.User, asJSON(people))
}

// Sessions lists a page, newest first, and the number there is in all.
func (db *DB) Sessions(ctx context.Context, f store.SessionFilter) ([]store.Session, int, error) {
	w := sessionWhere(f)
	total, err := count(ctx, db.read, "sessions", w)
	if err != nil {
		return nil, 0, err
	}
	n, skip := f.Page.Window()
	if !f.Before.IsZero() {
		w.add("(asked,id) < (SELECT asked, id FROM sessions WHERE id=?)", f.Before.String())
		skip = 0
	}
	out, err := list(ctx, db.read, "list sessions", scanListed, selectSession+w.String()+" ORDER BY asked DESC, id DESC LIMIT ? OFFSET ?", append(w.args, n, skip)...)
	return out, total, err
}

// RunningSessions gives every session that has not ended: after a crash, those to settle.
func (db *DB) RunningSessions(ctx context.Context) ([]store.Session, error) {
	var w where
	in(&w, "state", []string{store.Asked, store.Decided, store.Announced, store.Dialled, store.Live, store.Held, store.Ended})
	return list(ctx, db.read, "list running sessions", scanSession, selectSession+w.String()+" ORDER BY asked DESC, id DESC", w.args...)
}

// UseGrant notes that a session runs under a grant. A session can have several, one after the other.
func (db *DB) UseGrant(ctx context.Context, grant string, session id.Session) error {
	return db.tx(ctx, "note the grant of a session", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR IGNORE INTO session_grants (grant_id, session) VALUES (?,?)", grant, session.String())
		return err
	})
}
