package e2e

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // holds the database against its gateway

	"github.com/sallyport/sallyport/internal/testenv"
)

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
	return lockDatabase(t, filepath.Join(d.DataDir, "gateway.db"))
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
	eventually(t, time.Minute, "the other session prints", func() bool { return heard.Load() > 3 })

	free := hold(t, d)
	began := time.Now()
	out.wait(t, "what you type waits")
	t.Logf("input frozen after %s", time.Since(began))
	io.WriteString(tty, "touch ty''ped; echo arr''ived\n")
	before := heard.Load()
	refused(t, d, "the gateway's database does not answer, so no session can start")
	readyz(t, d, http.StatusServiceUnavailable, "database")
	eventually(t, time.Minute, "the other session goes on", func() bool { return heard.Load() > before+3 })
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
	eventually(t, time.Minute, "sessions start again", func() bool { return works(d) })
	wholeLog(t, d)
}
