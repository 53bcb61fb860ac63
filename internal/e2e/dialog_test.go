package e2e

import (
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// dialog talks to programs on a session's terminal, each question after the one before.
type dialog struct {
	t   *testing.T
	cmd *exec.Cmd
	tty *os.File
	out *screen
	at  int // of what is shown: answered up to here
}

func newDialog(t *testing.T, d *testenv.Demo) *dialog {
	x := &dialog{t: t}
	x.cmd, x.tty, x.out = open(t, d)
	x.say("PS1='$''> '")
	return x
}

func (x *dialog) expect(want string) {
	x.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		text := x.out.text()
		if i := strings.Index(text[x.at:], want); i >= 0 {
			x.at += i + len(want)
			return
		}
		if time.Now().After(end) {
			x.t.Fatalf("the terminal does not show %q; after what was answered it shows %q", want, text[x.at:])
		}
	}
}

// say types a line.
func (x *dialog) say(line string) { io.WriteString(x.tty, line+"\r") }

// keys types one key after the other.
func (x *dialog) keys(text string) {
	for _, c := range text {
		io.WriteString(x.tty, string(c))
		time.Sleep(3 * time.Millisecond)
	}
}

// run types a command when the shell reads again: what is typed while sudo still relays is lost with its terminal.
func (x *dialog) run(command string) {
	x.t.Helper()
	x.answer(prompt, command)
}

// answer types a line when it is asked for.
func (x *dialog) answer(question, line string) {
	x.t.Helper()
	x.expect(question)
	x.say(line)
}

const prompt = "$> "

func (x *dialog) end() {
	x.t.Helper()
	x.run("exit")
	x.cmd.Wait()
}

// words makes passwords that no dictionary, and no chance, has anywhere else.
func words(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "Zq" + rand.Text()[:20] + "-7"
	}
	return out
}

// secretDemo is a demo whose sessions can use su, sudo and passwd, where we are root.
func secretDemo(t *testing.T, passwords map[string]string) *testenv.Demo {
	t.Helper()
	dir := openDir(t)
	if os.Getuid() != 0 {
		t.Log("not root: su, sudo and passwd are NOT tested here, read -s is")
		return testenv.StartIn(t, filepath.Join(dir, "demo"), "--devices", "1")
	}
	before := accounts(t)
	d := testenv.StartUnder(t, testenv.OwnAccounts(t, dir, passwords), filepath.Join(dir, "demo"), "--devices", "1")
	t.Cleanup(func() {
		if accounts(t) != before {
			t.Error("the machine's own accounts were changed")
		}
	})
	return d
}

// accounts sums the machine's files of accounts up.
func accounts(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", "cat /etc/passwd /etc/shadow /etc/group /etc/sudoers /etc/sudoers.d/* | sha256sum").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// paste sends all at once and says how long it takes until something is shown.
func (x *dialog) paste(text, want string) time.Duration {
	x.t.Helper()
	began := time.Now()
	io.WriteString(x.tty, text)
	x.expect(want)
	return time.Since(began)
}
