-- +goose Up
-- The tokens of a provider are sealed, under a key that only the cookie or bearer of a session opens. It is not here, so
-- the rows that there are cannot be sealed: their sign-ins end.
DELETE FROM web_sessions;
ALTER TABLE web_sessions DROP COLUMN id_token;
ALTER TABLE web_sessions DROP COLUMN access_token;
ALTER TABLE web_sessions DROP COLUMN refresh_token;
ALTER TABLE web_sessions ADD COLUMN key_id BLOB NOT NULL DEFAULT x'';
ALTER TABLE web_sessions ADD COLUMN sealed_key BLOB NOT NULL DEFAULT x'';
ALTER TABLE web_sessions ADD COLUMN tokens BLOB NOT NULL DEFAULT x'';
ALTER TABLE web_sessions ADD COLUMN has_refresh INTEGER NOT NULL DEFAULT 0;
