package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// supervisorOf gives the process that holds the device's one session.
func (d *device) supervisorOf() int {
	d.t.Helper()
	dir := state.At(d.dir)
	var l state.Live
	if err := dir.CallSession(dir.Sessions()[0], state.Ask{Op: "info"}, &l); err != nil {
		d.t.Fatal(err)
	}
	return l.PID
}

// lefts starts what a program leaves behind: one in its process group, one in a session of its own, and one that its
// parents have left.
const lefts = "sleep 1000 & echo $!; setsid sleep 1001 & echo $!; (setsid sleep 1002 & echo $!); echo end; sleep 1003"

func begunLefts(t *testing.T, p *prog) (pids []string) {
	t.Helper()
	p.exec(lefts)
	for _, pid := range strings.Fields(p.expect(t, "end")) {
		if _, err := strconv.Atoi(pid); err == nil {
			pids = append(pids, pid)
		}
	}
	if len(pids) != 3 {
		t.Fatalf("got %q, want three processes", pids)
	}
	for _, pid := range pids { // before that each of them is a copy of the shell, by name too
		eventually(t, "it is the program", func() bool {
			comm, _ := os.ReadFile("/proc/" + pid + "/comm")
			return string(comm) == "sleep\n"
		})
	}
	return pids
}

// TestWhatADeadSupervisorLeftIsEnded: kill -9 of the supervisor while the agent runs, while it does not, and together
// with the agent.
func TestWhatADeadSupervisorLeftIsEnded(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(g *gate, d *device, supervisor int){
		"the supervisor": func(_ *gate, _ *device, supervisor int) { syscall.Kill(supervisor, syscall.SIGKILL) },
		"the agent, then the supervisor": func(g *gate, d *device, supervisor int) {
			d.kill(syscall.SIGKILL)
			syscall.Kill(supervisor, syscall.SIGKILL)
			d.comeBack(g)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			d := newDevice(t).enrol(g, "open")
			pids := begunLefts(t, g.start(wish{}).channel())
			kill(g, d, d.supervisorOf())
			for _, pid := range pids {
				waitGone(t, pid)
			}
			eventually(t, "the agent names them", func() bool {
				log := d.log.String()
				return strings.Contains(log, "a supervisor died") && strings.Contains(log, "("+pids[2]+")")
			})
		})
	}
}

// TestASweepLeavesWhatLives: the sessions of a supervisor that outlived its agent, at the agent's start and at the death
// of another supervisor.
func TestASweepLeavesWhatLives(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel()
	pids := begunLefts(t, p)
	d.kill(syscall.SIGKILL)
	d.comeBack(g)
	other := g.start(wish{}).channel()
	other.exec("echo pid $PPID; sleep 1000")
	other.expect(t, "pid ")
	supervisor, err := strconv.Atoi(strings.TrimSpace(other.expect(t, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(supervisor, syscall.SIGKILL)
	eventually(t, "the other is swept", func() bool { return strings.Contains(d.log.String(), "a supervisor died") })
	for _, pid := range pids {
		if _, err := os.Stat("/proc/" + pid); err != nil {
			t.Errorf("process %s was ended, and its session lives", pid)
		}
	}
}

// TestWithoutCgroupsADeadSupervisorsProgramsAreFoundByTheirParents: the agent adopts them. Its status says what is weaker.
func TestWithoutCgroupsADeadSupervisorsProgramsAreFoundByTheirParents(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not run: taking cgroup v2 away needs root")
		return
	}
	g := newGate(t)
	d := newDevice(t)
	d.wrap = []string{"unshare", "--mount", "sh", "-c",
		`for m in $(awk '$3 == "cgroup2" {print $2}' /proc/mounts); do umount -l "$m" || exit 1; done; exec "$@"`, "sh"}
	d.enrol(g, "open")
	if out, _ := d.run("status"); !strings.Contains(out, "there is no cgroup v2") {
		t.Errorf("the status says\n%s", out)
	}
	l := g.start(wish{})
	pids := begunLefts(t, l.channel())
	syscall.Kill(d.supervisorOf(), syscall.SIGKILL)
	for _, pid := range pids {
		waitGone(t, pid)
	}
	eventually(t, "the agent names them", func() bool { return strings.Contains(d.log.String(), "("+pids[2]+")") })
}

// TestASweepSparesProcessesOfOthers: a script may start something of its own and become the agent by exec, so that the
// agent has a child that no session started.
func TestASweepSparesProcessesOfOthers(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t)
	list := filepath.Join(t.TempDir(), "pids")
	d.wrap = []string{"sh", "-c", "sleep 300 </dev/null >/dev/null 2>&1 & echo $! >>" + list + `; exec "$@"`, "sh"}
	d.enrol(g, "open")
	p := g.start(wish{}).channel()
	left := begunLefts(t, p)
	raw, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var others []int
	for _, text := range strings.Fields(string(raw)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, pid)
		defer syscall.Kill(pid, syscall.SIGKILL)
	}
	syscall.Kill(d.supervisorOf(), syscall.SIGKILL)
	for _, pid := range left {
		waitGone(t, pid)
	}
	if err := syscall.Kill(others[len(others)-1], 0); err != nil {
		t.Errorf("the child that no session started: %v", err)
	}
}

// TestReportsWaitForALine: an agent that starts sweeps before it has a line, and tells the gateway once it has one.
func TestReportsWaitForALine(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	pids := begunLefts(t, l.channel())
	supervisor := d.supervisorOf()
	d.kill(syscall.SIGKILL)
	syscall.Kill(supervisor, syscall.SIGKILL)
	d.comeBack(g)
	eventually(t, "the gateway is told", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return slices.ContainsFunc(g.reports, func(r wire.Report) bool {
			return r.Kind == wire.ReportOrphans && strings.Contains(r.Text, "sleep ("+pids[2]+")")
		})
	})
}

// TestWhatASupervisorLeftThatOutlivedItsAgentIsEnded: the agent that runs now did not start it.
func TestWhatASupervisorLeftThatOutlivedItsAgentIsEnded(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	pids := begunLefts(t, g.start(wish{}).channel())
	d.kill(syscall.SIGKILL)
	d.comeBack(g)
	syscall.Kill(d.supervisorOf(), syscall.SIGKILL)
	for _, pid := range pids {
		waitGone(t, pid)
	}
	eventually(t, "the agent names them", func() bool { return strings.Contains(d.log.String(), "("+pids[2]+")") })
}

// TestASupervisorThatDoesNotAnswerIsEnded: with its programs. A stopped one stands for any that hangs.
func TestASupervisorThatDoesNotAnswerIsEnded(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	pids := begunLefts(t, g.start(wish{}).channel())
	supervisor := d.supervisorOf()
	syscall.Kill(supervisor, syscall.SIGSTOP)
	for _, pid := range append(pids, strconv.Itoa(supervisor)) {
		waitGoneWithin(t, pid, 5*time.Minute) // ten times what is promised
	}
	eventually(t, "the gateway is told", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return slices.ContainsFunc(g.reports, func(r wire.Report) bool {
			return strings.Contains(r.Text, "did not answer") && strings.Contains(r.Text, "sleep ("+pids[2]+")")
		})
	})
}

// TestTheStatusSaysThatNoCgroupCanBeMade: cgroup v2 is there, and read-only, as in many containers.
func TestTheStatusSaysThatNoCgroupCanBeMade(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not run: to mount something needs root")
		return
	}
	d := newDevice(t)
	d.wrap = []string{"unshare", "--mount", "sh", "-c",
		`for m in $(awk '$3 == "cgroup2" {print $2}' /proc/mounts); do mount -o remount,bind,ro "$m" || exit 1; done; exec "$@"`, "sh"}
	if out, _ := d.run("status", "--json"); !strings.Contains(out, "no cgroup can be made: read-only file system") {
		t.Errorf("the status says\n%s", out)
	}
}
