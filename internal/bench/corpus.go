package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// event is what went one way at one time.
type event struct {
	at    time.Duration
	typed bool
	data  []byte
}

// work is what a technician types: mixed, as maintenance is. Each entry is one line, or keys for a program that has the screen.
// The pauses are those of somebody who reads.
var work = []struct {
	keys  string
	think time.Duration
}{
	{"uname -a; uptime\r", 6 * time.Second},
	{"ls -l --color /etc | head -60\r", 12 * time.Second},
	{"df -h\r", 8 * time.Second},
	{"ps aux | head -40\r", 15 * time.Second},
	{"dmesg | tail -40\r", 20 * time.Second},
	{"top -d 0.3\r", 2 * time.Second}, {"", 6 * time.Second}, {"M", 4 * time.Second}, {"q", 3 * time.Second},
	{"cd work && ls -l\r", 5 * time.Second},
	{"vim press.conf\r", 4 * time.Second}, {"/timeout\r", 3 * time.Second}, {"cw", 1 * time.Second}, {"retry_after\x1b", 4 * time.Second},
	{"jjjj", 2 * time.Second}, {"ospeed = 1200   # as the manual says\x1b", 9 * time.Second}, {":wq\r", 3 * time.Second},
	{"diff press.conf.orig press.conf\r", 8 * time.Second},
	{"make\r", 10 * time.Second},
	{"grep -rn --color=always 'define' . | head -50\r", 12 * time.Second},
	{"tail -60 press.log\r", 20 * time.Second},
	{"grep -c pressure press.log; grep alarm press.log | tail -30\r", 15 * time.Second},
	{"less press.log\r", 3 * time.Second}, {pages, 4 * time.Second}, {"G", 4 * time.Second}, {pages, 4 * time.Second}, {"q", 2 * time.Second},
	{"vim main.c press.conf\r", 4 * time.Second}, {":n\r", 3 * time.Second}, {screens, 6 * time.Second}, {":q\r:q\r", 3 * time.Second},
	{"tail -400 press.log\r", 20 * time.Second},
	{"ls -lR /usr/share/doc | head -400\r", 10 * time.Second},
	{"sha256sum /usr/bin/l*\r", 10 * time.Second},
	{"cat main.c\r", 12 * time.Second},
	{"make clean && make\r", 10 * time.Second},
	{"for i in 1 2 3 4 5 6 7 8 9 10; do echo -ne \"\\rcopying $i/10\"; sleep 0.1; done; echo\r", 6 * time.Second},
	{"netstat -tn 2>/dev/null || ss -tn\r", 10 * time.Second},
	{"history | tail -20\r", 8 * time.Second},
}

// Keys that page through a text, in less and in vim.
const (
	pages   = "                              "
	screens = "\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06"
)

// typing is the time between two keys in the corpus.
const typing = 170 * time.Millisecond

// corpus runs the work in a real bash on a real terminal, with the real programs, and keeps every read of the terminal as it came. Only
// the pauses of the person are not waited for.
func (b *bench) corpus() ([]event, error) {
	dir := filepath.Join(b.dir, "home")
	if err := workplace(filepath.Join(dir, "work")); err != nil {
		return nil, err
	}
	cmd := exec.Command("bash", "--norc", "--noprofile", "-i")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=xterm-256color", "LANG=C.UTF-8", "PS1=\\[\\e[32m\\]press-1\\[\\e[0m\\]:\\w\\$ "}
	tty, err := startTTY(cmd)
	if err != nil {
		return nil, err
	}
	defer func() { tty.Close(); _ = cmd.Process.Kill(); cmd.Wait() }() // an exit of its own would do as well
	r := &recordist{tty: tty}
	if err := r.listen(500 * time.Millisecond); err != nil {
		return nil, err
	}
	for _, w := range work {
		for _, k := range []byte(w.keys) {
			r.clock += typing
			r.events = append(r.events, event{r.clock, true, []byte{k}})
			if _, err := tty.Write([]byte{k}); err != nil {
				return nil, err
			}
			if err := r.listen(12 * time.Millisecond); err != nil {
				return nil, err
			}
		}
		began := time.Now()
		if err := r.listen(400 * time.Millisecond); err != nil {
			return nil, err
		}
		r.clock += max(0, w.think-time.Since(began))
	}
	return r.events, nil
}

// recordist keeps what the terminal shows, on a clock that jumps over the person's pauses.
type recordist struct {
	tty    *os.File
	clock  time.Duration
	events []event
}

// listen reads until nothing has come for a while, ten seconds at most: top never falls silent.
func (r *recordist) listen(quiet time.Duration) error {
	buf := make([]byte, 32<<10)
	began := time.Now()
	last := began
	for time.Since(began) < 10*time.Second {
		r.tty.SetReadDeadline(time.Now().Add(quiet))
		n, err := r.tty.Read(buf)
		if os.IsTimeout(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("corpus: %w", err)
		}
		r.clock += time.Since(last)
		last = time.Now()
		r.events = append(r.events, event{r.clock, false, bytes.Clone(buf[:n])})
	}
	return nil
}

// workplace is a small project with something to build, to edit and to read.
func workplace(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var conf, prog, mk bytes.Buffer
	for i := range 60 {
		fmt.Fprintf(&conf, "[station.%d]\nspeed = %d\ntimeout = %d\nvalve = \"V%03d\"\n\n", i, 800+7*i, 30+i, 11*i)
	}
	fmt.Fprint(&mk, "CFLAGS = -O2 -Wall -Wextra\nall: press\npress: main.o")
	for i := range 12 {
		fmt.Fprintf(&mk, " s%02d.o", i)
		unit := fmt.Sprintf("#define SPEED%d %d\n#include <stdio.h>\nint station%d(int x, int unused) { if (x > SPEED%d) printf(\"station %d is fast\\n\"); return x * %d; }\n", i, 90*i, i, i, i, i+2)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("s%02d.c", i)), []byte(unit), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&prog, "int station%d(int x, int unused);\n", i)
	}
	mk.WriteString("\n\t$(CC) -o $@ $^\nclean:\n\trm -f press *.o\n")
	prog.WriteString("int main(void) {\n\tint sum = 0;\n")
	for i := range 12 {
		fmt.Fprintf(&prog, "\tsum += station%d(%d, 0); /* the same order as on the line */\n", i, 100*i)
	}
	prog.WriteString("\treturn sum == 0;\n}\n")
	for name, text := range map[string][]byte{"press.conf": conf.Bytes(), "press.conf.orig": conf.Bytes(), "main.c": prog.Bytes(), "Makefile": mk.Bytes(), "press.log": logText(400 << 10)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
