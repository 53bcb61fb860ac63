package proc

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstInherited is the first descriptor after standard input, output and error.
const firstInherited = 3

// KeepDescriptors keeps what this process inherited from whoever started it: nothing that it starts gets a descriptor
// from 3 up by inheritance. Otherwise a program of a session could use a file, a socket or a terminal that was open
// where the agent was started. Descriptors that are made later are close-on-exec anyway.
func KeepDescriptors() error {
	err := unix.CloseRange(firstInherited, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil || !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return markEach() // Linux before 5.11
}

func markEach() error {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range all {
		if n, err := strconv.Atoi(e.Name()); err == nil && n >= firstInherited {
			unix.CloseOnExec(n)
		}
	}
	return nil
}
