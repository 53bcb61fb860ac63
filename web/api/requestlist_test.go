package api

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/requests"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/limit"
)

// requestRules adds rules that shift leads, compliance and owners answer.
func requestRules() string {
	text := testPolicy
	for i, from := range []string{"shift-leads", "compliance", "@owner"} {
		text += fmt.Sprintf(`
[[request]]
id = "R%d"
why = "Hall 1."
who = ["technicians"]
role = "maintain"
devices = { hall = "1" }
at_most = "4h"
ask_for = ["reason"]
agree = [{ from = %q, count = 1 }]
`, i+1, from)
	}
	return text
}

// listWorld is a world with a real database and a real desk. It has n requests of several people, sites, rules and states.
func listWorld(t testing.TB, n int) *world {
	t.Helper()
	w := newWorld(t)
	w.signer.policy = signer.Policy{Version: 2, Files: []signer.PolicyFile{{Name: "policy.toml", Text: requestRules()}}, By: "test", At: testTime}
	if err := w.rules.Load(t.Context(), w.signer); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "db")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for i := range min(n, kinds) {
		if err := db.AddRequest(t.Context(), listRequest(i), func(int, int) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	multiply(t, path, n/kinds)
	w.api.rates = limit.New(1e9, 1<<30, 100, nil)
	w.api.cfg.Store = listStore{w.rows, db}
	w.api.cfg.Desk = requests.New(requests.Config{Rules: &w.rules, Now: w.api.cfg.Now})
	return w
}

// listStore has requests in a real database, and everything else by hand.
type listStore struct {
	*fakeStore
	db *sqlite.DB
}

func (s listStore) Requests(ctx context.Context, f store.RequestFilter) ([]store.Request, int, error) {
	return s.db.Requests(ctx, f)
}

const kinds = 200 // of requests

func listRequest(i int) store.Request {
	by := func(name string) id.Principal { return id.Principal{Issuer: "https://idp", Subject: name} }
	q := store.Request{ID: fmt.Sprintf("%026d", i), Who: by([]string{"technician", "other", "approver", "admin", "owner", "officer", "u2"}[i%7]), Name: "Tess",
		Device: "press-1", Site: []string{"hall-south", "hall-north", ""}[i%3], Rule: fmt.Sprintf("R%d", 1+i/3%4), Actions: []string{"shell:svc"},
		For: time.Hour, Reason: strings.Repeat("a reason ", 20), Asked: testTime.Add(time.Duration(i-1000) * time.Second), Expires: testTime.Add(time.Hour)}
	q.State = append(requestStates, store.RequestPending, store.RequestPending)[i/2%8]
	switch i % 5 {
	case 0:
		q.Expires = testTime // just now
	case 1:
		q.Approvals = []store.Approval{{Who: by("u3"), Name: "Lea"}, {Who: by("approver"), Name: "Lou"}}
	case 2:
		q.Approvals = []store.Approval{{Who: by("officer"), Name: "Ola"}}
	}
	if q.State == store.RequestApproved || q.State == store.RequestUsed {
		q.From, q.Until = q.Asked, q.Asked.Add(q.For)
	}
	return q
}

// multiply copies the requests past the store, which syncs each row.
func multiply(t testing.TB, path string, times int) {
	t.Helper()
	if times < 2 {
		return
	}
	raw, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_, err = raw.ExecContext(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?)
		INSERT INTO requests SELECT printf('%06d', i)||substr(id, 7), issuer, sub, name, device, device_fp, site, rule, actions, seconds, reason, ticket, addr,
		via_token, state, asked-i*1000000, expires, approvals, decided, decided_by, answer, granted_from, granted_until, ended,
		emergency, review_by, reviewed, reviewer, review, reminded FROM requests, n`, times-1)
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheDatabaseAndTheAPIAgreeOnRequests: the database filters lists, the API says of each request what the caller can do.
func TestTheDatabaseAndTheAPIAgreeOnRequests(t *testing.T) {
	w := listWorld(t, kinds)
	seen := map[string]bool{}
	for name, asker := range people {
		asker.policy = w.rules.Snapshot().Policy
		v, err := w.api.view(t.Context(), &asker)
		if err != nil {
			t.Fatal(err)
		}
		var visible, toAnswer []string
		for i := kinds - 1; i >= 0; i-- { // newest first
			q := listRequest(i)
			if seesRequest(&v, &q) {
				visible = append(visible, q.ID)
				if w.api.speaks(&v, &q) {
					toAnswer = append(toAnswer, q.ID)
				}
			}
		}
		for query, want := range map[string][]string{"": visible, "answer=true": toAnswer} {
			if got := w.listed(t, name, query); !slices.Equal(got, want) {
				t.Errorf("%s, %q: got %d requests, want %d\n%v\n%v", name, query, len(got), len(want), got, want)
			}
			seen[fmt.Sprintf("%q: some %v, all %v", query, len(want) > 0, len(want) == kinds)] = true
		}
	}
	if len(seen) != 5 {
		t.Errorf("got %v, want callers who see all, some and none, and who can answer some and none", seen)
	}
}

// seesRequest is the rule by which callers see requests.
func seesRequest(v *view, q *store.Request) bool {
	return v.asked(q) || v.owns(q.Site) || v.who.any(authz.DutyReview, authz.DutyApprove, authz.DutyAdminister)
}

// listed reads all pages of a list.
func (w *world) listed(t *testing.T, as, query string) (out []string) {
	t.Helper()
	for number := 1; ; number++ {
		var page apitype.RequestPage
		decodeInto(t, w.call(as, "GET", fmt.Sprintf("/api/v1/requests?%s&size=7&page=%d", query, number), "").Body.Bytes(), &page)
		for _, q := range page.Requests {
			out = append(out, q.ID)
		}
		if len(page.Requests) == 0 {
			if page.Total != len(out) {
				t.Errorf("%s, %q: got %d requests and a total of %d", as, query, len(out), page.Total)
			}
			return out
		}
	}
}

// BenchmarkRequests times a page of each list of 10,000 requests.
func BenchmarkRequests(b *testing.B) {
	w := listWorld(b, 10_000)
	for _, l := range []struct{ name, as, path string }{
		{"inbox", "approver", "/api/v1/requests?answer=true"}, {"owner", "owner", "/api/v1/requests"}, {"reviewer", "officer", "/api/v1/requests"},
		{"last-page", "officer", "/api/v1/requests?page=200"}, {"grants", "officer", "/api/v1/grants"}, {"one", "officer", "/api/v1/requests/00004100000000000000000007"},
	} {
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				if got := w.call(l.as, "GET", l.path, ""); got.Code != 200 {
					b.Fatalf("got %d: %s", got.Code, got.Body)
				}
			}
		})
	}
}
