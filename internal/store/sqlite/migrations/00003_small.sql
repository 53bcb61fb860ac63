-- +goose Up
-- What was stored twice goes. Where a recording lies follows from its session, part and start (docs/recording-format.md 1).
-- Nonces, bodies and slot hashes are in the log, where the leaves' indices point. A row without a rowid lies in a tree whose
-- cells hold about 1 KB, so that the pass alone cost each part a page of 4 KB behind it.
CREATE TABLE parts_small (
  session TEXT NOT NULL REFERENCES sessions(id), part INTEGER NOT NULL, h0 BLOB NOT NULL,
  open_leaf INTEGER, pass BLOB, close_leaf INTEGER, h_final BLOB NOT NULL, seq INTEGER NOT NULL, bytes INTEGER NOT NULL,
  started INTEGER, ended INTEGER, state TEXT NOT NULL,
  PRIMARY KEY (session, part)
) STRICT;
INSERT INTO parts_small (session, part, h0, open_leaf, pass, close_leaf, h_final, seq, bytes, started, ended, state)
  SELECT session, part, h0, open_leaf, pass, close_leaf, h_final, seq, bytes, started, ended, state FROM parts ORDER BY started;
DROP TABLE parts;
ALTER TABLE parts_small RENAME TO parts;
CREATE INDEX parts_unclosed ON parts (session) WHERE close_leaf IS NULL;

-- Decisions are read by their session. Each of the old indices repeated the person, or the device, of every one.
DROP INDEX decisions_principal;
DROP INDEX decisions_device;
CREATE INDEX decisions_session ON decisions (session);
