-- +goose Up
-- The passes of a part after its first, each with the leaf that announces it. The log has only their hashes.
CREATE TABLE passes (
  session TEXT NOT NULL, part INTEGER NOT NULL, n INTEGER NOT NULL CHECK (n > 0), leaf INTEGER NOT NULL, pass BLOB NOT NULL,
  PRIMARY KEY (session, part, n), FOREIGN KEY (session, part) REFERENCES parts(session, part)
) STRICT;
