//go:build !windows

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// resized tells when the terminal's size may have changed.
func resized() (<-chan os.Signal, func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGWINCH)
	return ch, func() { signal.Stop(ch) }
}
