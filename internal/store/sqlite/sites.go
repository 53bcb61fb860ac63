package sqlite

import (
	"context"
	"database/sql"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

const siteColumns = `name, shown_as, created,
	(SELECT json_group_array(json_object('issuer',issuer,'sub',sub)) FROM site_owners WHERE site=sites.name)`

func scanSite(r scanner, s *store.Site) error {
	err := r.Scan(&s.Name, &s.ShownAs, at(&s.Created), asJSON(&s.Owners))
	if len(s.Owners) == 0 {
		s.Owners = nil
	}
	return err
}

// PutSite stores a site and its owners as given.
func (db *DB) PutSite(ctx context.Context, s store.Site) error {
	return db.tx(ctx, "store site", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sites (name, shown_as, created) VALUES (?,?,?)
			ON CONFLICT DO UPDATE SET shown_as=excluded.shown_as`, s.Name, s.ShownAs, micros(s.Created))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM site_owners WHERE site=?", s.Name); err != nil {
			return err
		}
		for _, o := range s.Owners {
			if _, err := tx.ExecContext(ctx, "INSERT INTO site_owners (site, issuer, sub) VALUES (?,?,?)", s.Name, o.Issuer, o.Subject); err != nil {
				return err
			}
		}
		return nil
	})
}

// Site reads one.
func (db *DB) Site(ctx context.Context, name string) (store.Site, error) {
	return one(ctx, db.read, "site", name, scanSite, "SELECT "+siteColumns+" FROM sites WHERE name=?", name)
}

// Sites lists all, newest first.
func (db *DB) Sites(ctx context.Context) ([]store.Site, error) {
	return list(ctx, db.read, "list sites", scanSite, "SELECT "+siteColumns+" FROM sites ORDER BY created DESC, name")
}

// SitesOwnedBy names the sites that somebody owns.
func (db *DB) SitesOwnedBy(ctx context.Context, p id.Principal) ([]string, error) {
	return list(ctx, db.read, "list owned sites", func(r scanner, s *string) error { return r.Scan(s) },
		"SELECT site FROM site_owners WHERE issuer=? AND sub=? ORDER BY site", p.Issuer, p.Subject)
}
