package agent_test

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const testKeyring = "SALLYPORT_TEST_KEYRING"

// This program as one that has a key in its session keyring and becomes another program.
func init() {
	name := os.Getenv(testKeyring)
	if name == "" || len(os.Args) < 2 {
		return
	}
	runtime.LockOSThread()
	if _, err := unix.KeyctlJoinSessionKeyring(name); err != nil {
		os.Exit(97)
	}
	if _, err := unix.AddKey("user", name, []byte("secret"), unix.KEY_SPEC_SESSION_KEYRING); err != nil {
		os.Exit(98)
	}
	os.Unsetenv(testKeyring)
	syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	os.Exit(99)
}

// TestAProgramHasNoKeysOfTheAgent: the agent may have been started from a shell or service that holds keys.
func TestAProgramHasNoKeysOfTheAgent(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/keys"); err != nil || os.Geteuid() != 0 {
		t.Log("not run: the kernel has no keyrings, or the login would be the agent's own")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t)
	d := newDevice(t)
	d.args = append(d.args, "--shell", "/bin/sh")
	d.wrap, d.env = []string{self}, []string{testKeyring + "=sallyport-test-key"}
	d.enrol(g, "open")
	p := g.start(wish{login: "nobody"}).channel()
	p.exec("cat /proc/keys; echo end")
	if out, _ := p.finish(t); strings.Contains(out, "sallyport-test-key") || !strings.Contains(out, " _ses") || !strings.Contains(out, "end") {
		t.Errorf("want a session keyring of its own, and the program has\n%s", out)
	}
}
