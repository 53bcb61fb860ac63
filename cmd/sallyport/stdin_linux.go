package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// polled opens the terminal of stdin a second time, so that the runtime can wait for it as for a connection. A read that blocks
// holds a thread, and waking that costs a keystroke more than everything else here. Stdin itself cannot be made non-blocking: our
// shell shares it.
func polled(stdin io.Reader) io.Reader {
	in, ok := stdin.(*os.File)
	if !ok {
		return stdin
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", in.Fd()), os.O_RDONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return stdin
	}
	return again
}
