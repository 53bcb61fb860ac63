package proc

import (
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// apartTree returns the tree of a session that is kept apart.
func apartTree(t *testing.T, name string) *Tree {
	t.Helper()
	tree, err := NewTree(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.End(5 * time.Second) })
	if err := tree.KeepApart(); err != nil {
		t.Fatal(err)
	}
	return tree
}

// output runs a script as a login and returns what it wrote to stdout and stderr.
func output(t *testing.T, tree *Tree, login Account, script string) string {
	t.Helper()
	r, err := tree.Start(Spec{Account: login, Argv: []string{"/bin/sh", "-c", script + " 2>&1"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Stdin.Close()
	out, err := io.ReadAll(r.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	r.Wait()
	r.Stdout.Close()
	r.Stderr.Close()
	return string(out)
}

// reaching is a script that tries to signal and trace another process of the login, and to read its environment,
// descriptors and memory. It prints a word for each try that succeeds.
const reaching = `(kill -0 $P && echo signal; cat /proc/$P/environ >/dev/null && echo environment
readlink /proc/$P/fd/0 >/dev/null && echo descriptors; (: </proc/$P/mem) && echo memory
timeout 10 strace -o /dev/null -p $P -e trace=none & sleep 0.5; grep -q "^TracerPid:[^0-9]*[1-9]" /proc/$P/status && echo trace; kill $!)`

func reached(t *testing.T, tree *Tree, login Account, pid string) (words []string) {
	t.Helper()
	for word := range strings.FieldsSeq(output(t, tree, login, "P="+pid+"; "+reaching)) {
		switch word {
		case "signal", "environment", "descriptors", "memory", "trace":
			words = append(words, word)
		}
	}
	return words
}

// TestSessionsOfOneLoginDoNotReachEachOther: neither signals nor debuggers leave a session, and inside it they work.
func TestSessionsOfOneLoginDoNotReachEachOther(t *testing.T) {
	if err := CanKeepApart(); err != nil {
		t.Logf("not run: %v", err)
		return
	}
	login := Account{Name: "nobody", UID: 65534, GID: 65534, Home: "/", Shell: "/bin/sh"}
	mine, other := apartTree(t, "test-apart-1"), apartTree(t, "test-apart-2")
	pid := strings.TrimSpace(output(t, mine, login, "sleep 300 >/dev/null 2>&1 & echo $!"))
	if got := reached(t, other, login, pid); len(got) > 0 {
		t.Errorf("another session reaches it: %v", got)
	}
	// A kernel that limits ptrace to children (Yama) refuses memory and trace here too.
	if got := reached(t, mine, login, pid); len(got) < 3 || !slices.Equal(got[:3], []string{"signal", "environment", "descriptors"}) {
		t.Errorf("its own session reaches it only so: %v", got)
	}
	free := exec.Command("sh", "-c", "P="+pid+"; "+reaching)
	if got, err := free.CombinedOutput(); !strings.Contains(string(got), "signal\n") {
		t.Errorf("this process is outside and must reach it: %s, %v", got, err)
	}
}

// TestSudoWorksInASessionThatIsKeptApart: the domain comes without no_new_privs, and root in it stays in it.
func TestSudoWorksInASessionThatIsKeptApart(t *testing.T) {
	if CanKeepApart() != nil {
		t.Log("not run: this machine cannot keep sessions apart")
		return
	}
	rule := "/etc/sudoers.d/sallyport-apart-test"
	if err := os.WriteFile(rule, []byte("nobody ALL=(ALL) NOPASSWD: ALL\n"), 0o440); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(rule) })
	account := Account{Name: "nobody", UID: 65534, GID: 65534, Home: "/", Shell: "/bin/sh"}
	mine, other := apartTree(t, "test-sudo-1"), apartTree(t, "test-sudo-2")
	pid := strings.TrimSpace(output(t, other, account, "sleep 300 >/dev/null 2>&1 & echo $!"))
	if got := output(t, mine, account, "(sudo -n id -u; sudo -n kill -0 "+pid+"; echo $?)"); !strings.HasPrefix(got, "0\n") || !strings.HasSuffix(got, "1\n") {
		t.Errorf("got %q, want that sudo gives root, and that root does not reach the other session", got)
	}
}
