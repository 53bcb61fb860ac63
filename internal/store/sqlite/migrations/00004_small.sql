-- +goose Up
-- What was stored twice goes. Where a recording lies follows from its session, part and start (docs/recording-format.md 1).
-- Nonces, bodies and slot hashes are in the log, where the leaves' indices point. A row without a rowid lies in a tree whose
-- cells hold about 1 KB, so that the pass alone cost each part a page of 4 KB behind it.
CREATE TABLE parts_small (
  session TEXT NOT NULL REFERENCES sessions(id), part INTEGER NOT NULL, h0 BLOB NOT NULL,
  open_leaf INTEGER, pass BLOB, close_leaf INTEGER, h_final BLOB NOT NULL, seq INTEGER NOT NULL, bytes INTEGER NOT NULL,
  started INTEGER, ended INTEGER, retain_until INTEGER, state TEXT NOT NULL,
  PRIMARY KEY (session, part)
) STRICT;
-- retain_until is in the open leaf's body: the CBOR text "retain_until" (14 bytes with the head of its value), then 4 bytes, the
-- most significant first.
INSERT INTO parts_small (session, part, h0, open_leaf, pass, close_leaf, h_final, seq, bytes, started, ended, retain_until, state)
  SELECT session, part, h0, open_leaf, pass, close_leaf, h_final, seq, bytes, started, ended,
    CASE WHEN instr(open_body, x'6c72657461696e5f756e74696c1a') > 0 THEN 1000000 * (
      ((instr('0123456789ABCDEF', substr(hex(substr(open_body, instr(open_body, x'6c72657461696e5f756e74696c1a') + 14, 4)), 1, 1)) - 1) << 28)
      + ((instr('0123456789ABCDEF', substr(hex(substr(open_body, instr(open_body, x'6c72657461696e5f756e74696c1a') + 14, 4)), 2, 1)) - 1) << 24)
      + ((instr('0123456789ABCDEF', substr(hex(substr(open_body, instr(open_body, x'6c72657461696e5f756e74696c1a') + 14, 4)), 3, 1)) - 1) << 20)
      + ((instr('0123456789ABCDEF', substr(hex(substr(open_body, instr(open_body, x'6c72657461696e5f756e74696c1a') + 14, 4)), 4, 1)) - 1) << 16)
      + ((instr('0123456789ABCDEF', substr(hex(substr(open_body, instr(open_body, x'6c72657461696e5f756e74696c1a') + 14, 4)), 5, 1)) - 1) << 12)
      + ((instr('0123456789ABCDEF', substr(hex(substr(open_body, instr(open_body, x'6c72657461696e5f756e74696c1a') + 14, 4)), 6, 1)) - 1) << 8)
      + ((instr('0123456789ABCDEF', substr(hex(substr(open_body, instr(open_body, x'6c72657461696e5f756e74696c1a') + 14, 4)), 7, 1)) - 1) << 4)
      + ((instr('0123456789ABCDEF', substr(hex(substr(open_body, instr(open_body, x'6c72657461696e5f756e74696c1a') + 14, 4)), 8, 1)) - 1) << 0)
    ) END, state FROM parts ORDER BY started;
DROP TABLE parts;
ALTER TABLE parts_small RENAME TO parts;
CREATE INDEX parts_unclosed ON parts (session) WHERE close_leaf IS NULL;

-- Decisions are read by their session. Each of the old indices repeated the person, or the device, of every one.
DROP INDEX decisions_principal;
DROP INDEX decisions_device;
CREATE INDEX decisions_session ON decisions (session);
