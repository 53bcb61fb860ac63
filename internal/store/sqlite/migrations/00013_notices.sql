-- +goose Up
CREATE TABLE notices (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, request TEXT NOT NULL, device TEXT NOT NULL,
  channel TEXT NOT NULL, recipient TEXT NOT NULL, event BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending','sent','dead')),
  created INTEGER NOT NULL, give_up INTEGER NOT NULL, next_try INTEGER, done INTEGER,
  attempts INTEGER NOT NULL, last_error TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notices_due ON notices (channel, next_try) WHERE state = 'pending';
CREATE INDEX notices_created ON notices (created);
CREATE INDEX notices_state ON notices (state, created);
