-- +goose Up
CREATE TABLE notifications (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, request TEXT NOT NULL, device TEXT NOT NULL,
  channel TEXT NOT NULL, recipient TEXT NOT NULL, event BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending','sent','dead')),
  created INTEGER NOT NULL, give_up INTEGER NOT NULL, next_try INTEGER, done INTEGER,
  attempts INTEGER NOT NULL, last_error TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_due ON notifications (channel, next_try) WHERE state = 'pending';
CREATE INDEX notifications_created ON notifications (created);
CREATE INDEX notifications_state ON notifications (state, created);
