package e2e

import (
	"database/sql"
	"encoding/json"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestARowEditedByHandIsShownFirst edits the database of a gateway that runs: what its pages say of a session then
// contradicts the evidence, and both the page and `sessions verify` say so before anything else.
func TestARowEditedByHandIsShownFirst(t *testing.T) {
	d := demo(t)
	if got := d.Run(t, "technician", "shell", "press-1", "-T", "--", "echo", "it was me"); got.Status != 0 {
		t.Fatalf("got %+v", got)
	}
	s := lastSession(t, d)
	if len(s.Differs) > 0 || s.NotCompared != "" {
		t.Fatalf("before: got %q %q, want nothing", s.Differs, s.NotCompared)
	}
	show := []string{"sessions", "show", s.ID.String()}
	verify := []string{"sessions", "verify", s.ID.String()}
	if got := d.Run(t, "officer", verify...); got.Status != 0 || strings.Contains(got.Out, "BAD") ||
		!strings.Contains(got.Out, `asked for on device "press-1" by`) {
		t.Fatalf("before: got %+v", got)
	}
	for set, want := range map[string]string{
		"principal_name = 'Ada Lovelace'":                             "Ada Lovelace",
		"login = 'root'":                                              "root",
		"state = 'refused'":                                           "refused",
		"device = 'press-2'":                                          "press-2",
		`argv = '["rm","-rf","/"]'`:                                   "rm -rf /",
		"started = started - 3600000000":                              "started",
		"sub = 'somebody else'":                                       "somebody else",
		"purpose = 'they asked me to'":                                "they asked me to",
		"ended = ended + 3600000000":                                  "ended",
		"fp = (SELECT fp FROM devices WHERE fp<>sessions.fp LIMIT 1)": "host key",
	} {
		undo := editSession(t, d, s.ID.String(), set)
		for _, ask := range [][]string{show, verify} {
			got := d.Run(t, "officer", ask...)
			first, _, _ := strings.Cut(got.Out, "\n")
			if !strings.Contains(first, want) || !strings.HasPrefix(first, "DIFFERS") && !strings.HasPrefix(first, "BAD") {
				t.Errorf("%s: %v begins with %q, want the difference", set, ask[:2], first)
			}
			if ask[1] == "verify" && got.Status != 1 {
				t.Errorf("%s: verify: got status %d, want 1", set, got.Status)
			}
		}
		undo()
	}
	if got := d.Run(t, "officer", verify...); got.Status != 0 {
		t.Errorf("put back: got %+v", got)
	}
}

// lastSession gives the page of the newest session.
func lastSession(t *testing.T, d *testenv.Demo) (s apitype.SessionDetail) {
	t.Helper()
	got := d.Run(t, "officer", "sessions", "show", "last", "--json")
	if err := json.Unmarshal([]byte(got.Out), &s); err != nil {
		t.Fatalf("sessions show: got %+v, %v", got, err)
	}
	return s
}

// editSession changes columns of a session's row behind the gateway's back. undo puts the row back.
func editSession(t *testing.T, d *testenv.Demo, sid, set string) (undo func()) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+database(t, d)+"?_busy_timeout=20000")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(db *sql.DB, query string) {
		t.Helper()
		if _, err := db.Exec(query, sid); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	run(db, "CREATE TABLE kept AS SELECT * FROM sessions WHERE id = ?")
	run(db, "UPDATE sessions SET "+set+" WHERE id = ?")
	return func() {
		db, err := sql.Open("sqlite3", "file:"+database(t, d)+"?_busy_timeout=20000")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		run(db, "REPLACE INTO sessions SELECT * FROM kept WHERE id = ?")
		if _, err := db.Exec("DROP TABLE kept"); err != nil {
			t.Fatal(err)
		}
	}
}

// database finds the gateway's database in a demo.
func database(t *testing.T, d *testenv.Demo) (path string) {
	t.Helper()
	err := filepath.WalkDir(d.Dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == "gateway.db" {
			path = p
		}
		return nil
	})
	if err != nil || path == "" {
		t.Fatalf("the demo has no database: %v", err)
	}
	return path
}
