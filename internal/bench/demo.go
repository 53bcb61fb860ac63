package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/client"
)

// demo is a gateway with its machines: all of it real processes.
type demo struct {
	program string
	stats   string
	url     string
	token   string // the technician's
	admin   string // the administrator's
	gateway int    // process id
	devices map[string]int
}

// demo starts the demo of a variant, once in a run.
func (b *bench) demo(variant string) (*demo, error) {
	if d := b.demos[variant]; d != nil {
		return d, nil
	}
	program, err := b.program(variant)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "demo-"+variant)
	d := &demo{program: program, stats: dir + ".stats", devices: map[string]int{}}
	ready := dir + ".ready"
	cmd := exec.Command(program, "demo", "--dir", dir, "--http", "127.0.0.1:0", "--ready-file", ready)
	cmd.Env = append(os.Environ(), "SALLYPORT_BENCH_STATS="+d.stats)
	if cmd.Stderr, err = os.Create(dir + ".out"); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.stops = append(b.stops, func() { stop(cmd, 30*time.Second) })
	if err := within(time.Minute, func() error { return d.read(ready) }); err != nil {
		out, _ := os.ReadFile(dir + ".out")
		return nil, fmt.Errorf("demo %s: %w\n%s", variant, err, out)
	}
	b.demos[variant] = d
	return d, nil
}

func (d *demo) read(ready string) error {
	raw, err := os.ReadFile(ready)
	if err != nil {
		return err
	}
	var r struct {
		URL     string                         `json:"url"`
		Gateway int                            `json:"gateway_pid"`
		Users   []struct{ Role, Token string } `json:"users"`
		Devices []struct {
			Name string
			PID  int
		} `json:"devices"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	d.url, d.gateway = r.URL, r.Gateway
	for _, u := range r.Users {
		switch u.Role {
		case "technician":
			d.token = u.Token
		case "admin":
			d.admin = u.Token
		}
	}
	for _, m := range r.Devices {
		d.devices[m.Name] = m.PID
	}
	return nil
}

// shell prepares `sallyport shell press-1 …`.
func (d *demo) shell(args ...string) *exec.Cmd {
	cmd := exec.Command(d.program, append([]string{"shell", "press-1"}, args...)...)
	cmd.Env = append(os.Environ(), "SALLYPORT_GATEWAY="+d.url, "SALLYPORT_TOKEN="+d.token, "NO_COLOR=1", "TERM=xterm")
	return cmd
}

func (d *demo) client() (*client.Client, error) {
	return client.New(client.Options{Gateway: d.url, Bearer: d.token})
}

// within tries until f succeeds or the time is over.
func within(d time.Duration, f func() error) error {
	deadline := time.Now().Add(d)
	for {
		err := f()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stop ends a program, hard where it does not follow in time.
func stop(cmd *exec.Cmd, patience time.Duration) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // who is gone already is what is wanted
	hard := killAfter(cmd, patience)
	cmd.Wait()
	hard.Stop()
}

// killAfter is how a program ends that does not follow or never comes to its end; who waits for it sees what became of it.
func killAfter(cmd *exec.Cmd, patience time.Duration) *time.Timer {
	return time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
}

// usage is what a gateway says about its memory, in bytes.
type usage struct {
	Goroutines int
	InUse      int `json:"in_use"` // heap and stacks, garbage with it
	Least      int // the same after a collection
	Stacks     int
	RSS        int // as the kernel sees it, before the collection
}

// memory asks a process that was built by overlay.
func memory(pid int, stats string) (usage, error) {
	u := usage{RSS: rollup(pid, "Rss")}
	os.Remove(stats)
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		return u, err
	}
	err := within(20*time.Second, func() error {
		raw, err := os.ReadFile(stats)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &u)
	})
	return u, err
}

// rollup reads a line of /proc/PID/smaps_rollup, in bytes.
func rollup(pid int, key string) int {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key+":" {
			n, _ := strconv.Atoi(f[1])
			return n << 10
		}
	}
	return 0
}

// cpu gives the processor time that a process has used.
func cpu(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, errors.New("the kernel's account of a process is not as expected")
	}
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2) // USER_HZ is 100 on every Linux
}
