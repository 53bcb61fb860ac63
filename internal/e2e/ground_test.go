package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/testenv"
)

// sized is a demo of one machine whose record has other sizes than the demo's own. data mounts something on its data
// directory, or is nil.
func sized(t *testing.T, sizes map[string]int64, data func(dir string)) *testenv.Demo {
	t.Helper()
	first := testenv.Start(t, "--devices", "1")
	first.Stop()
	file := filepath.Join(first.Dir, "demo.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	state := map[string]any{}
	if err := json.Unmarshal(raw, &state); err != nil {
		t.Fatal(err)
	}
	state["sizes"] = sizes
	if raw, err = json.Marshal(state); err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if data != nil {
		data(first.DataDir)
	}
	return testenv.StartIn(t, first.Dir, "--devices", "1")
}

// smallDisk puts a file system of a size under dir, with what lies there.
func smallDisk(t *testing.T, dir string, size int64) {
	t.Helper()
	away := dir + ".away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("mode=0700,size=%d", size)); err != nil {
		t.Fatalf("a small disk: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	os.Remove(filepath.Join(away, "recordings", "journal")) // made anew in its new size
	os.Remove(filepath.Join(away, "recordings", "ballast"))
	if err := os.CopyFS(dir, os.DirFS(away)); err != nil {
		t.Fatal(err)
	}
	keep := func(path string, d os.DirEntry, err error) error { // CopyFS gives files the rights of the umask
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	}
	if err := filepath.WalkDir(dir, keep); err != nil {
		t.Fatal(err)
	}
}

// leave fills the disk of dir until so many bytes are free. The gateway writes meanwhile.
func leave(t *testing.T, dir string, free int64) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "somebody-elses"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for try := 0; ; try++ {
		var s unix.Statfs_t
		if err := unix.Statfs(dir, &s); err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		more := int64(s.Bavail)*s.Bsize - free
		if more <= 0 {
			return
		}
		if err := unix.Fallocate(int(f.Fd()), 0, info.Size(), more); err != nil && (err != unix.ENOSPC || try == 20) {
			t.Fatal(err)
		}
	}
}

// call sends one request as a role and gives status and body.
func call(t *testing.T, d *testenv.Demo, role, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, d.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if role != "" {
		req.Header.Set("Authorization", "Bearer "+d.Token(role))
	}
	res, err := (&http.Client{Timeout: 40 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(raw)
}

// refused asks for a session by the command line and by the API, as the web does, and wants the same reason from both.
func refused(t *testing.T, d *testenv.Demo, reason string) {
	t.Helper()
	got := d.Run(t, "technician", "shell", "press-1", "--", "true")
	if got.Status != 255 || !strings.Contains(got.Err, reason) {
		t.Errorf("command line: got %+v, want 255 and %q", got, reason)
	}
	status, body := call(t, d, "technician", "POST", "/api/v1/sessions", `{"device":"press-1","pty":true,"cols":80,"rows":24}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, reason) || !strings.Contains(body, `"hint":"`) {
		t.Errorf("web: got %d %s, want 503, %q and a hint", status, body, reason)
	}
}

// readyz wants a status, and in its text the reason.
func readyz(t *testing.T, d *testenv.Demo, status int, reason string) {
	t.Helper()
	if got, body := call(t, d, "", "GET", "/readyz", ""); got != status || !strings.Contains(body, reason) {
		t.Errorf("/readyz: got %d %q, want %d and %q", got, body, status, reason)
	}
}

// row is a session as its officer sees it, once it has ended.
func row(t *testing.T, d *testenv.Demo, sid string) (r struct{ ID, State, Reason, Record string }) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		got := d.Run(t, "officer", "sessions", "show", sid, "--json")
		if err := json.Unmarshal([]byte(got.Out), &r); err == nil && r.State == "closed" {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("session %s has not ended: %+v", sid, got)
		}
	}
}

func newest(t *testing.T, d *testenv.Demo) string {
	t.Helper()
	var rows []struct{ ID string }
	got := d.Run(t, "officer", "sessions", "list", "--json")
	if err := json.Unmarshal([]byte(got.Out), &rows); err != nil || len(rows) == 0 {
		t.Fatalf("sessions list: %v %+v", err, got)
	}
	return rows[0].ID
}

// proven exports a session and has an outsider check it.
func proven(t *testing.T, d *testenv.Demo, sid string) testenv.Result {
	t.Helper()
	file := filepath.Join(t.TempDir(), "e.slyb")
	if got := d.Run(t, "officer", "sessions", "export", sid, "-o", file); got.Status != 0 {
		t.Fatalf("export: %+v", got)
	}
	got := d.Verify(t, "--log-key", d.LogKey, "--identity", d.Identities["reader"], file)
	if got.Status != 0 {
		t.Errorf("verify: %+v", got)
	}
	return got
}

func wholeLog(t *testing.T, d *testenv.Demo) {
	t.Helper()
	got := d.Verify(t, "--log-key", d.LogKey, "--log", filepath.Join(d.DataDir, "signer", "log"), "--recordings", filepath.Join(d.DataDir, "recordings"))
	if got.Status != 0 {
		t.Errorf("log and recordings: %+v", got)
	}
}

// deviceHeard waits for the reason in the log of the machine.
func deviceHeard(t *testing.T, d *testenv.Demo, reason string) {
	t.Helper()
	eventually(t, time.Minute, "the machine is told "+reason, func() bool {
		raw, _ := os.ReadFile(filepath.Join(d.Dir, "log", "press-1.log"))
		return bytes.Contains(raw, []byte("session ended")) && bytes.Contains(raw, []byte(reason))
	})
}

func eventually(t *testing.T, most time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > most {
			t.Fatalf("not within %s: %s", most, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

func works(d *testenv.Demo) bool {
	time.Sleep(400 * time.Millisecond) // a person may ask for two sessions a second for ever
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := d.Command(ctx, "technician", "shell", "press-1", "--", "echo", "works").Output()
	return err == nil && string(out) == "works\n"
}
