package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestTheLogNamesWhatASessionLeftRunning: a supervisor is killed, and its session's record cannot tell what it left. The
// log does, as the device's word, in the session's page and in the bundle.
func TestTheLogNamesWhatASessionLeftRunning(t *testing.T) {
	d := demo(t)
	cmd := d.Command(t.Context(), "technician", "shell", "press-1", "-T", "--", "sh", "-c",
		"setsid sleep 987 & echo $PPID $!; exec sleep 986")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var supervisor, left int
	line, err := bufio.NewReader(out).ReadString('\n')
	if n, _ := fmt.Sscan(line, &supervisor, &left); n != 2 {
		t.Fatalf("got %q, %v, want two process ids", line, err)
	}
	isSleep(t, left)
	syscall.Kill(supervisor, syscall.SIGKILL)
	cmd.Wait()

	s := waitForSurvivors(t, d)
	if len(s.Survivors) != 1 || !strings.Contains(s.Survivors[0], fmt.Sprintf("sleep (%d)", left)) {
		t.Errorf("the session's page says %q, want the sleep with the process id %d", s.Survivors, left)
	}
	if got := d.Run(t, "technician", "sessions", "show", s.ID.String()); !strings.Contains(got.Out, "the device says: its supervisor died") {
		t.Errorf("sessions show: got %+v", got)
	}
	bundle := filepath.Join(t.TempDir(), "bundle")
	if got := d.Run(t, "officer", "sessions", "export", s.ID.String(), "-o", bundle); got.Status != 0 {
		t.Fatalf("export: got %+v", got)
	}
	got := d.Verify(t, "--log-key", d.LogKey, bundle)
	if got.Status != 0 || !strings.Contains(got.Out, "survivors") {
		t.Errorf("verify: got %+v, want a bundle that holds and has the event", got)
	}
}

// isSleep waits until a process that a shell has begun is the program that it was begun for.
func isSleep(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if string(comm) == "sleep\n" {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("process %d is %q, %v, want sleep", pid, comm, err)
		}
	}
}

// waitForSurvivors gives the newest session once the device has told what it left.
func waitForSurvivors(t *testing.T, d *testenv.Demo) (s apitype.SessionDetail) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		got := d.Run(t, "technician", "sessions", "show", "last", "--json")
		if err := json.Unmarshal([]byte(got.Out), &s); err != nil {
			t.Fatalf("sessions show: got %+v, %v", got, err)
		}
		if len(s.Survivors) > 0 {
			break
		}
	}
	return s
}
