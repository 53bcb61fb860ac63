package proc

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// process is what /proc/PID/stat says of a process.
type process struct {
	pid, ppid, pgrp int
	session         int
	tty             int
	foreground      int // the process group that reads from its terminal
	threads         int // the first thread counts until the status of the process is taken, even after its end
	state           byte
	start           string // start time; with the pid it identifies a process, because pids are used again
	comm            string
}

// maxShort is the size of readProc's buffer, in bytes. The files that it reads are shorter, except a list of children.
const maxShort = 1 << 10

// readProc reads a short file of /proc at once, without what os.ReadFile does for files that may be large or block:
// it is done a few times for every line of a paste.
func readProc(pid int, name string) ([]byte, error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, maxShort)
	n, err := unix.Read(fd, buf)
	return buf[:max(n, 0)], err
}

// readProcess reads /proc/PID/stat.
func readProcess(pid int) (process, bool) {
	raw, err := readProc(pid, "stat")
	if err != nil {
		return process{}, false
	}
	return parseStat(pid, string(raw))
}

func parseStat(pid int, text string) (process, bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')') // the name may hold anything
	if open < 0 || end < open {
		return process{}, false
	}
	f := strings.Fields(text[end+1:])
	if len(f) < 20 {
		return process{}, false
	}
	p := process{pid: pid, state: f[0][0], start: f[19], comm: text[open+1 : end]}
	p.ppid, _ = strconv.Atoi(f[1])
	p.pgrp, _ = strconv.Atoi(f[2])
	p.session, _ = strconv.Atoi(f[3])
	p.tty, _ = strconv.Atoi(f[4])
	p.foreground, _ = strconv.Atoi(f[5])
	p.threads, _ = strconv.Atoi(f[17])
	return p, true
}

// ended reports whether no thread of a process runs any more. The state alone does not tell: it is Z also if only the
// first thread has ended.
func (p process) ended() bool { return p.state == 'X' || p.state == 'Z' && p.threads <= 1 }

// allProcesses reads every process that /proc lists.
func allProcesses() map[int]process {
	out := map[int]process{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return out
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readProcess(pid); ok {
				out[pid] = p
			}
		}
	}
	return out
}

// below returns the descendants of a process.
func below(all map[int]process, root int) []process {
	children := map[int][]process{}
	for _, p := range all {
		children[p.ppid] = append(children[p.ppid], p)
	}
	var out []process
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		for _, p := range children[queue[0]] {
			out = append(out, p)
			queue = append(queue, p.pid)
		}
	}
	return out
}

// signal sends a signal to exactly this process. It uses a pidfd, because another process may have the pid by now.
func (p process) signal(sig unix.Signal) {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		if err == unix.ENOSYS {
			unix.Kill(p.pid, sig)
		}
		return
	}
	defer unix.Close(fd)
	if now, ok := readProcess(p.pid); ok && now.start == p.start {
		unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

// owner returns the user id of a process, or -1 if it is not known.
func owner(pid int) int64 {
	var st unix.Stat_t
	if unix.Stat("/proc/"+strconv.Itoa(pid), &st) != nil {
		return -1
	}
	return int64(st.Uid)
}
