package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// plan gives the steps of a query as SQLite plans them.
func plan(t *testing.T, db *DB, query string, args []any) string {
	t.Helper()
	rows, err := db.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var number, parent, unused int
		var step string
		if err := rows.Scan(&number, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}

// A page reads its own rows by id. Its ids come from an index that holds only what the filter admits, or that has the order
// of the list, so that reading stops after the page.
func TestListsOfRequestsReadNoOtherRows(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "db"), Options{})
	tess := id.Principal{Issuer: "https://idp.test", Subject: "tess"}
	answer := &store.Answer{By: tess, At: time.Now(), Sites: []string{"ulm"}, Rules: []store.AnswerRule{{Rule: "R1"}, {Rule: "R2", OwnSite: true}}}
	for what, c := range map[string]struct {
		f    store.RequestFilter
		uses []string
	}{
		"everything":        {store.RequestFilter{}, []string{"COVERING INDEX requests_asked"}},
		"a person's":        {store.RequestFilter{Who: tess}, []string{"COVERING INDEX requests_who (issuer=? AND sub=?)"}},
		"an owner's":        {store.RequestFilter{Sight: &store.Sight{Principal: tess, Sites: []string{"ulm", "bonn"}}}, []string{"COVERING INDEX requests_who (issuer=? AND sub=?)", "COVERING INDEX requests_site (site=?)"}},
		"to answer":         {store.RequestFilter{Answer: answer}, []string{"INDEX requests_state (state=?)"}},
		"grants":            {store.RequestFilter{Granted: true}, []string{"COVERING INDEX requests_granted"}},
		"by a part of ids":  {store.RequestFilter{ID: "abc"}, []string{"PRIMARY KEY (id>? AND id<?)"}},
		"a grant by its id": {store.RequestFilter{ID: "abc", Granted: true}, []string{"PRIMARY KEY (id>? AND id<?)"}},
	} {
		ids, args := requestIDs(c.f)
		total, page := plan(t, db, requestsTotal(ids), args), plan(t, db, requestsPage(ids), append(args, 50, 0))
		if !strings.Contains(page, "SEARCH requests USING PRIMARY KEY (id=?)") {
			t.Errorf("%s: rows of the page are not read by id:\n%s", what, page)
		}
		for _, index := range c.uses {
			if !strings.Contains(page, index) || !strings.Contains(total, index) {
				t.Errorf("%s: page or total does not use %s:\n%s\n%s", what, index, page, total)
			}
		}
		for step := range strings.Lines(page + "\n" + total) {
			if strings.HasPrefix(step, "SCAN requests") && !strings.Contains(step, "INDEX") {
				t.Errorf("%s: the whole table is read:\n%s\n%s", what, page, total)
			}
		}
	}
}
