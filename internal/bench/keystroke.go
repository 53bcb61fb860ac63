package main

import (
	"fmt"
	"os/exec"
	"time"
)

// keyPause is between two keys: longer than anything that a key sets off, shorter than a typist's.
const keyPause = 15 * time.Millisecond

// sides are the three ways that are compared: the reference, the baseline and the product.
const (
	sideSSH = iota
	sideUnrecorded
	sideStrict
	allSides
)

// sides gives, for each side, what prepares a client that runs argv in a terminal.
func (b *bench) sides() ([allSides]func(argv ...string) *exec.Cmd, error) {
	var out [allSides]func(...string) *exec.Cmd
	s, err := b.openssh()
	if err != nil {
		return out, err
	}
	out[sideSSH] = func(argv ...string) *exec.Cmd { return s.jump(quoted(argv)) }
	for side, variant := range map[int]string{sideUnrecorded: unrecorded, sideStrict: strict} {
		d, err := b.demo(variant)
		if err != nil {
			return out, err
		}
		out[side] = func(argv ...string) *exec.Cmd { return d.shell(append([]string{"-t", "--"}, argv...)...) }
	}
	return out, nil
}

// quoted makes one line of a command for a POSIX shell.
func quoted(argv []string) string {
	line := ""
	for _, a := range argv {
		line += fmt.Sprintf("'%s' ", a)
	}
	return line
}

// keystrokes types into a terminal that echoes, in turns.
func keystrokes(b *bench) ([]row, error) {
	sides, err := b.sides()
	if err != nil {
		return nil, err
	}
	var terms [allSides]*term
	for i, side := range sides {
		if terms[i], err = openTerm(side("sh", "-c", "stty -icanon; echo READY; exec cat >/dev/null")); err != nil {
			return nil, err
		}
		defer terms[i].close()
		if err := terms[i].until("READY\r\n"); err != nil {
			return nil, err
		}
	}
	var took [allSides]samples
	for range b.rounds(12) {
		for i, t := range terms {
			for k := range 40 {
				d, err := t.key()
				if err != nil {
					return nil, fmt.Errorf("side %d: %w", i, err)
				}
				if k >= 5 { // the first ones after a pause wake processors up
					took[i].add(d)
				}
				time.Sleep(keyPause)
			}
		}
		if err := b.disk.sync(40); err != nil {
			return nil, err
		}
	}
	ssh, base, rec := took[sideSSH].p50(), took[sideUnrecorded].p50(), took[sideStrict].p50()
	limit := ssh + b.disk.took.p50()*5/2
	reference := fmt.Sprintf("`ssh -J` %s (p95 %s)", ms(ssh), ms(took[sideSSH].at(0.95)))
	return []row{
		{"Keystroke round trip, `sallyport shell`, unrecorded", "p50 <= 1.1x `ssh -J`", fmt.Sprintf("%s (p95 %s)", ms(base), ms(took[sideUnrecorded].at(0.95))),
			reference, ratio(float64(base), float64(ssh)), met(float64(base) <= 1.1*float64(ssh))},
		{"Keystroke round trip, `sallyport shell`, strict", "p50 <= `ssh -J` + 2.5x fdatasync", fmt.Sprintf("%s (p95 %s)", ms(rec), ms(took[sideStrict].at(0.95))),
			fmt.Sprintf("%s + 2.5 x %s = %s", reference, ms(b.disk.took.p50()), ms(limit)), ratio(float64(rec), float64(limit)), met(rec <= limit)},
	}, nil
}
