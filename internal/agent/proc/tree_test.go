package proc

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A program has ended and its number is somebody else's now: a signal for the one must not reach the other.
func TestASignalReachesOnlyWhatTheSessionStarted(t *testing.T) {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) // so that the stranger is nobody's descendant here
	out, err := exec.Command("sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Kill(stranger, unix.SIGKILL)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if p, ok := readProcess(stranger); ok && p.pgrp == stranger && p.ppid != os.Getpid() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the stranger did not start")
		}
	}
	tree, err := NewTree("test-signal")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.End(5 * time.Second)
	r := &Running{tree: tree, cmd: &exec.Cmd{Process: &os.Process{Pid: stranger}}}
	if err := r.Signal("KILL"); err == nil {
		t.Error("a signal to a program that has ended: got no error")
	}
	time.Sleep(50 * time.Millisecond)
	if p, ok := readProcess(stranger); !ok || p.state == 'Z' {
		t.Error("a process that the session did not start was killed")
	}
}

// What a technician starts has nothing of the shield that the service gave the agent, and this process has it back
// after.
func TestAProgramIsNotShieldedAndItsSupervisorStaysSo(t *testing.T) {
	for was, want := range map[string]string{"-500\n": "0", "300\n": "300\n"} { // what the system gives up first stays so
		file := filepath.Join(t.TempDir(), "score")
		if err := os.WriteFile(file, []byte(was), 0o600); err != nil {
			t.Fatal(err)
		}
		defer func(old string) { score = old }(score)
		score = file
		restore := ordinary()
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("started under %q: got %q, %v, want %q", was, got, err, want)
		}
		restore()
		if got, err := os.ReadFile(file); err != nil || string(got) != was {
			t.Errorf("afterwards: got %q, %v, want %q", got, err, was)
		}
	}
}

func TestAProgramHasAnOrdinaryMaskWhateverTheServiceHas(t *testing.T) {
	tree, err := NewTree("test-mask")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.End(5 * time.Second)
	defer unix.Umask(unix.Umask(0o077))
	var out strings.Builder
	cmd := &exec.Cmd{Path: "/bin/sh", Args: []string{"sh", "-c", "umask"}, Stdout: &out, SysProcAttr: &unix.SysProcAttr{Setsid: true}}
	if cmd, err = tree.start(cmd); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if got := strings.TrimSpace(out.String()); got != "0022" {
		t.Errorf("mask of a program: got %s, want 0022", got)
	}
	if got := unix.Umask(0o077); got != 0o077 {
		t.Errorf("mask of this process afterwards: got %#o, want 077", got)
	}
}

// A kernel before 5.7, or a container's filter, does not let a program begin in another control group.
func TestAProgramStartsAlsoWhereItsGroupCannotTakeIt(t *testing.T) {
	tree := &Tree{ours: map[int]bool{}, group: lockCgroup(t.TempDir())}
	cmd := &exec.Cmd{Path: "/bin/true", Args: []string{"true"}, SysProcAttr: &unix.SysProcAttr{Setsid: true}}
	started, err := tree.start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := started.Wait(); err != nil || !tree.ours[started.Process.Pid] {
		t.Errorf("got %v, known to the tree: %v", err, tree.ours)
	}
	if _, err := tree.start(&exec.Cmd{Path: "/nonexistent", SysProcAttr: &unix.SysProcAttr{}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want the reason of the kernel", err)
	}
}
