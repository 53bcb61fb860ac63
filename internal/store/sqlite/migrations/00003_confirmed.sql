-- +goose Up
-- When the provider last confirmed a sign-in (iat of the id token), whether it can be asked again, and the access token where the
-- signer needs it for userinfo. Sign-ins of before the upgrade have their sign-in's own time.
ALTER TABLE web_sessions ADD COLUMN access_token TEXT NOT NULL DEFAULT '';
ALTER TABLE web_sessions ADD COLUMN no_refresh INTEGER NOT NULL DEFAULT 0;
ALTER TABLE web_sessions ADD COLUMN confirmed_at INTEGER;
UPDATE web_sessions SET confirmed_at = auth_time;
