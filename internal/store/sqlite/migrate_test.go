package sqlite

import (
	"encoding/json"
	"io/fs"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/ledger"
)

const policyOfThen = `
format = 1
name = "test"
contact = "the test"
groups = ["technicians"]
[labels]
kind = {}
[role.maintain]
why = "repair"
shell = { as = ["svc"] }
run = [["/bin/x"]]
[[allow]]
id = "A1"
why = "presses"
who = ["technicians"]
role = "maintain"
devices = { kind = "press" }
hours = "always"
`

// earlier makes a database as a release with that version of its tables left it.
func earlier(t *testing.T, path string, version int64) *DB {
	t.Helper()
	if err := private(path); err != nil {
		t.Fatal(err)
	}
	w, err := handle(path, time.Second, url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, w, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	db := &DB{write: w, read: w}
	t.Cleanup(func() { w.Close() })
	return db
}

// again decides once more from what a stored decision was made of, with the meaning that policy and action had then.
func again(t *testing.T, d store.Decision, login string, policy store.PolicyVersion) authz.Decision {
	t.Helper()
	var in struct {
		Groups         []string          `json:"groups"`
		Machine        string            `json:"machine"`
		ViaToken       bool              `json:"via_token"`
		SecondFactorAt time.Time         `json:"second_factor_at"`
		Address        netip.Addr        `json:"address"`
		Site           string            `json:"site"`
		Labels         map[string]string `json:"labels"`
		Live           int               `json:"live"`
		Ticket         string            `json:"ticket"`
	}
	if err := json.Unmarshal(d.Inputs, &in); err != nil {
		t.Fatal(err)
	}
	if policy.SHA256 != d.PolicySHA {
		t.Fatal("the policy of then is another")
	}
	p, problems := authz.LoadPast(authz.File{Name: policy.Files[0].Name, Text: []byte(policy.Files[0].Text)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	action, err := authz.ParsePastAction(d.Action, login)
	if err != nil {
		t.Fatal(err)
	}
	q := authz.Request{Person: authz.Person{ID: d.Principal, Groups: in.Groups, Machine: in.Machine,
		ViaToken: in.ViaToken, SecondFactorAt: in.SecondFactorAt, Address: in.Address},
		Device: authz.Device{Name: d.Device, Site: in.Site, Labels: in.Labels}, Action: action, LiveSessions: in.Live,
		Ticket: in.Ticket}
	return authz.Decide(authz.NewSnapshot(p, nil), q, d.At)
}

func TestAPastDecisionIsTheSameBeforeAndAfterTheTablesAreMadeSmaller(t *testing.T) {
	path, ctx := filepath.Join(t.TempDir(), "db"), t.Context()
	old := earlier(t, path, 2)
	sids, at := []id.Session{id.NewSession(), id.NewSession(), id.NewSession()}, time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	if err := old.AddPolicy(ctx, store.PolicyVersion{Version: 1, SHA256: [32]byte{7},
		Files: []store.PolicyFile{{Name: "p.toml", Text: policyOfThen}}, At: at}); err != nil {
		t.Fatal(err)
	}
	for i, then := range []struct{ kind, login, action, rule string }{{"press", "svc", "shell:svc", "A1"},
		{"lathe", "svc", "shell:svc", ""}, {"press", "root", "run:/bin/x", "A1"}} {
		inputs := `{"groups":["technicians"],"machine":"","via_token":false,` +
			`"second_factor_at":"0001-01-01T00:00:00Z","address":"192.0.2.1",` +
			`"site":"north","labels":{"kind":"` + then.kind + `"},"live":0,"ticket":""}`
		who := id.Principal{Issuer: "https://idp.test", Subject: "tess"}
		err := old.AddDecided(ctx, store.Session{ID: sids[i], Device: "d-1", Principal: who, Asked: at,
			Login: then.login, State: store.Closed},
			store.Decision{At: at, Principal: who, Device: "d-1", Action: then.action, Allowed: then.rule != "",
				Rule: then.rule, PolicySHA: [32]byte{7}, Session: sids[i], Inputs: []byte(inputs)})
		if err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := ledger.OpenBody{Session: sids[0], GatewayPub: make([]byte, 32),
		RetainUntil: at.Add(400 * 24 * time.Hour).Unix()}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	_, err = old.write.Exec(`INSERT INTO parts (session, part, file, h0, open_leaf, open_nonce, open_body, pass,
			slot_rk, slot_sk, close_leaf, close_nonce, close_body, h_final, seq, bytes, started, ended, state)
		VALUES (?,0,'x.srec',?,5,x'01',?,x'03',
			zeroblob(32),zeroblob(32),6,x'04',x'05',?,9,1000,?,?,'complete')`,
		sids[0].String(), make([]byte, 32), leaf, make([]byte, 32), at.UnixMicro(), at.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	before, err := old.Decisions(ctx, store.DecisionFilter{})
	if err != nil || len(before) != 3 {
		t.Fatalf("got %d decisions, %v", len(before), err)
	}
	if err := old.write.Close(); err != nil {
		t.Fatal(err)
	}

	db := open(t, path, Options{})
	after, err := db.Decisions(ctx, store.DecisionFilter{})
	if err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("got %+v %v, want the decisions as they were: %+v", after, err, before)
	}
	policy, err := db.Policy(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range after {
		s, err := db.Session(ctx, d.Session)
		if err != nil {
			t.Fatal(err)
		}
		if got := again(t, d, s.Login, policy); got.Allowed != d.Allowed || got.Rule != d.Rule {
			t.Errorf("decided again: got %v by %q, want %v by %q", got.Allowed, got.Rule, d.Allowed, d.Rule)
		}
	}
	open, end := uint64(5), uint64(6)
	want := store.Part{Session: sids[0], OpenLeaf: &open, Pass: []byte{3}, CloseLeaf: &end, Seq: 9, Bytes: 1000,
		Started: at, Ended: at, Retain: at.Add(400 * 24 * time.Hour), State: "complete"}
	if got, err := db.Part(ctx, sids[0], 0); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
}

// TestASessionCostsLittleInTheDatabase prints what a session costs, by column, and holds it to a bound.
func TestASessionCostsLittleInTheDatabase(t *testing.T) {
	path, n := filepath.Join(t.TempDir(), "db"), 500
	db := open(t, path, Options{})
	size := func() (pages int) {
		t.Helper()
		err := db.read.QueryRow("SELECT page_count*page_size FROM pragma_page_count, pragma_page_size").Scan(&pages)
		if err != nil {
			t.Fatal(err)
		}
		return pages
	}
	empty := size()
	for i := range n {
		costly(t, db, time.Unix(1_800_000_000+int64(i)*60, 0).UTC(), i)
	}
	cost := (size() - empty) / n
	t.Logf("%d bytes a session", cost)
	for _, table := range []string{"sessions", "parts", "decisions", "audit"} {
		t.Logf("%s: %v", table, columnBytes(t, db, table, n))
	}
	if cost > 3200 {
		t.Errorf("a session costs %d bytes, want 3,200 at most", cost)
	}
}

// costly stores what one short session leaves: the sizes are those of a real one.
func costly(t *testing.T, db *DB, at time.Time, i int) {
	t.Helper()
	who := id.Principal{Issuer: "https://login.example.com/realms/one", Subject: "ie5qza5xx5ppnlzpuapqdjxdar"}
	s := store.Session{ID: id.NewSession(), Device: "press-1", DeviceFP: [32]byte{1}, Site: "plant-north",
		Principal: who, PrincipalName: "Tess Technician", Login: "nobody",
		Action: "shell:nobody", Argv: []string{"true"}, State: store.Closed, Asked: at, Started: at, Ended: at,
		Until: at, EndReason: "exit", Rule: "A1", Front: "cli",
		ClientAddr: "192.0.2.17", Node: "gateway", Record: store.RecordComplete}
	leaf := uint64(3 * i)
	d := store.Decision{At: at, Principal: who, Device: s.Device, Action: s.Action, Allowed: true, Rule: "A1",
		Text:    "You may open a shell as nobody on press-1 (rule A1).",
		Session: s.ID, Inputs: make([]byte, 199)}
	err := db.AddDecided(t.Context(), s, d,
		store.AuditEvent{At: at, Type: "decided", Phase: "done", Actor: who.String(), Subject: s.ID.String(),
			Addr: s.ClientAddr, Leaf: leaf, Body: make([]byte, 288)})
	if err == nil {
		err = db.AddPart(t.Context(), store.Part{Session: s.ID, OpenLeaf: &leaf, CloseLeaf: &leaf,
			Pass: make([]byte, 565), Seq: 5, Bytes: 1432, Started: at, Ended: at, State: s.Record})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func columnBytes(t *testing.T, db *DB, table string, n int) map[string]int {
	t.Helper()
	names, err := list(t.Context(), db.read, "list columns", func(r scanner, s *string) error { return r.Scan(s) },
		"SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, name := range names {
		var sum int
		if err := db.read.QueryRow("SELECT coalesce(sum(length(CAST(" + name + " AS BLOB))),0) FROM " +
			table).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		out[name] = sum / n
	}
	return out
}
