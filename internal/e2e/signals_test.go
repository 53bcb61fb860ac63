package e2e

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/term"

	"github.com/sallyport/sallyport/internal/testenv"
)

// signalsReachIt sends each to the client itself, as kill, a closing window or a supervisor does.
func signalsReachIt(t *testing.T, d *testenv.Demo) {
	for sig, name := range map[syscall.Signal]string{syscall.SIGINT: "INT", syscall.SIGTERM: "TERM", syscall.SIGQUIT: "QUIT", syscall.SIGHUP: "HUP"} {
		script := `trap "echo got ` + name + `; exit 9" ` + name + `; echo ready; i=0; while [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done`
		cmd := d.Command(t.Context(), "technician", "shell", "press-1", "-T", "--", "sh", "-c", script)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "ready\n" {
			t.Errorf("%s: got %q, %v, want that the command runs", name, line, err)
		}
		cmd.Process.Signal(sig)
		rest, _ := io.ReadAll(lines)
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); string(rest) != "got "+name+"\n" || got != 9 {
			t.Errorf("%s: got %q and exit %d, want that the command got it and said 9", name, rest, got)
		}
	}
}

// ignoredStaysIgnored is why one writes nohup before a command.
func ignoredStaysIgnored(t *testing.T, d *testenv.Demo) {
	client := d.Command(t.Context(), "technician", "shell", "press-1", "-T", "--", "sh", "-c", "echo ready; read line; echo got $line")
	cmd := exec.CommandContext(t.Context(), "nohup", client.Args...)
	cmd.Env = client.Env
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Errorf("got %q, %v, want that the command runs", line, err)
	}
	cmd.Process.Signal(syscall.SIGHUP)
	io.WriteString(in, "this\n")
	rest, _ := io.ReadAll(lines)
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); string(rest) != "got this\n" || got != 0 {
		t.Errorf("got %q and exit %d, want that it went on", rest, got)
	}
}

// signalsEndIt sends each to a client whose program does nothing about it. The program dies of it on the device, and the
// client says so as a shell does, with 128 and the signal's number.
func signalsEndIt(t *testing.T, d *testenv.Demo) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP} {
		cmd := d.Command(t.Context(), "technician", "shell", "press-1", "-T", "--",
			"sh", "-c", "ulimit -c 0; echo $$; exec sleep 300")
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		program := programID(t, bufio.NewReader(out))
		cmd.Process.Signal(sig)
		waitFor(t, cmd)
		if got, want := cmd.ProcessState.ExitCode(), 128+int(sig); got != want {
			t.Errorf("%s: got exit %d, want %d", sig, got, want)
		}
		gone(t, program)
	}
}

// signalsEndATerminal sends them to a client that has a terminal. Its keys go to the device, so a signal is for the
// client itself: the session ends with its programs, and the client leaves the terminal as it found it.
func signalsEndATerminal(t *testing.T, d *testenv.Demo) {
	state := func(tty *os.File) term.State {
		t.Helper()
		s, err := term.GetState(int(tty.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		return *s
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		cmd, tty, out := open(t, d)
		before := state(tty)
		io.WriteString(tty, "trap '' INT HUP TERM; echo 'process' $$; echo rea''dy; sleep 300\n")
		out.wait(t, "ready")
		_, text, _ := strings.Cut(out.text(), "process ")
		program := programID(t, bufio.NewReader(strings.NewReader(text)))
		if state(tty) == before {
			t.Errorf("%s: the client did not set its terminal up", sig)
		}
		cmd.Process.Signal(sig)
		waitFor(t, cmd)
		if got := cmd.ProcessState.ExitCode(); got != 255 || state(tty) != before {
			t.Errorf("%s: got exit %d and the terminal as before %v, want 255 and true", sig, got,
				state(tty) == before)
		}
		gone(t, program)
	}
}

// waitFor waits for a command to end, and kills it if it has not heard its signal in a minute.
func waitFor(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	deaf := time.AfterFunc(time.Minute, func() {
		t.Errorf("%q did not end", cmd.Args)
		cmd.Process.Kill()
	})
	defer deaf.Stop()
	cmd.Wait()
}

// programID reads the process id that a program on the device has printed: the devices of a demo are on this machine.
func programID(t *testing.T, out *bufio.Reader) int {
	t.Helper()
	line, err := out.ReadString('\n')
	id, err2 := strconv.Atoi(strings.TrimSpace(line))
	if err := errors.Join(err, err2, syscall.Kill(id, 0)); err != nil {
		t.Fatalf("got %q, %v, want the id of a process that runs", line, err)
	}
	return id
}

// gone waits until a process has ended.
func gone(t *testing.T, id int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); syscall.Kill(id, 0) == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d is still there", id)
		}
	}
}
