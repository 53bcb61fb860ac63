package proc

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const testWaits = "SALLYPORT_TEST_WAITS"

// This program as one that waits for several files on its main thread, with or without its terminal among them.
func init() {
	how := os.Getenv(testWaits)
	if how == "" {
		return
	}
	pair, _ := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	fds := []unix.PollFd{{Fd: -1, Events: unix.POLLIN}, {Fd: int32(pair[0]), Events: unix.POLLIN}, {Fd: 0, Events: unix.POLLPRI}}
	var set unix.FdSet
	set.Set(pair[0])
	if how == "poll with terminal" || how == "select with terminal" {
		fds[2].Events, set = unix.POLLIN, unix.FdSet{}
		set.Set(0)
		set.Set(pair[0])
	}
	if how == "poll with terminal" || how == "poll without" {
		unix.Poll(fds, -1)
	}
	unix.Select(pair[0]+1, &set, nil, nil, nil)
	os.Exit(0)
}

// Before its prompt a program may wait for a name service or a bus. Were that taken for reading, the rest of a paste
// would be typed into a prompt that does not hide yet.
func TestOnlyAWaitForTheTerminalIsReadingIt(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for how, want := range map[string]bool{"poll with terminal": true, "poll without": false, "select with terminal": true, "select without": false} {
		t.Run(how, func(t *testing.T) {
			term, err := openTerminal(Account{UID: uint32(os.Getuid())})
			if err != nil {
				t.Fatal(err)
			}
			defer term.Close()
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), testWaits+"="+how)
			cmd.Stdin, cmd.SysProcAttr = term.slave, &unix.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			waiting := func() bool {
				raw, _ := readProc(cmd.Process.Pid, "syscall")
				nr, _, ok := parseSyscall(string(raw))
				return ok && (polls(nr) || selects(nr))
			}
			for end := time.Now().Add(time.Minute); !waiting(); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("it does not wait")
				}
			}
			// A look that takes longer than lookTime counts as not reading, so a busy machine may need several.
			got := false
			for range 200 {
				if got = reads(cmd.Process.Pid, 4); got {
					break
				}
				time.Sleep(2 * time.Millisecond)
			}
			if got != want {
				t.Errorf("reads the terminal: got %t, want %t", got, want)
			}
		})
	}
}

func TestASystemCallIsReadAsTheKernelWritesIt(t *testing.T) {
	for text, want := range map[string]string{
		"0 0x0 0x7ffc 0x1 0x0 0x0 0x0 0x7ffc 0x7f01\n": "0 [0 32764 1 0 0 0] true",
		"running\n":                       "0 [0 0 0 0 0 0] false",
		"-1 0x7ffc 0x7f01\n":              "0 [0 0 0 0 0 0] false",
		"":                                "0 [0 0 0 0 0 0] false",
		"x 0x0 0x0 0x0 0x0 0x0 0x0 0 0\n": "0 [0 0 0 0 0 0] false",
	} {
		nr, args, ok := parseSyscall(text)
		if got := fmt.Sprint(nr, args, ok); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
