package main

import (
	"os"
	"time"
)

// resized tells when the terminal's size may have changed. Windows has no signal for it, so it is looked at twice a second.
func resized() (<-chan os.Signal, func()) {
	ch, done := make(chan os.Signal, 1), make(chan struct{})
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			select {
			case ch <- os.Interrupt:
			default:
			}
		}
	}()
	return ch, func() { close(done) }
}
