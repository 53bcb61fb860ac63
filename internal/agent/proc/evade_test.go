package proc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const testLeaderless = "SALLYPORT_TEST_LEADERLESS"

// This program as one whose first thread ends while another one goes on: the kernel calls such a process a zombie.
func init() {
	if os.Getenv(testLeaderless) == "" {
		return
	}
	runtime.LockOSThread() // the first thread runs init
	go func() {
		fmt.Println(os.Getpid())
		time.Sleep(5 * time.Minute)
		os.Exit(0)
	}()
	unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
}

// leaderless starts such a process in a tree and gives its id once its first thread has ended.
func leaderless(t *testing.T, tree *Tree) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", `"$0" & wait`, self)
	cmd.Env, cmd.Stdout, cmd.SysProcAttr = append(os.Environ(), testLeaderless+"=1"), w, &unix.SysProcAttr{Setsid: true}
	if cmd, err = tree.start(cmd); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go cmd.Wait()
	var pid int
	if _, err := fmt.Fscan(r, &pid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Kill(pid, unix.SIGKILL) })
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if p, ok := readProcess(pid); ok && p.state == 'Z' {
			return pid
		}
		if time.Now().After(end) {
			t.Fatal("its first thread does not end")
		}
	}
}

// threads gives how many threads of a process are left that have not ended.
func threads(pid int) (n int) {
	all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, e := range all {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, e.Name()))
		if _, rest, ok := strings.Cut(string(raw), ") "); err == nil && ok && rest[0] != 'Z' && rest[0] != 'X' {
			n++
		}
	}
	return n
}

// TestAProcessWithoutItsFirstThreadIsEnded: with a cgroup and without one, by its supervisor and by a sweep.
func TestAProcessWithoutItsFirstThreadIsEnded(t *testing.T) {
	for _, group := range []bool{true, false} {
		tree, err := NewTree("test-leaderless")
		if err != nil {
			t.Fatal(err)
		}
		if group && tree.group == nil {
			t.Log("not run with a cgroup: this machine has none of version 2")
			continue
		}
		if !group {
			tree.group.remove()
			tree.group = nil
		}
		pid := leaderless(t, tree)
		if !tree.Alive() {
			t.Errorf("cgroup %t: the tree has it not", group)
		}
		if left := tree.End(5 * time.Second); len(left) > 0 || threads(pid) > 0 {
			t.Errorf("cgroup %t: got %v left, and %d threads run", group, left, threads(pid))
		}
	}
}

func TestASweepEndsAProcessWithoutItsFirstThread(t *testing.T) {
	tree, err := NewTree("test-sweep-leaderless")
	if err != nil {
		t.Fatal(err)
	}
	if tree.group == nil {
		t.Log("not run: this machine has no cgroup of version 2")
		return
	}
	defer tree.End(5 * time.Second)
	pid := leaderless(t, tree)
	if s := tree.group.end(5 * time.Second); threads(pid) > 0 || len(s.Left) > 0 {
		t.Errorf("got %v, and %d threads run", s, threads(pid))
	}
}

// TestALoginCannotTakeTheLockOfItsCgroup, because a sweep takes the cgroup for that of a living supervisor if it is
// locked.
func TestALoginCannotTakeTheLockOfItsCgroup(t *testing.T) {
	tree, err := NewTree("test-lock")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.End(5 * time.Second)
	if os.Geteuid() != 0 || tree.group == nil {
		t.Log("not run: the login must be another than the supervisor's, and there must be cgroup v2")
		return
	}
	login := Account{Name: "nobody", UID: 65534, GID: 65534, Home: "/", Shell: "/bin/sh"}
	got := output(t, tree, login, "(exec 9<"+tree.group.path+" && echo opened; grep -c . "+tree.group.path+"/cgroup.procs)")
	if strings.Contains(got, "opened") {
		t.Errorf("a program of the session opens its cgroup and can lock it: %s", got)
	}
	if last := strings.Fields(got); len(last) == 0 || last[len(last)-1] == "0" {
		t.Errorf("a program cannot read the files of its cgroup, as it can elsewhere: %s", got)
	}
}

// deafHome mounts a file system that never answers. An ordinary login can do the same to its own home with fusermount.
func deafHome(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "deaf") // not below a directory that the login cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	os.Chmod(dir, 0o755)
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Mount("deaf", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV,
			fmt.Sprintf("fd=%d,rootmode=40000,user_id=65534,group_id=65534", fd))
	}
	if err != nil {
		t.Logf("not run: no FUSE here: %v", err)
		return ""
	}
	t.Cleanup(func() { unix.Close(fd); unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// hangs reports whether a child of this process is blocked between fork and exec.
func hangs() bool {
	own, _ := readProcess(os.Getpid())
	return slices.ContainsFunc(below(allProcesses(), os.Getpid()), func(p process) bool {
		return p.comm == own.comm && p.state == 'D'
	})
}

// TestAStartThatHangsDoesNotHoldUpTheEnd: if the login's home never answers, neither Reap nor End waits for the program
// that is being started.
func TestAStartThatHangsDoesNotHoldUpTheEnd(t *testing.T) {
	home := deafHome(t)
	if home == "" {
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection waits for the thread that starts; see agent.watchStuck
	for _, group := range []bool{true, false} {
		tree, err := NewTree("test-hangs")
		if err != nil {
			t.Fatal(err)
		}
		if !group && tree.group != nil {
			tree.group.remove()
			tree.group = nil
		}
		login := Account{Name: "nobody", UID: 65534, GID: 65534, Home: "/", Shell: "/bin/sh"}
		first, err := tree.Start(Spec{Account: login, Line: "sleep 300"})
		if err != nil {
			t.Fatal(err)
		}
		go first.Wait()
		login.Home = home
		started := make(chan string, 1)
		go func() {
			r, err := tree.Start(Spec{Account: login, Line: "true"})
			if err != nil {
				started <- err.Error()
				return
			}
			started <- r.Wait().Signal
		}()
		for end := time.Now().Add(time.Minute); !hangs(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the second program is not being started")
			}
		}
		over := make(chan []Survivor, 1)
		go func() {
			tree.Reap()
			over <- tree.End(5 * time.Second)
		}()
		select {
		case left := <-over:
			if len(left) > 0 {
				t.Errorf("cgroup %t: left: %v", group, left)
			}
		case <-time.After(time.Minute):
			t.Fatalf("cgroup %t: the end waits for the start", group)
		}
		if how := <-started; how != "KILL" && how != errOver.Error() {
			t.Errorf("cgroup %t: the second program: got %q, want that it was killed", group, how)
		}
	}
}

// TestASweepEndsACgroupThatCannotBeKilledAtOnce: cgroup.kill came with Linux 5.14.
func TestASweepEndsACgroupThatCannotBeKilledAtOnce(t *testing.T) {
	cmd := exec.Command("sleep", "300")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	dir := t.TempDir() // in place of the cgroup: it has no cgroup.kill
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Appendln(nil, cmd.Process.Pid), 0o600); err != nil {
		t.Fatal(err)
	}
	s := (&cgroup{path: dir}).end(5 * time.Second)
	if len(s.Ended) != 1 || len(s.Left) != 0 {
		t.Errorf("got %+v, want one that was ended", s)
	}
	cmd.Process.Kill()
	<-ended
}
