package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// standIn is the rehearsal's systemctl with one unit, whose program notes its number and waits.
type standIn struct {
	t   *testing.T
	dir string
}

func newStandIn(t *testing.T, restart string) *standIn {
	t.Helper()
	s := &standIn{t, t.TempDir()}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	program, units := filepath.Join(s.dir, "program"), filepath.Join(s.dir, "etc", "systemd", "system")
	if err := os.MkdirAll(units, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		program: fmt.Sprintf("#!/bin/sh\necho $$ >>%s/pids\nexec sleep 300\n", s.dir),
		filepath.Join(units, "work.service"): fmt.Sprintf("[Service]\nUser=%s\nExecStart=%s\nRestartSec=%s\n",
			me.Username, program, restart),
	} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.run("stop", "work") })
	return s
}

// run gives the exit status of a command, which must say nothing.
func (s *standIn) run(args ...string) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(testenv.Root(), "deploy", "operations", "systemctl"), args...)
	cmd.Env = append(os.Environ(), "REHEARSAL_ROOT="+s.dir)
	if out, _ := cmd.CombinedOutput(); ctx.Err() != nil || len(out) > 0 {
		s.t.Errorf("systemctl %s: %v, %s", strings.Join(args, " "), ctx.Err(), out)
	}
	return cmd.ProcessState.ExitCode()
}

func (s *standIn) wants(status int, args ...string) {
	s.t.Helper()
	if got := s.run(args...); got != status {
		s.t.Errorf("systemctl %s: exit status %d, want %d", strings.Join(args, " "), got, status)
	}
}

// pids are the numbers of all runs of the program.
func (s *standIn) pids() (all []int) {
	raw, _ := os.ReadFile(filepath.Join(s.dir, "pids"))
	for _, f := range strings.Fields(string(raw)) {
		n, _ := strconv.Atoi(f)
		all = append(all, n)
	}
	return all
}

func (s *standIn) alive() (alive []int) {
	for _, pid := range s.pids() {
		if syscall.Kill(pid, 0) == nil {
			alive = append(alive, pid)
		}
	}
	return alive
}

func (s *standIn) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not in time: %s", what)
		}
	}
}

// stopped checks that nothing of the unit is left and that its log holds no complaint.
func (s *standIn) stopped() {
	s.t.Helper()
	if left := s.alive(); len(left) > 0 {
		s.t.Errorf("after the stop these run: %v", left)
	}
	s.wants(3, "is-active", "work")
	log, _ := os.ReadFile(filepath.Join(s.dir, "var", "log", "units", "work"))
	if strings.Contains(string(log), "No such") {
		s.t.Errorf("the unit's log: %s", log)
	}
}

// TestTheRehearsalStopsAUnitBetweenTwoRuns: a unit whose program was killed waits for RestartSec and has no process.
func TestTheRehearsalStopsAUnitBetweenTwoRuns(t *testing.T) {
	s := newStandIn(t, "300")
	s.wants(0, "start", "work")
	s.eventually("the program runs", func() bool { return len(s.alive()) == 1 })
	s.wants(0, "kill", "--signal=KILL", "work")
	s.eventually("the program is gone", func() bool { return len(s.alive()) == 0 })
	s.wants(0, "is-active", "work")
	s.wants(0, "kill", "--signal=KILL", "work")
	s.wants(0, "stop", "work")
	s.stopped()
	s.wants(0, "stop", "work")
	if n := len(s.pids()); n != 1 {
		t.Errorf("the program ran %d times, want once", n)
	}
}

// TestTheRehearsalStartsAKilledUnitAgain, and a stop at any moment of a start leaves no process.
func TestTheRehearsalStartsAKilledUnitAgain(t *testing.T) {
	s := newStandIn(t, "0.1")
	s.wants(0, "start", "work")
	s.eventually("the program runs", func() bool { return len(s.alive()) == 1 })
	s.wants(0, "kill", "work")
	s.eventually("it runs again", func() bool { return len(s.pids()) == 2 && len(s.alive()) == 1 })
	s.wants(0, "stop", "work")
	s.stopped()
	for range 20 {
		s.wants(0, "start", "work")
		s.wants(0, "stop", "work")
		s.stopped()
	}
}
