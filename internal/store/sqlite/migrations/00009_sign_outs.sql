-- +goose Up
-- A sign-in is closed at the signer when its last session ends here. What the signer has not been told yet is kept, and
-- an end and its entry are one transaction. Sign-ins of an earlier release end: people sign in once more.
DELETE FROM web_sessions;
ALTER TABLE web_sessions ADD COLUMN token_hash BLOB NOT NULL DEFAULT x'';
CREATE INDEX web_sessions_token ON web_sessions (token_hash);
CREATE TABLE sign_outs (
  token_hash BLOB PRIMARY KEY, issuer TEXT NOT NULL, sub TEXT NOT NULL, due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_outs_due ON sign_outs (due);

-- +goose StatementBegin
CREATE TRIGGER web_session_ended AFTER DELETE ON web_sessions BEGIN
  INSERT INTO sign_outs (token_hash, issuer, sub, due) SELECT old.token_hash, old.issuer, old.sub, 0
    WHERE old.token_hash <> zeroblob(32) AND NOT EXISTS (SELECT 1 FROM web_sessions WHERE token_hash = old.token_hash)
    ON CONFLICT DO UPDATE SET due = 0;
  -- A token that a refresh replaced a moment ago waits for requests that still carry it. A sign-out does not wait.
  UPDATE sign_outs SET due = 0 WHERE issuer = old.issuer AND sub = old.sub;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER web_session_begun AFTER INSERT ON web_sessions BEGIN
  DELETE FROM sign_outs WHERE token_hash = new.token_hash;
END;
-- +goose StatementEnd
