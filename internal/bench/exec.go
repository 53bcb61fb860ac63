package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// execs sends a large text to a command without a terminal, and reads one from it, in turns.
func execs(b *bench) ([]row, error) {
	s, err := b.openssh()
	if err != nil {
		return nil, err
	}
	d, err := b.demo(strict)
	if err != nil {
		return nil, err
	}
	text := logText(floodBytes)
	path := filepath.Join(b.dir, "exec.txt")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, err
	}
	ssh := func(argv ...string) *exec.Cmd { return s.plain(quoted(argv)) }
	ours := func(argv ...string) *exec.Cmd { return d.shell(append([]string{"-T", "--"}, argv...)...) }
	var in, out [2][]float64
	for range b.rounds(6) {
		for i, side := range []func(...string) *exec.Cmd{ssh, ours} {
			fed, err := feed(side("sh", "-c", "echo READY; cat >/dev/null; echo DONE"), text)
			if err != nil {
				return nil, fmt.Errorf("side %d: %w", i, err)
			}
			read, err := flood(side("cat", path))
			if err != nil {
				return nil, fmt.Errorf("side %d: %w", i, err)
			}
			in[i], out[i] = append(in[i], fed), append(out[i], read)
		}
	}
	line := func(what string, speed [2][]float64) row {
		ref, got := median(speed[0]), median(speed[1])
		return row{what, ">= 0.5x `ssh -J`", fmt.Sprintf("%.0f MB/s", got), fmt.Sprintf("`ssh -J` %.0f MB/s", ref), ratio(got, ref),
			met(got >= 0.5*ref)}
	}
	return []row{
		line("Command without a terminal, its standard input, strict, 64 MiB", in),
		line("Command without a terminal, its output, strict, 64 MiB", out),
	}, nil
}

// feed gives a command its input once it says READY, and gives the MB/s until it says DONE.
func feed(cmd *exec.Cmd, text []byte) (float64, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	hard := killAfter(cmd, 2*time.Minute)
	defer hard.Stop()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "READY\n" {
		return 0, fmt.Errorf("%v: got %q, %v", cmd.Args, line, err)
	}
	began := time.Now()
	go func() {
		_, _ = io.Copy(in, bytes.NewReader(text)) // what did not arrive is missed below
		in.Close()
	}()
	if line, err := lines.ReadString('\n'); line != "DONE\n" {
		return 0, fmt.Errorf("%v: got %q, %v", cmd.Args, line, err)
	}
	return float64(len(text)) / 1e6 / time.Since(began).Seconds(), nil
}
