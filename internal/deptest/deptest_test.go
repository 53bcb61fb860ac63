// Package deptest holds the rules of who may import whom. A rule that is only written down is broken within a month.
package deptest

import (
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/sallyport/sallyport"

// notRecord is what neither the writing nor the reading half of the record knows.
var notRecord = []string{"golang.org/x/crypto/ssh", "net/http", "database/sql", module + "/gateway", module + "/web",
	module + "/internal/store", module + "/internal/signer", module + "/internal/wire"}

// rules: what matches from never depends on anything that matches a word of never, directly or through others.
var rules = []struct {
	from  string
	never []string
	why   string
}{
	{"internal/id", []string{module + "/"}, "names stand at the bottom of the graph"},
	{"internal/errkind", []string{module + "/"}, "everybody classifies errors"},
	{"internal/reach", []string{module + "/gateway", module + "/web", module + "/recorder", module + "/authz",
		module + "/internal/wire", module + "/internal/agent", module + "/internal/client", module + "/internal/store"},
		"the command line and the agent share it, so it knows neither"},
	{"internal/readfile", []string{module + "/"}, "gateway, signer and agent share it, so it knows none of them"},
	{"internal/connlimit", []string{module + "/gateway", module + "/web", module + "/internal/store", "net/http"},
		"it decides before anything is read from a connection"},
	{"internal/plain", []string{module + "/"},
		"the command line, the agent and the verifier share it, so it knows none of them"},
	{"authz", []string{module + "/gateway", module + "/web", module + "/recorder", module + "/internal/store", module + "/internal/wire", module + "/internal/signer", "net/http", "database/sql", "log/slog"}, "a decision has no I/O, so that it can be made again anywhere"},
	{"recorder", []string{"golang.org/x/crypto/ssh", "net/http", "database/sql", module + "/gateway", module + "/web", module + "/internal/store", module + "/internal/signer", module + "/internal/wire", module + "/recorder/writer", module + "/recorder/reader"}, "it is the interface: values and no code that records"},
	{"recorder/format", []string{"net/http", module + "/recorder/writer", module + "/recorder/reader", module + "/recorder/scan", module + "/recorder/seal"}, "bytes and their meaning; everything else stands on it"},
	{"recorder/writer", append(notRecord, module+"/recorder/reader"), "the record knows no SSH, HTTP or SQL, and who makes it does not judge it"},
	{"recorder/reader", append(notRecord, module+"/recorder/writer", module+"/recorder/seal"), "a verifier cannot make what it checks"},
	{"recorder/archive", []string{module + "/recorder/writer", module + "/recorder/seal"}, "the archive reads"},
	{"recorder/bundle", []string{module + "/recorder/writer", module + "/recorder/seal"}, "a verifier cannot make what it checks"},
	{"cmd/sallyport-verify", []string{module + "/recorder/writer", module + "/recorder/seal", "net/http", "database/sql"}, "a verifier cannot make what it checks"},
	{"web", []string{module + "/recorder/writer", module + "/recorder/seal"}, "only the wiring names the writer"},
	{"web/api", []string{module + "/recorder/writer", module + "/recorder/seal"}, "only the wiring names the writer"},
	{"web/records", []string{module + "/recorder/writer", module + "/recorder/seal"}, "only the wiring names the writer"},
	{"web/terminal", []string{module + "/recorder/writer", module + "/recorder/seal"}, "only the wiring names the writer"},
	{"recorder/ledger", []string{"net/http", "database/sql", module + "/gateway", module + "/web", module + "/internal/store"}, "the log is checked where there is neither"},
	{"internal/wire", []string{module + "/gateway", module + "/web", module + "/internal/store", module + "/internal/agent", module + "/internal/signer", module + "/recorder"}, "both ends speak it and know nothing of each other"},
	{"internal/agent", []string{module + "/gateway", module + "/web", module + "/internal/store", module + "/internal/signer", module + "/internal/idp", "github.com/mattn/go-sqlite3"}, "the agent trusts keys, not our server code"},
	{"internal/store", []string{module + "/gateway", module + "/web", module + "/internal/signer", module + "/internal/agent"}, "storage is an adapter: nobody's rules live in it"},
	{"internal/store/sqlite", []string{module + "/gateway", module + "/web", module + "/internal/signer", module + "/internal/agent"}, "storage is an adapter: nobody's rules live in it"},
	{"gateway", []string{module + "/web", module + "/gateway/rendezvous", module + "/internal/agent", "net/http/httptest", module + "/recorder/writer", module + "/recorder/seal", module + "/recorder/reader"}, "doors import the broker, never the other way round"},
	{"gateway/sessionline", []string{module + "/web", module + "/gateway", module + "/internal/agent", module + "/internal/store", module + "/internal/signer", module + "/recorder/writer", module + "/recorder/reader"}, "the recorded door carries what was decided and recorded, and decides nothing"},
	{"gateway/notifications", []string{module + "/web", module + "/authz", module + "/internal/signer", module + "/internal/agent", module + "/recorder/writer"},
		"it tells what happened, and decides nothing"},
	{"internal/notify", []string{module + "/gateway", module + "/web", module + "/authz", module + "/internal/store", module + "/internal/signer",
		module + "/internal/config", "database/sql"}, "a sender knows addresses and texts, and nothing of requests"},
	{"gateway/rendezvous", []string{module + "/web", module + "/internal/agent"}, "the device's door knows no browser"},
	{"cmd/sallyport-agent", []string{module + "/gateway", module + "/web", module + "/internal/store", "github.com/mattn/go-sqlite3", "github.com/alecthomas/kong", "net/http/pprof"}, "under 10 MB, and no server code on a customer's machine"},
	{"internal/client", []string{"github.com/mattn/go-sqlite3", "database/sql", module + "/gateway", module + "/internal/store"}, "the command line is built without cgo for three systems"},
}

func TestNobodyImportsWhatTheyMustNot(t *testing.T) {
	root := filepath.Join("..", "..")
	touch(t, root) // go's test cache then knows the sources as inputs
	for _, r := range rules {
		t.Run(r.from, func(t *testing.T) {
			for _, dep := range deps(t, root, r.from) {
				for _, n := range r.never {
					if dep == strings.TrimSuffix(n, "/") && !strings.HasSuffix(n, "/") || strings.HasSuffix(n, "/") && strings.HasPrefix(dep, n) || strings.HasPrefix(dep, n+"/") {
						if dep == module+"/"+r.from {
							continue
						}
						t.Errorf("%s depends on %s; never, because %s", r.from, dep, r.why)
					}
				}
			}
		})
	}
}

// TestWebSocketsAreOpenedInTwoPlaces keeps origin checks where they can be read.
func TestWebSocketsAreOpenedInTwoPlaces(t *testing.T) {
	allowed := map[string]bool{"internal/wire": true, "web/terminal": true, "internal/client": true}
	root := filepath.Join("..", "..")
	for _, dir := range packages(t, root) {
		p, err := build.ImportDir(filepath.Join(root, dir), 0)
		if err != nil {
			continue
		}
		for _, imp := range p.Imports {
			if imp == "github.com/gorilla/websocket" && !allowed[dir] {
				t.Errorf("%s imports gorilla/websocket: only internal/wire, web/terminal and internal/client do", dir)
			}
		}
	}
}

// TestFilesOfOthersAreReadBounded: a FIFO in place of a file that a process reads while it serves would block it.
func TestFilesOfOthersAreReadBounded(t *testing.T) {
	root := filepath.Join("..", "..")
	var files []string
	for _, pattern := range []string{"internal/node/*.go", "internal/config/files.go", "internal/idp/users.go",
		"internal/idp/keys.go", "internal/oidcauth/*.go", "internal/signer/keys.go", "internal/backup/recipients.go",
		"internal/notify/*.go", "internal/agent/proxy.go", "internal/agent/dial/*.go", "internal/agent/state/ownerfile.go",
		"internal/agent/state/proxy.go"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: nothing found, %v", pattern, err)
		}
		files = append(files, found...)
	}
	opens := regexp.MustCompile(`os\.(ReadFile|Open)\((\w[^)]*)\)`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range opens.FindAllString(string(text), -1) {
			if !strings.HasSuffix(f, "_test.go") && !strings.Contains(m, "filepath.Dir(") {
				t.Errorf("%s: %s: read it with internal/readfile", f, m)
			}
		}
	}
}

func deps(t *testing.T, root, pkg string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-tags", "sqlite_fts5", "./"+pkg)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

func packages(t *testing.T, root string) []string {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			rel, _ := filepath.Rel(root, filepath.Dir(path))
			seen[filepath.ToSlash(rel)] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for d := range seen {
		out = append(out, d)
	}
	return out
}

// touch reads every source's directory entry, so that a change of any of them runs this test again.
func touch(t *testing.T, root string) { packages(t, root) }
