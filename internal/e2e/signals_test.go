package e2e

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// signalsReachIt sends each to the client itself, as kill, a closing window or a supervisor does.
func signalsReachIt(t *testing.T, d *testenv.Demo) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP) // under nohup it would be ignored here, and in each client by inheritance
	defer signal.Stop(caught)
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
