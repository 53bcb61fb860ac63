package main

import (
	"fmt"
	"strings"
	"time"
)

const pasteLines = 200

// pastes puts 200 lines at once into an interactive bash that runs each of them, in turns.
func pastes(b *bench) ([]row, error) {
	sides, err := b.sides()
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for i := range pasteLines {
		fmt.Fprintf(&text, ": line %03d of what somebody copied from a manual\r", i)
	}
	text.WriteString("echo DO''NE\r")
	var took [allSides]samples
	for range b.rounds(8) {
		for i, side := range sides {
			t, err := openTerm(side("bash", "--norc", "--noprofile", "-i"))
			if err != nil {
				return nil, err
			}
			d, err := paste(t, text.String())
			t.close()
			if err != nil {
				return nil, fmt.Errorf("side %d: %w", i, err)
			}
			took[i].add(d)
		}
	}
	ssh, rec := took[sideSSH].p50(), took[sideStrict].p50()
	added := float64((rec - ssh).Microseconds()) / 1000 / pasteLines
	return []row{{"Paste of 200 lines into bash, strict", "<= 0.5 ms a line added", fmt.Sprintf("%.2f ms a line added (%s in all)", added, ms(rec)),
		fmt.Sprintf("`ssh -J` %s; unrecorded %s", ms(ssh), ms(took[sideUnrecorded].p50())), ratio(float64(rec), float64(ssh)), met(added <= 0.5)}}, nil
}

func paste(t *term, text string) (time.Duration, error) {
	if err := t.until("bash-"); err != nil { // its own prompt, version and all
		return 0, err
	}
	began := time.Now()
	failed := make(chan error, 1)
	go func() { // the terminal takes no more than it can hold
		_, err := t.tty.Write([]byte(text))
		failed <- err
	}()
	if err := t.until("DONE"); err != nil {
		return 0, err
	}
	took := time.Since(began)
	return took, <-failed
}
