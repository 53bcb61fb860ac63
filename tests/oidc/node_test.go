// Package oidc proves sign-in against implementations of others: our relying party and the gateway against npm oidc-provider,
// our built-in provider against npm openid-client.
package oidc

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

func TestMain(m *testing.M) {
	status := m.Run()
	testenv.Cleanup()
	os.Exit(status)
}

// packages installs what package-lock.json names, where setup has not done so.
var packages = sync.OnceValues(func() ([]byte, error) {
	if _, err := os.Stat("node_modules"); err == nil {
		return nil, nil
	}
	return exec.Command("npm", "ci", "--silent", "--no-audit", "--no-fund").CombinedOutput()
})

// program is a script of this directory that runs beside a test. It ends with it.
type program struct {
	t     *testing.T
	in    io.WriteCloser
	lines chan []byte // of standard output, closed at its end
	said  *bytes.Buffer
}

// start runs a script with one JSON argument.
func start(t *testing.T, script string, argument any) *program {
	t.Helper()
	if out, err := packages(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	for _, input := range []string{script, "browser.mjs", "package-lock.json"} { // go's test cache then knows them as inputs
		if _, err := os.ReadFile(input); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(argument)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, lines: make(chan []byte, 64), said: &bytes.Buffer{}}
	cmd := exec.Command("node", script, string(raw))
	cmd.Stderr = p.said
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- bytes.Clone(s.Bytes())
		}
	}()
	t.Cleanup(func() {
		p.in.Close()
		late := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		for range p.lines { // until it has ended
		}
		cmd.Wait()
		late.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", script, p.said)
		}
	})
	return p
}

// next reads the next line of JSON, and reports false at the end.
func (p *program) next(into any) bool {
	p.t.Helper()
	select {
	case raw, ok := <-p.lines:
		if ok {
			if err := json.Unmarshal(raw, into); err != nil {
				p.t.Fatalf("%v in %s", err, raw)
			}
		}
		return ok
	case <-time.After(time.Minute):
		p.t.Fatal("the script says nothing for a minute")
		return false
	}
}

// tell writes a line of JSON to the script.
func (p *program) tell(what any) {
	p.t.Helper()
	if err := json.NewEncoder(p.in).Encode(what); err != nil {
		p.t.Fatal(err)
	}
}
