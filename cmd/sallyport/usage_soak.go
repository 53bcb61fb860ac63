//go:build soak && linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// Built for `make soak` only: at SIGUSR2 a server writes DIR/PID.json with its goroutines, its heap after a collection,
// and the memory that the allocators of Go and C hold, in bytes.
func init() {
	dir := os.Getenv("SALLYPORT_SOAK_DIR")
	if dir == "" {
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	go func() {
		for range asked {
			writeUsage(filepath.Join(dir, fmt.Sprintf("%d.json", os.Getpid())))
		}
	}()
}

func writeUsage(path string) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	raw, err := json.Marshal(map[string]uint64{
		"goroutines": uint64(runtime.NumGoroutine()),
		"heap":       m.HeapAlloc,
		"go":         m.Sys - m.HeapReleased,
		"c":          heldByC(),
	})
	if err == nil {
		err = os.WriteFile(path+".new", raw, 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path) // a reader sees all of it or nothing
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
}
