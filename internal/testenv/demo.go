// Package testenv starts the real thing for tests: a demo with its gateway, agents and people, built from this tree, on
// loopback and in a directory of its own. It ends with the test.
//
// # Why the real thing
//
// A fake agrees with whoever wrote it. The programs are built once for a test run and start in seconds, so what is tested is what is shipped:
// processes, sockets, disks, kill -9. NewServer starts `sallyport serve` as on a real host; Person and Browser do what people do.
//
// Only tests import it. It finds programs and ports by what they write into files, ends processes by their id, and bounds every wait.
package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Ready is the ready-file of a demo.
type Ready struct {
	URL     string `json:"url"`
	SSH     string `json:"ssh"`
	LogKey  string `json:"log_key"`
	DataDir string `json:"data_dir"`
	Users   []struct {
		Name, Role, Password, Token string
	} `json:"users"`
	Devices []struct {
		Name     string `json:"name"`
		Login    string `json:"login"`
		StateDir string `json:"state_dir"`
		PID      int    `json:"pid"`
	} `json:"devices"`
	GatewayPID int               `json:"gateway_pid"`
	Identities map[string]string `json:"identities"`
}

// Demo is one that runs.
type Demo struct {
	Ready
	Bin  string // directory of the programs
	Dir  string
	file string
	cmd  *exec.Cmd
	done chan error
	out  *os.File
}

// Root is the top of the source tree.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

var build = sync.OnceValues(func() (string, error) {
	if err := readSources(); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "sallyport-bin-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the programs also run as another user
		return "", err
	}
	for _, p := range []struct {
		name string
		env  string
	}{{"sallyport", "CGO_ENABLED=1"}, {"sallyport-agent", "CGO_ENABLED=0"}, {"sallyport-verify", "CGO_ENABLED=0"}} {
		cmd := exec.Command("go", "build", "-tags", programTags, "-o", filepath.Join(dir, p.name), "./cmd/"+p.name)
		cmd.Dir, cmd.Env = Root(), append(os.Environ(), p.env)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", p.name, err, out)
		}
	}
	return dir, nil
})

// readSources reads every directory of the tree, so that go's test cache knows what the programs are made of as inputs.
func readSources() error {
	return filepath.WalkDir(Root(), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, d.Name()) {
			return filepath.SkipDir
		}
		return err
	})
}

// Binaries builds the programs once and gives their directory.
func Binaries(t testing.TB) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Cleanup removes what Binaries built; call it after m.Run.
func Cleanup() {
	if dir, err := build(); err == nil {
		os.RemoveAll(dir)
	}
}

// Start runs a demo and waits until every device is online.
func Start(t testing.TB, args ...string) *Demo {
	t.Helper()
	dir, err := os.MkdirTemp("", "sallyport-demo-")
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o711) // shells run as another user below it
	t.Cleanup(func() { os.RemoveAll(dir) })
	return StartIn(t, filepath.Join(dir, "demo"), args...)
}

// StartIn is Start in a directory that may hold a demo already.
func StartIn(t testing.TB, dir string, args ...string) *Demo {
	t.Helper()
	return StartUnder(t, nil, dir, args...)
}

// StartUnder is StartIn by way of another program, which must become the demo in the end: wrap… sallyport demo ….
func StartUnder(t testing.TB, wrap []string, dir string, args ...string) *Demo {
	t.Helper()
	d := &Demo{Bin: Binaries(t), Dir: dir, file: dir + ".ready", done: make(chan error, 1)}
	os.Remove(d.file)
	var err error
	if d.out, err = os.Create(dir + ".out"); err != nil {
		t.Fatal(err)
	}
	argv := append(append([]string{}, wrap...), filepath.Join(d.Bin, "sallyport"), "demo", "--dir", dir, "--http", "127.0.0.1:0", "--ready-file", d.file)
	argv = append(argv, args...)
	d.cmd = exec.Command(argv[0], argv[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = d.out, d.out
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	t.Cleanup(func() {
		d.Stop()
		if t.Failed() {
			t.Log(d.Output())
		}
	})
	deadline := time.Now().Add(60 * time.Second)
	for d.Reload() != nil {
		select {
		case err := <-d.done:
			d.done <- err
			t.Fatalf("the demo ended: %v\n%s", err, d.Output())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the demo is not ready after a minute\n%s", d.Output())
		}
	}
	return d
}

// Reload reads the ready-file anew: process ids change when something was started again.
func (d *Demo) Reload() error {
	raw, err := os.ReadFile(d.file)
	if err != nil {
		return err
	}
	var r Ready
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	d.Ready = r
	return nil
}

// Output is what the demo has printed, and the end of its logs.
func (d *Demo) Output() string {
	raw, _ := os.ReadFile(d.Dir + ".out")
	logs, _ := filepath.Glob(filepath.Join(d.Dir, "log", "*"))
	for _, l := range logs {
		text, _ := os.ReadFile(l)
		raw = append(raw, fmt.Sprintf("--- %s\n%s", filepath.Base(l), text[max(0, len(text)-4000):])...)
	}
	return string(raw)
}

// PID is the demo's own process.
func (d *Demo) PID() int { return d.cmd.Process.Pid }

// Stop ends the demo as Ctrl-C does.
func (d *Demo) Stop() error {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-d.done:
		d.done <- err
		d.out.Close()
		return err
	case <-time.After(40 * time.Second):
		d.cmd.Process.Kill()
		return errors.New("the demo did not end within 40 s")
	}
}

// Token gives the API token of a role.
func (d *Demo) Token(role string) string {
	for _, u := range d.Users {
		if u.Role == role {
			return u.Token
		}
	}
	return ""
}

// Result is what a command left.
type Result struct {
	Out, Err string
	Status   int
}

// Command prepares `sallyport args…` as a role.
func (d *Demo) Command(ctx context.Context, role string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(d.Bin, "sallyport"), args...)
	cmd.Env = append(os.Environ(), "SALLYPORT_GATEWAY="+d.URL, "SALLYPORT_TOKEN="+d.Token(role), "HOME="+d.Dir, "NO_COLOR=1")
	return cmd
}

// Run runs `sallyport args…` as a role, for a minute at most.
func (d *Demo) Run(t testing.TB, role string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return Finish(t, d.Command(ctx, role, args...))
}

// Verify runs `sallyport-verify args…`.
func (d *Demo) Verify(t testing.TB, args ...string) Result {
	t.Helper()
	return Finish(t, exec.Command(filepath.Join(d.Bin, "sallyport-verify"), args...))
}

// Finish runs a prepared command to its end.
func Finish(t testing.TB, cmd *exec.Cmd) Result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return Result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}
