package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// GuardCommand is the hidden command that Front starts; its fd 3 is a pipe whose other end Front holds.
const GuardCommand = "demo-guard"

const guardPipe = 3

// interrupted is a guard's status when it was asked to end while it still did something.
const interrupted = 130

// stopTime is how long the guard may take to end everything.
const stopTime = 20 * time.Second

// Front runs a guard with args and stays beside it. However the front ends, also by kill -9, the kernel closes its end of
// the pipe and the guard ends everything; should the guard die instead, the front ends what it left, because orphans of
// the guard become the front's children.
func Front(args []string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	hold, hers, err := lifeline()
	if err != nil {
		return err
	}
	defer hold.Close()
	guard := exec.Command("/proc/self/exe", append([]string{GuardCommand}, args...)...)
	guard.ExtraFiles = []*os.File{hers}
	guard.Stdout, guard.Stderr = os.Stdout, os.Stderr
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := guard.Start(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	hers.Close()
	done := make(chan error, 1)
	go func() { done <- guard.Wait() }()
	defer killDescendants(os.Getpid())
	select {
	case err := <-done:
		return exited(err)
	case <-signals:
	}
	hold.Close()
	select {
	case err := <-done:
		if err := exited(err); err != ExitStatus(interrupted) {
			return err
		}
		return nil // asked to end, it ended
	case <-time.After(stopTime):
		return errors.New("demo: the guard did not end; everything it started was killed")
	}
}

// ExitStatus is a guard's own status, which the front passes on. The guard has said why.
type ExitStatus int

func (e ExitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func exited(err error) error {
	var e *exec.ExitError
	if errors.As(err, &e) {
		return ExitStatus(max(1, e.ExitCode()))
	}
	return err
}

// lifeline is a pipe that nobody writes to: reading its end returns when the other end is gone.
func lifeline() (hold, hers *os.File, err error) {
	hers, hold, err = os.Pipe()
	return hold, hers, err
}

// held gives a context that ends when the front is gone.
func held(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	f := os.NewFile(guardPipe, "front")
	go func() {
		io.Copy(io.Discard, f)
		cancel()
	}()
	return ctx
}
