package agent_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestAFreezeEndsASessionWhoseSupervisorDoesNotAnswer: at once, and also if no agent runs. Until then the session is
// listed.
func TestAFreezeEndsASessionWhoseSupervisorDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, agentRuns := range map[string]bool{"an agent": true, "no agent": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			d := newDevice(t).enrol(g, "open")
			pids := begunLefts(t, g.start(wish{}).channel())
			supervisor := d.supervisorOf()
			if !agentRuns {
				d.kill(syscall.SIGKILL)
			}
			syscall.Kill(supervisor, syscall.SIGSTOP)
			silent := "its supervisor (" + strconv.Itoa(supervisor) + ") does not answer"
			if out, _ := d.run("sessions"); !strings.Contains(out, silent) {
				t.Errorf("sessions says\n%s", out)
			}
			out, code := d.run("freeze")
			if code != 0 || !strings.Contains(out, "did not end by itself") || !strings.Contains(out, "sleep ("+pids[2]+")") {
				t.Errorf("freeze: %d\n%s", code, out)
			}
			for _, pid := range pids {
				waitGone(t, pid)
			}
		})
	}
}

// TestAFreezeWithoutAnAgentEndsWhatADeadSupervisorLeft: neither the agent nor the supervisor can end it.
func TestAFreezeWithoutAnAgentEndsWhatADeadSupervisorLeft(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not run: without an agent only cgroups tell what was left, and to make one needs root")
		return
	}
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	pids := begunLefts(t, g.start(wish{}).channel())
	supervisor := d.supervisorOf()
	d.kill(syscall.SIGKILL)
	syscall.Kill(supervisor, syscall.SIGKILL)
	if out, code := d.run("freeze"); code != 0 || !strings.Contains(out, "sleep ("+pids[2]+")") {
		t.Errorf("freeze: %d\n%s", code, out)
	}
	for _, pid := range pids {
		waitGone(t, pid)
	}
}

// TestAnAgentInAnotherCgroupEndsWhatWasLeft: it was started by hand before, say, and is a service now.
func TestAnAgentInAnotherCgroupEndsWhatWasLeft(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not run: to make a cgroup needs root")
		return
	}
	other := filepath.Join(cgroupMount(t), "another-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(other); err != nil { // also if the session's cgroup is still below it
			t.Error(err)
		}
	})
	g := newGate(t)
	d := newDevice(t)
	d.wrap = []string{"sh", "-c", "echo $$ >" + other + `/cgroup.procs && exec "$@"`, "sh"}
	d.enrol(g, "open")
	pids := begunLefts(t, g.start(wish{}).channel())
	supervisor := d.supervisorOf()
	d.kill(syscall.SIGKILL)
	syscall.Kill(supervisor, syscall.SIGKILL)
	d.wrap = nil
	d.comeBack(g)
	for _, pid := range pids {
		waitGone(t, pid)
	}
	eventually(t, "the agent names them", func() bool { return strings.Contains(d.log.String(), "("+pids[2]+")") })
}

// cgroupMount gives the place of cgroup v2.
func cgroupMount(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1]
		}
	}
	t.Fatal("no cgroup v2 is mounted")
	return ""
}
