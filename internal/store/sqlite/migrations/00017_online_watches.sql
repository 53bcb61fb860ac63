-- +goose Up
CREATE TABLE online_watches (
  fp BLOB NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL, created INTEGER NOT NULL, PRIMARY KEY (fp, issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX online_watches_by_person ON online_watches (issuer, subject);
