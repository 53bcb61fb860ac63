package proc

import (
	"os"
	"os/exec"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const testUnfilled = "SALLYPORT_TEST_UNFILLED"

// This program as one that waits for its terminal with a list that lies in a page which nobody fills once it is gone.
// Where the kernel does not let it make such a page, the list stays.
func init() {
	if os.Getenv(testUnfilled) == "" {
		return
	}
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		os.Exit(1)
	}
	list := unsafe.Slice((*unix.PollFd)(unsafe.Pointer(&page[0])), 1)
	list[0] = unix.PollFd{Fd: 0, Events: unix.POLLIN}
	fd, _, _ := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	api := [3]uint64{0xaa}                                                                // struct uffdio_api
	missing := [4]uint64{uint64(uintptr(unsafe.Pointer(&page[0]))), uint64(len(page)), 1} // struct uffdio_register
	unix.Syscall(unix.SYS_IOCTL, fd, 0xc018aa3f, uintptr(unsafe.Pointer(&api)))
	if _, _, err := unix.Syscall(unix.SYS_IOCTL, fd, 0xc020aa00, uintptr(unsafe.Pointer(&missing))); err == 0 {
		go func() {
			for !inPoll(os.Getpid()) {
				time.Sleep(time.Millisecond)
			}
			unix.Madvise(page, unix.MADV_DONTNEED)
			os.Stdout.Write([]byte("gone"))
		}()
	} else {
		os.Stdout.Write([]byte("kept"))
	}
	unix.Poll(list, -1)
	os.Exit(0)
}

func inPoll(pid int) bool {
	raw, _ := readProc(pid, "syscall")
	nr, _, ok := parseSyscall(string(raw))
	return ok && polls(nr)
}

// Whoever looks at such a list must not wait for it: nothing could be typed any more, not even an interrupt.
func TestAProgramCannotHoldUpALookAtWhatItWaitsFor(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	term, err := openTerminal(Account{UID: uint32(os.Getuid())})
	if err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), testUnfilled+"=1")
	cmd.Stdin, cmd.SysProcAttr = term.slave, &unix.SysProcAttr{Setsid: true, Setctty: true}
	said, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	word := make([]byte, 4)
	said.Read(word)
	t.Logf("the page is %s", word)
	seen := make(chan bool, 1)
	go func() {
		for !inPoll(cmd.Process.Pid) {
			time.Sleep(time.Millisecond)
		}
		seen <- reads(cmd.Process.Pid, 4)
	}()
	select {
	case got := <-seen:
		if gone := string(word) == "gone"; got == gone {
			t.Errorf("reads the terminal: got %t", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("the look does not come back")
	}
}
