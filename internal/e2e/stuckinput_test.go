package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/testenv"
)

// soon is ten times the second within which an end acts.
const soon = 10 * time.Second

// stuffed is a session with 10 MB of input, of which its program reads nothing.
type stuffed struct {
	*exec.Cmd
	program int // its process id, on the device
	done    chan struct{}
}

// stuff starts script, which must not read its input, and returns when the input is stuck.
func stuff(t *testing.T, d *testenv.Demo, script string) *stuffed {
	t.Helper()
	cmd := d.Command(t.Context(), "technician", "shell", "press-1", "-T", "--", "sh", "-c",
		script+`; echo $$; while :; do sleep 0.05; done`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &stuffed{Cmd: cmd, done: make(chan struct{})}
	t.Cleanup(func() { cmd.Process.Kill(); <-s.done })
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	if s.program, _ = strconv.Atoi(strings.TrimSpace(first)); s.program == 0 {
		t.Fatalf("the program said %q, %v, want its process id", first, err)
	}
	go func() { io.Copy(io.Discard, lines); cmd.Wait(); close(s.done) }()
	s.fill(t, in.(*os.File))
	return s
}

// fill writes until nothing has been taken for a second.
func (s *stuffed) fill(t *testing.T, in *os.File) {
	t.Helper()
	const size = 10_000_000
	buf := make([]byte, 64<<10)
	for sent := 0; sent < size; {
		in.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := in.Write(buf)
		sent += n
		if n == 0 && os.IsTimeout(err) {
			return
		}
		if err != nil && !os.IsTimeout(err) {
			t.Fatal(err)
		}
	}
	t.Fatal("all of the input was taken, so this shows nothing")
}

// within waits for the end of the command line.
func (s *stuffed) within(t *testing.T, what string) {
	t.Helper()
	began := time.Now()
	select {
	case <-s.done:
		t.Logf("%s: after %s", what, time.Since(began).Round(time.Millisecond))
	case <-time.After(soon):
		t.Errorf("%s: not within %s", what, soon)
	}
}

// interrupt interrupts the command line until it has ended: the second interrupt within a second ends the session, and
// signals that come close together are one.
func (s *stuffed) interrupt() {
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			s.Process.Signal(syscall.SIGINT)
			select {
			case <-s.done:
				return
			case <-tick.C:
			}
		}
	}()
}

// ended waits until the gateway's newest session has ended.
func ended(t *testing.T, d *testenv.Demo, what string) {
	t.Helper()
	last := ""
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		got := d.Run(t, "technician", "sessions", "list", "--json", "--size", "1", "--page", "1")
		var rows []struct{ State string }
		if json.Unmarshal([]byte(got.Out), &rows) == nil && len(rows) == 1 && rows[0].State == "closed" {
			return
		}
		last = got.Out
	}
	t.Errorf("%s: the session has not ended within %s: %s", what, soon, last)
}

func TestControlPassesInputThatTheDeviceDoesNotTake(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	t.Run("a signal", func(t *testing.T) {
		s := stuff(t, d, `trap "exit 9" INT`)
		s.Process.Signal(syscall.SIGINT)
		s.within(t, "the program has the signal")
		if got := s.ProcessState; got == nil || got.ExitCode() != 9 {
			t.Errorf("got %v, want the status 9 of the program", got)
		}
	})
	t.Run("an end", func(t *testing.T) {
		s := stuff(t, d, `trap "" INT`)
		s.interrupt()
		s.within(t, "the session ends")
	})
	t.Run("a closed terminal", func(t *testing.T) {
		s := stuff(t, d, `trap "" INT`)
		s.Process.Kill()
		ended(t, d, "its terminal was closed")
	})
	t.Run("an end on a device that is stopped", func(t *testing.T) {
		s := stuff(t, d, `trap "" INT`)
		supervisor := supervisorOf(t, s.program)
		syscall.Kill(supervisor, syscall.SIGSTOP)
		defer syscall.Kill(supervisor, syscall.SIGCONT)
		s.interrupt()
		s.within(t, "the session ends")
	})
}

// TestTheTechnicianLeavesWhateverDoesNotTakeBytes: a second interrupt ends the command line, if the gateway takes nothing
// any more, and if nothing reads the output.
func TestTheTechnicianLeavesWhateverDoesNotTakeBytes(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	left := func(t *testing.T, s *stuffed) {
		t.Helper()
		s.interrupt()
		s.within(t, "the command line ends")
		if got := s.ProcessState; got == nil || got.ExitCode() != 255 {
			t.Errorf("got %v, want the status 255", got)
		}
	}
	t.Run("a gateway that is stopped", func(t *testing.T) {
		s := stuff(t, d, `trap "" INT`)
		syscall.Kill(d.GatewayPID, syscall.SIGSTOP)
		defer syscall.Kill(d.GatewayPID, syscall.SIGCONT)
		left(t, s)
	})
	t.Run("output that nothing reads", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		cmd := d.Command(t.Context(), "technician", "shell", "press-1", "-T", "--", "yes")
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		s := &stuffed{Cmd: cmd, done: make(chan struct{})}
		t.Cleanup(func() { cmd.Process.Kill(); <-s.done })
		go func() { cmd.Wait(); close(s.done) }()
		eventually(t, time.Minute, "the pipe is full", func() bool {
			n, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
			return err == nil && n > 60<<10
		})
		left(t, s)
	})
}

// supervisorOf is the supervisor of a session: the nearest process above its program that is the agent.
func supervisorOf(t *testing.T, pid int) int {
	t.Helper()
	for pid > 1 {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "(sallyport-agen") {
			return pid
		}
		after := strings.Fields(string(raw)[strings.LastIndex(string(raw), ")")+1:])
		pid, _ = strconv.Atoi(after[1])
	}
	t.Fatal("no agent is above the program")
	return 0
}

// TestAnEndPassesInputThatTheDiskDoesNotTake freezes the file system of the recordings, as a storage that hangs does.
func TestAnEndPassesInputThatTheDiskDoesNotTake(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Log("only root can freeze a disk")
		return
	}
	var disk *os.File
	d := sized(t, map[string]int64{"journal": 8 << 20, "ballast": 4 << 20, "low_water": 8 << 20}, func(dir string) {
		disk = ownDisk(t, filepath.Join(dir, "recordings"))
	})
	s := stuff(t, d, `trap "" INT`)
	thaw := freeze(t, disk)
	s.interrupt()
	began := time.Now()
	for syscall.Kill(s.program, 0) == nil {
		if time.Since(began) > soon {
			t.Fatalf("the program still runs %s after the end of its session", soon)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("the program ended after %s", time.Since(began).Round(time.Millisecond))
	thaw()
	ended(t, d, "after the disk works again")
}

// ownDisk puts an ext4 file system with the same content under dir, and gives it opened.
func ownDisk(t *testing.T, dir string) *os.File {
	t.Helper()
	image, away := dir+".img", dir+".away"
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("mv", dir, away)
	run("mkdir", "-m", "700", dir)
	run("truncate", "-s", "128M", image)
	run("mkfs.ext4", "-q", "-m", "0", image)
	run("mount", "-o", "loop", image, dir)
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	run("cp", "-a", away+"/.", dir)
	run("rm", "-rf", filepath.Join(dir, "lost+found"), filepath.Join(dir, "journal"), filepath.Join(dir, "ballast"))
	disk, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Close() })
	return disk
}

// FIFREEZE and FITHAW of linux/fs.h: _IOWR('X', 119, int) and 120.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// freeze makes all writes to a file system wait until thaw is called. It thaws by itself after a minute, and when the
// test ends: a process that waits for a frozen disk cannot be killed.
func freeze(t *testing.T, disk *os.File) (thaw func()) {
	t.Helper()
	if err := unix.IoctlSetInt(int(disk.Fd()), fiFreeze, 0); err != nil {
		t.Fatalf("freeze: %v", err)
	}
	thaw = func() { unix.IoctlSetInt(int(disk.Fd()), fiThaw, 0) }
	late := time.AfterFunc(time.Minute, thaw)
	t.Cleanup(func() { late.Stop(); thaw() })
	return thaw
}
