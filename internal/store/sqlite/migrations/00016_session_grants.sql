-- +goose Up
CREATE TABLE session_grants (
  grant_id TEXT NOT NULL, session TEXT NOT NULL, PRIMARY KEY (grant_id, session)
) STRICT, WITHOUT ROWID;
