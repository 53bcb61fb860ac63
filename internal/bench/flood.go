package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const floodBytes = 64 << 20

// floods sends a large text through a terminal, in turns.
func floods(b *bench) ([]row, error) {
	sides, err := b.sides()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(b.dir, "flood.txt")
	if err := os.WriteFile(path, logText(floodBytes), 0o644); err != nil {
		return nil, err
	}
	var speed [allSides][]float64
	for range b.rounds(8) {
		for i, side := range sides {
			mbs, err := flood(side("sh", "-c", "stty raw; cat "+path))
			if err != nil {
				return nil, fmt.Errorf("side %d: %w", i, err)
			}
			speed[i] = append(speed[i], mbs)
		}
		if err := b.disk.sync(10); err != nil {
			return nil, err
		}
	}
	ssh, base, rec := median(speed[sideSSH]), median(speed[sideUnrecorded]), median(speed[sideStrict])
	mbs := func(v float64) string { return fmt.Sprintf("%.0f MB/s", v) }
	return []row{
		{"`cat` flood through a PTY, strict, budget lifted", ">= 1.0x unrecorded", mbs(rec), "unrecorded " + mbs(base), ratio(rec, base), met(rec >= base)},
		{"the same beside OpenSSH", ">= 1.0x `ssh -J`", mbs(rec), "`ssh -J` " + mbs(ssh), ratio(rec, ssh), met(rec >= ssh)},
	}, nil
}

// flood runs a client and gives the MB/s between its first byte and its last.
func flood(cmd *exec.Cmd) (float64, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	in, err := cmd.StdinPipe() // stays open: at its end ssh would hang up
	if err != nil {
		return 0, err
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	hard := killAfter(cmd, 2*time.Minute)
	defer hard.Stop()
	buf := make([]byte, 256<<10)
	var began, ended time.Time
	n := 0
	for {
		k, err := out.Read(buf)
		if k > 0 && n == 0 {
			began = time.Now()
		}
		n += k
		if n >= floodBytes && ended.IsZero() {
			ended = time.Now()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if n < floodBytes {
		return 0, fmt.Errorf("%v: %d bytes came, want %d", cmd.Args, n, floodBytes)
	}
	return float64(floodBytes) / 1e6 / ended.Sub(began).Seconds(), nil
}

// logText makes n bytes of what a busy service writes: the words repeat, the numbers do not.
func logText(n int) []byte {
	var s strings.Builder
	for i := uint32(1); s.Len() < n; i++ {
		x := i * 2654435761 // Knuth's multiplicative hash
		fmt.Fprintf(&s, "2026-11-25T10:%02d:%02d.%03d press[%d]: station %d took part %08x, %d us, pressure %d.%d bar\n",
			i/60%60, i%60, x%1000, 300+x%7, x%12, x, x%5000, x%9, x%10)
	}
	return []byte(s.String()[:n])
}
