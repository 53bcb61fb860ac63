package agent_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/agent/state"
)

// TestAnAgentThatIsProcessOneLeavesNoZombies: in a container it is the parent of all that lose theirs.
func TestAnAgentThatIsProcessOneLeavesNoZombies(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not run: a PID namespace needs root")
		return
	}
	g := newGate(t)
	d := newDevice(t)
	t.Cleanup(func() { d.kill(syscall.SIGKILL) }) // unshare ignores SIGTERM while its child runs
	d.wrap = []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}
	d.enrol(g, "open")
	agent := firstChild(t, d.cmd.Process.Pid)
	enter := exec.Command("nsenter", "--target", strconv.Itoa(agent), "--pid", "--mount", "sh", "-c",
		"(sleep 2 & exec true)") // something else in the container, not a session
	if out, err := enter.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	orphan := firstChild(t, agent)
	eventually(t, "it is gone, and no zombie of it is left", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(orphan))
		return os.IsNotExist(err)
	})
	p := g.start(wish{}).channel()
	p.exec("exit 7")
	p.finish(t)
	dir, ok := state.At(d.dir), false
	dir.CallSession(dir.Sessions()[0], state.Ask{Op: "end", Reason: "test over"}, &ok)
	eventually(t, "the session is over", func() bool { return len(dir.Sessions()) == 0 })
}

// firstChild waits for the first child of a process.
func firstChild(t *testing.T, pid int) (child int) {
	t.Helper()
	eventually(t, "it has a child", func() bool {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if f := strings.Fields(string(raw)); err == nil && len(f) > 0 {
			child, err = strconv.Atoi(f[0])
			return err == nil
		}
		return false
	})
	return child
}
