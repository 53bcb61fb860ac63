-- +goose Up
-- What a person types at their provider: what others know them by, where the name that is shown is another.
ALTER TABLE principals ADD COLUMN username TEXT NOT NULL DEFAULT '';
