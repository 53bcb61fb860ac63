-- +goose Up
ALTER TABLE requests ADD COLUMN emergency INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN review_by INTEGER;
ALTER TABLE requests ADD COLUMN reviewed INTEGER;
ALTER TABLE requests ADD COLUMN reviewer TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN review TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN reminded INTEGER;
CREATE INDEX requests_to_review ON requests (review_by) WHERE review_by IS NOT NULL AND reviewed IS NULL;
