package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program that is started again when it dies.
type process struct {
	name    string
	argv    []string
	env     []string
	log     string
	started func(pid int)

	mu  sync.Mutex // guards pid
	pid int
}

// run keeps the program running until ctx ends, then stops it.
func (p *process) run(ctx context.Context, fail func(error)) {
	pause := 200 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := p.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > 10*time.Second {
			pause = 200 * time.Millisecond
		}
		fail(fmt.Errorf("%s ended (%v); starting it again, its log is %s", p.name, err, p.log))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, 10*time.Second)
	}
}

func (p *process) once(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	p.set(cmd.Process.Pid)
	if p.started != nil {
		p.started(cmd.Process.Pid)
	}
	err = cmd.Wait()
	p.set(0)
	return err
}

func (p *process) set(pid int) {
	p.mu.Lock()
	p.pid = pid
	p.mu.Unlock()
}

// PID is 0 while the program does not run.
func (p *process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// children gives the processes whose parent is pid, with their state.
func children(pid int) map[int]byte {
	out := map[int]byte{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		text := string(raw)
		f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // the name may hold anything
		if len(f) < 2 || f[1] != strconv.Itoa(pid) {
			continue
		}
		if id, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			out[id] = f[0][0]
		}
	}
	return out
}

// killDescendants kills everything below pid, again and again until nothing is left: what is born meanwhile becomes a
// child of this subreaper. Bounded, because a process in an uninterruptible wait cannot be ended.
func killDescendants(pid int) {
	for range 50 {
		below := descendants(pid)
		if len(below) == 0 {
			return
		}
		for _, d := range below {
			unix.Kill(d, unix.SIGKILL)
		}
		reap()
		time.Sleep(20 * time.Millisecond)
	}
}

func descendants(pid int) []int {
	var out []int
	for c := range children(pid) {
		out = append(out, c)
		out = append(out, descendants(c)...)
	}
	return out
}

// reap takes the exit status of every child that has ended.
func reap() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if pid <= 0 || err != nil {
			return
		}
	}
}

// reapOrphans takes the status of ended children that are none of ours: supervisors whose agent died.
func reapOrphans(ctx context.Context, ours func() map[int]bool) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		known := ours()
		for pid, state := range children(os.Getpid()) {
			if state == 'Z' && !known[pid] {
				unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
	}
}
