-- +goose Up
CREATE TABLE requests (
  id TEXT PRIMARY KEY, issuer TEXT NOT NULL, sub TEXT NOT NULL, name TEXT NOT NULL,
  device TEXT NOT NULL, device_fp BLOB NOT NULL, site TEXT NOT NULL,
  rule TEXT NOT NULL, actions TEXT NOT NULL, seconds INTEGER NOT NULL, reason TEXT NOT NULL, ticket TEXT NOT NULL,
  addr TEXT NOT NULL, via_token TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending','approved','used','denied','withdrawn','expired')),
  asked INTEGER NOT NULL, expires INTEGER NOT NULL, approvals TEXT NOT NULL,
  decided INTEGER, decided_by TEXT NOT NULL, answer TEXT NOT NULL,
  granted_from INTEGER, granted_until INTEGER, ended INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_asked ON requests (asked);
CREATE INDEX requests_state ON requests (state, asked);
CREATE INDEX requests_who ON requests (issuer, sub, asked);
CREATE INDEX requests_device ON requests (device, asked);
