-- +goose Up
CREATE TABLE principals (
  issuer TEXT NOT NULL, sub TEXT NOT NULL,
  name TEXT NOT NULL, email TEXT NOT NULL, groups TEXT NOT NULL, seen_at INTEGER,
  PRIMARY KEY (issuer, sub)
) STRICT, WITHOUT ROWID;

CREATE TABLE web_sessions (
  id_hash BLOB PRIMARY KEY,
  issuer TEXT NOT NULL, sub TEXT NOT NULL, provider TEXT NOT NULL, sid TEXT NOT NULL,
  id_token TEXT NOT NULL, refresh_token TEXT NOT NULL,
  auth_time INTEGER, second_factor_at INTEGER, amr TEXT NOT NULL, acr TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('web','cli')), addr TEXT NOT NULL,
  created INTEGER NOT NULL, last_seen INTEGER, expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_sessions_sid ON web_sessions (issuer, sid);
CREATE INDEX web_sessions_principal ON web_sessions (issuer, sub);
CREATE INDEX web_sessions_expires ON web_sessions (expires);

CREATE TABLE api_tokens (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE,
  issuer TEXT NOT NULL, sub TEXT NOT NULL, machine TEXT NOT NULL, scopes TEXT NOT NULL, network TEXT NOT NULL,
  created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER, last_used INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_tokens_principal ON api_tokens (issuer, sub);

CREATE TABLE sites (name TEXT PRIMARY KEY, shown_as TEXT NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE site_owners (
  site TEXT NOT NULL REFERENCES sites(name) ON DELETE CASCADE, issuer TEXT NOT NULL, sub TEXT NOT NULL,
  PRIMARY KEY (site, issuer, sub)
) STRICT, WITHOUT ROWID;
CREATE INDEX site_owners_principal ON site_owners (issuer, sub);

CREATE TABLE devices (
  fp BLOB PRIMARY KEY, name TEXT NOT NULL, site TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting','ok','locked','revoked','disputed')),
  state_at INTEGER, state_by TEXT NOT NULL, state_why TEXT NOT NULL,
  host_key BLOB NOT NULL, noise_key BLOB NOT NULL UNIQUE,
  generation INTEGER NOT NULL, renewing INTEGER NOT NULL,
  serial TEXT NOT NULL, host_name TEXT NOT NULL, os TEXT NOT NULL, agent TEXT NOT NULL, join_token BLOB NOT NULL,
  enrolled_at INTEGER NOT NULL, admitted_by TEXT NOT NULL, admitted_at INTEGER, dispute TEXT,
  last_seen INTEGER, last_addr TEXT NOT NULL, connected_at INTEGER, node TEXT NOT NULL, boot TEXT NOT NULL,
  tunnel TEXT NOT NULL, frozen INTEGER NOT NULL, clock_skew INTEGER NOT NULL, epoch INTEGER NOT NULL, log_size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX devices_name ON devices (name) WHERE state <> 'revoked';
CREATE INDEX devices_site ON devices (site);
CREATE INDEX devices_enrolled ON devices (enrolled_at);
CREATE INDEX devices_connected ON devices (connected_at) WHERE connected_at IS NOT NULL;

CREATE TABLE device_labels (
  fp BLOB NOT NULL REFERENCES devices(fp) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (fp, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_labels_value ON device_labels (key, value);

CREATE TABLE enroll_tokens (
  id BLOB PRIMARY KEY, secret_hash BLOB NOT NULL, name TEXT NOT NULL, site TEXT NOT NULL, labels TEXT NOT NULL,
  uses INTEGER NOT NULL, uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
  created INTEGER NOT NULL, created_by TEXT NOT NULL, expires INTEGER NOT NULL,
  serial TEXT NOT NULL, bundle_hash BLOB NOT NULL, revoked INTEGER, revoked_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE enroll_uses (
  id INTEGER PRIMARY KEY, token BLOB NOT NULL REFERENCES enroll_tokens(id),
  at INTEGER NOT NULL, fp BLOB NOT NULL, name TEXT NOT NULL, addr TEXT NOT NULL
) STRICT;
CREATE INDEX enroll_uses_token ON enroll_uses (token);

CREATE TABLE bundles (
  serial INTEGER PRIMARY KEY, body BLOB NOT NULL, sig BLOB NOT NULL, hash BLOB NOT NULL UNIQUE, at INTEGER NOT NULL
) STRICT;

CREATE TABLE policies (
  version INTEGER PRIMARY KEY, sha256 BLOB NOT NULL, files TEXT NOT NULL,
  by TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;

CREATE TABLE decisions (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, issuer TEXT NOT NULL, sub TEXT NOT NULL,
  device TEXT NOT NULL, action TEXT NOT NULL, allowed INTEGER NOT NULL, rule TEXT NOT NULL, text TEXT NOT NULL,
  policy_sha BLOB NOT NULL, session TEXT NOT NULL, inputs BLOB
) STRICT;
CREATE INDEX decisions_principal ON decisions (issuer, sub, id);
CREATE INDEX decisions_device ON decisions (device, id);

CREATE TABLE sessions (
  id TEXT PRIMARY KEY, device TEXT NOT NULL, fp BLOB NOT NULL, site TEXT NOT NULL,
  issuer TEXT NOT NULL, sub TEXT NOT NULL, principal_name TEXT NOT NULL,
  login TEXT NOT NULL, action TEXT NOT NULL, argv TEXT NOT NULL, pty INTEGER NOT NULL,
  state TEXT NOT NULL, asked INTEGER NOT NULL, started INTEGER, ended INTEGER, until INTEGER, reason TEXT NOT NULL,
  purpose TEXT NOT NULL, ticket TEXT NOT NULL, rule TEXT NOT NULL, via_token TEXT NOT NULL, front TEXT NOT NULL,
  client_addr TEXT NOT NULL, node TEXT NOT NULL, policy_sha BLOB NOT NULL,
  exit_status INTEGER, exit_signal TEXT NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
  hidden_ranges INTEGER NOT NULL, gaps INTEGER NOT NULL, record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_asked ON sessions (asked, id);
CREATE INDEX sessions_device ON sessions (device, asked, id);
CREATE INDEX sessions_principal ON sessions (issuer, sub, asked, id);
CREATE INDEX sessions_state ON sessions (state, asked, id);

CREATE TABLE parts (
  session TEXT NOT NULL REFERENCES sessions(id), part INTEGER NOT NULL, file TEXT NOT NULL, h0 BLOB NOT NULL,
  open_leaf INTEGER, open_nonce BLOB, open_body BLOB, pass BLOB, slot_rk BLOB NOT NULL, slot_sk BLOB NOT NULL,
  close_leaf INTEGER, close_nonce BLOB, close_body BLOB, h_final BLOB NOT NULL, seq INTEGER NOT NULL, bytes INTEGER NOT NULL,
  started INTEGER, ended INTEGER, state TEXT NOT NULL,
  PRIMARY KEY (session, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, type TEXT NOT NULL, phase TEXT NOT NULL,
  actor TEXT NOT NULL, subject TEXT NOT NULL, addr TEXT NOT NULL, leaf INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX audit_type ON audit (type, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_subject ON audit (subject, id);

-- Evidence is not edited: a slip in our own code fails loudly instead.
-- +goose StatementBegin
CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER policies_no_update BEFORE UPDATE ON policies BEGIN SELECT RAISE(ABORT, 'policy versions are append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER policies_no_delete BEFORE DELETE ON policies BEGIN SELECT RAISE(ABORT, 'policy versions are append-only'); END;
-- +goose StatementEnd
