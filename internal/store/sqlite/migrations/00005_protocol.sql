-- +goose Up
-- The version of the control protocol that a device's agent spoke last, so that people see which agents must be updated;
-- 0: not known.
ALTER TABLE devices ADD COLUMN protocol INTEGER NOT NULL DEFAULT 0;
