package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // holds the database against its gateway
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

// leave fills the disk of dir until so many bytes are free.
func leave(t *testing.T, dir string, free int64) {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "somebody-elses"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	if more := int64(s.Bavail)*s.Bsize - free; more > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, info.Size(), more); err != nil {
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
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
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
	eventually(t, 10*time.Second, "the machine is told "+reason, func() bool {
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
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := d.Command(ctx, "technician", "shell", "press-1", "--", "echo", "works").Output()
	return err == nil && string(out) == "works\n"
}

func TestAFullDiskRefusesThenEndsAndComesBack(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("only root can mount a small disk; the recorder's own tests fill one without")
		return
	}
	d := sized(t, map[string]int64{"journal": 8 << 20, "ballast": 4 << 20, "low_water": 24 << 20}, func(dir string) { smallDisk(t, dir, 96<<20) })
	cmd, tty, out := open(t, d)
	io.WriteString(tty, "echo rea''dy\n")
	out.wait(t, "ready")
	sid := newest(t, d)

	leave(t, d.DataDir, 16<<20)
	refused(t, d, "less than the 24 MiB that must stay free, so no new session starts")
	readyz(t, d, http.StatusServiceUnavailable, "must stay free")
	io.WriteString(tty, "echo goes''on\n")
	out.wait(t, "goeson")

	leave(t, d.DataDir, 0)
	fillFromInside(tty, cmd)
	out.wait(t, "the session has ended: the disk that keeps the recordings is full")
	if got := cmd.ProcessState.ExitCode(); got != 255 {
		t.Errorf("the technician gets status %d, want 255", got)
	}
	deviceHeard(t, d, "recorder failed")
	if got := row(t, d, sid); got.Reason != "recorder failed" || got.Record != "complete" {
		t.Errorf("the officer sees %+v, want a complete record that ended because the recorder failed", got)
	}
	refused(t, d, "the disk that keeps the recordings is full, so no new session starts")
	if got := d.Run(t, "officer", "sessions", "replay", sid, "--transcript"); got.Status != 0 || !strings.Contains(got.Out, "goeson") {
		t.Errorf("replay on a full disk: %+v", got)
	}
	if got := proven(t, d, sid); strings.Contains(got.Out, " cut") {
		t.Errorf("the record has no close: %s", got.Out)
	}

	os.Remove(filepath.Join(d.DataDir, "somebody-elses"))
	took := eventually(t, 50*time.Second, "sessions start again", func() bool { return works(d) })
	t.Logf("back %s after space was freed", took)
	readyz(t, d, http.StatusOK, "ready")
	wholeLog(t, d)
}

// fillFromInside types until the session has ended.
func fillFromInside(tty *os.File, cmd *exec.Cmd) {
	stop := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer stop.Stop()
	go io.WriteString(tty, "head -c 20000000 /dev/urandom | base64\n")
	cmd.Wait()
}

func TestAFailedSyncStopsAllRecording(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	cmd, tty, out := open(t, d)
	dir := openDir(t)
	io.WriteString(tty, "cd "+dir+"; echo rea''dy\n")
	out.wait(t, "ready")
	sid := newest(t, d)
	eio := testenv.Attach(t, d.GatewayPID, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-P", filepath.Join(d.DataDir, "recordings", "journal"))
	io.WriteString(tty, "touch t''yped\n")
	began := time.Now()
	stop := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	cmd.Wait()
	stop.Stop()
	t.Logf("ended %s after the failed sync, the technician's program included", time.Since(began))
	eio.Stop()
	out.wait(t, "the session has ended: the disk that keeps the recordings failed")
	if got := cmd.ProcessState.ExitCode(); got != 255 {
		t.Errorf("the technician gets status %d, want 255", got)
	}
	deviceHeard(t, d, "recorder failed")
	if got := row(t, d, sid); got.Reason != "recorder failed" || got.Record != "cut" {
		t.Errorf("the officer sees %+v", got)
	}
	refused(t, d, "the disk that keeps the recordings failed") // the disk works again; what it lost meanwhile nobody knows
	readyz(t, d, http.StatusServiceUnavailable, "the disk that keeps the recordings failed")
	if got := d.Run(t, "officer", "sessions", "list"); got.Status != 0 {
		t.Errorf("listing: %+v", got)
	}

	syscall.Kill(d.GatewayPID, syscall.SIGTERM) // whoever runs it starts it again
	took := eventually(t, 60*time.Second, "sessions start again", func() bool { return works(d) })
	t.Logf("back %s after the gateway was started again", took)
	if _, err := os.Stat(filepath.Join(dir, "typed")); err == nil {
		t.Error("what could not be recorded reached the machine")
	}
	if got := proven(t, d, sid); !strings.Contains(got.Out, "cut") {
		t.Errorf("a record that a failed sync ended: %s", got.Out)
	}
	wholeLog(t, d)
}

// hold takes the database away from its gateway until free.
func hold(t *testing.T, d *testenv.Demo) (free func()) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(d.DataDir, "gateway.db")+"?_txlock=exclusive&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	free = sync.OnceFunc(func() { tx.Rollback(); db.Close() })
	t.Cleanup(free)
	return free
}

func TestALockedDatabaseFreezesThenEndsAndComesBack(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	dir := openDir(t)
	cmd, tty, out := open(t, d)
	io.WriteString(tty, "cd "+dir+"; echo rea''dy\n")
	out.wait(t, "ready")
	sid := newest(t, d)
	ticks := d.Command(context.Background(), "technician", "shell", "press-1", "--", "sh", "-c", "while :; do echo tick; sleep .1; done")
	var heard atomic.Int64
	ticks.Stdout = writerFunc(func(p []byte) { heard.Add(int64(bytes.Count(p, []byte("\n")))) })
	if err := ticks.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ticks.Process.Kill() })
	eventually(t, 10*time.Second, "the other session prints", func() bool { return heard.Load() > 3 })

	free := hold(t, d)
	began := time.Now()
	out.wait(t, "what you type waits")
	t.Logf("input frozen after %s", time.Since(began))
	io.WriteString(tty, "touch ty''ped; echo arr''ived\n")
	before := heard.Load()
	refused(t, d, "the gateway's database does not answer, so no session can start")
	readyz(t, d, http.StatusServiceUnavailable, "database")
	eventually(t, 10*time.Second, "the other session goes on", func() bool { return heard.Load() > before+3 })
	if _, err := os.Stat(filepath.Join(dir, "typed")); err == nil {
		t.Error("what was typed reached the machine while the database was away")
	}
	free()
	began = time.Now()
	out.wait(t, "arrived")
	t.Logf("what was typed arrived %s after the database was free", time.Since(began))
	if !works(d) {
		t.Error("no new session after the database is free")
	}

	free = hold(t, d)
	began = time.Now()
	stop := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill(); ticks.Process.Kill() })
	cmd.Wait()
	ticks.Wait()
	stop.Stop()
	t.Logf("both sessions ended %s after the database was locked", time.Since(began))
	out.wait(t, "the gateway's database did not answer for 30s")
	deviceHeard(t, d, "database failed")
	free()
	if got := row(t, d, sid); got.Reason != "database failed" || got.Record != "complete" {
		t.Errorf("the officer sees %+v, want what ended while the database was away", got)
	}
	proven(t, d, sid)
	eventually(t, 30*time.Second, "sessions start again", func() bool { return works(d) })
	wholeLog(t, d)
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// flooding is a session that prints without end.
type flooding struct {
	cmd   *exec.Cmd
	bytes atomic.Int64
	burst time.Duration // until the first 64 MiB were here
	took  time.Duration
	errs  bytes.Buffer
}

const mib = 1 << 20

func (f *flooding) run(began time.Time) {
	count := writerFunc(func(p []byte) {
		if n := f.bytes.Add(int64(len(p))); n >= 64*mib && f.burst == 0 {
			f.burst = time.Since(began)
		}
	})
	f.cmd.Stdout, f.cmd.Stderr = count, &f.errs
	f.cmd.Run()
	f.took = time.Since(began)
}

func TestAFloodHasItsBudgetAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	d := sized(t, map[string]int64{"per_session": 70 * mib}, nil)
	_, tty, out := open(t, d, "--", "sh", "-c", "stty raw -echo; echo rea''dy; exec cat")
	out.wait(t, "ready")
	t.Logf("echo on a quiet gateway: %s", echoTimes(t, tty, out, func(n int) bool { return n < 50 }))

	floods := []*flooding{
		{cmd: d.Command(context.Background(), "technician", "shell", "press-1", "--", "cat", "/dev/zero")},
		{cmd: d.Command(context.Background(), "technician", "shell", "-t", "press-1", "--", "cat", "/dev/zero")},
	}
	var all sync.WaitGroup
	running := atomic.Int64{}
	for _, f := range floods {
		running.Add(1)
		all.Go(func() { f.run(time.Now()); running.Add(-1) })
	}
	stop := time.AfterFunc(2*time.Minute, func() {
		for _, f := range floods {
			f.cmd.Process.Kill()
		}
	})
	t.Logf("echo beside two floods: %s", echoTimes(t, tty, out, func(int) bool { return running.Load() > 0 }))
	all.Wait()
	stop.Stop()
	for i, f := range floods {
		kind := []string{"command", "terminal"}[i]
		n := f.bytes.Load()
		t.Logf("%s: 64 MiB in %s, %d bytes in %s", kind, f.burst, n, f.took)
		if n < 64*mib || n > 70*mib {
			t.Errorf("%s: got %d bytes, want between 64 and 70 MiB", kind, n)
		}
		if least := time.Duration(float64(n-64*mib)/mib*float64(time.Second)) - 500*time.Millisecond; f.took < least {
			t.Errorf("%s: got %d bytes in %s, want 64 MiB and 1 MiB/s: at least %s", kind, n, f.took, least)
		}
		if want := "this session has recorded 70 MiB, the most that one session may"; !strings.Contains(f.errs.String(), want) || f.cmd.ProcessState.ExitCode() != 255 {
			t.Errorf("%s: got status %d and %q, want 255 and %q", kind, f.cmd.ProcessState.ExitCode(), f.errs.String(), want)
		}
	}
	deviceHeard(t, d, "recorded too much")
	var rows []struct{ ID, Reason, Record string }
	if err := json.Unmarshal([]byte(d.Run(t, "officer", "sessions", "list", "--json").Out), &rows); err != nil || len(rows) < 3 {
		t.Fatalf("sessions list: %v %v", err, rows)
	}
	for _, r := range rows[:2] {
		if r.Reason != "recorded too much" || r.Record != "complete" {
			t.Errorf("the officer sees %+v, want a complete record that was too much", r)
		}
	}
	io.WriteString(tty, "still")
	out.wait(t, "still")
}

// echoTimes sends one character at a time, waits for its echo, and says how long that took. Ten times the promised 100 ms
// is the most for the middle one.
func echoTimes(t *testing.T, tty *os.File, out *screen, more func(n int) bool) string {
	t.Helper()
	var took []time.Duration
	for n := 0; more(n); n++ {
		mark := "<" + strconv.Itoa(n) + ":" + strconv.FormatInt(time.Now().UnixNano(), 36) + ">"
		began := time.Now()
		io.WriteString(tty, mark)
		out.wait(t, mark)
		took = append(took, time.Since(began))
		time.Sleep(10 * time.Millisecond)
	}
	slices.Sort(took)
	p := func(part float64) time.Duration {
		return took[int(float64(len(took)-1)*part)].Round(100 * time.Microsecond)
	}
	if p(0.5) > time.Second {
		t.Errorf("the middle echo took %s, want about 100 ms at most", p(0.5))
	}
	return fmt.Sprintf("%d keys, median %s, 95 %% %s, longest %s", len(took), p(0.5), p(0.95), p(1))
}
