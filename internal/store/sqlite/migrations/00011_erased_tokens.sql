-- +goose NO TRANSACTION
-- +goose Up
-- Earlier releases left deleted tokens in free pages of the file. The copy that VACUUM makes has none.
VACUUM;
