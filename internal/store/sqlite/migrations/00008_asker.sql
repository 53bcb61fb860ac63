-- +goose Up
-- The statement of who asked for a part, which its open leaf commits to. NULL: an earlier release, which made none.
ALTER TABLE parts ADD COLUMN asker BLOB;
