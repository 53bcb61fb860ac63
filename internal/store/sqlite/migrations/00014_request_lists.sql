-- +goose Up
-- Owners list the requests of their sites, and people list grants. With these columns, counting and paging read no rows of the table.
CREATE INDEX requests_site ON requests (site, asked, state);
CREATE INDEX requests_granted ON requests (asked, id, granted_from) WHERE granted_from IS NOT NULL;
