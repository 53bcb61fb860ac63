-- +goose Up
-- Where a recording lies follows from its session, part and start (docs/recording-format.md 1).
ALTER TABLE parts DROP COLUMN file;
