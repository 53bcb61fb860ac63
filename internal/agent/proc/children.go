package proc

import (
	"os"
	"strconv"
	"strings"
	"sync"
)

// listsChildren reports whether the kernel has lists of children (CONFIG_PROC_CHILDREN).
var listsChildren = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/thread-self/children")
	return err == nil
})

// childrenOf returns the ids of a process's direct children. Without the kernel's lists it has to read all of /proc.
func childrenOf(pid int) []int {
	if !listsChildren() {
		return byParent(allProcesses())[pid]
	}
	return listedChildren(process{pid: pid})
}

func byParent(all map[int]process) map[int][]int {
	out := map[int][]int{}
	for _, p := range all {
		out[p.ppid] = append(out[p.ppid], p.pid)
	}
	return out
}

// listedChildren reads the kernel's lists of children. There is one for each thread.
func listedChildren(p process) []int {
	if p.threads == 1 {
		return childrenOfThread(p.pid, strconv.Itoa(p.pid), nil)
	}
	var out []int
	for _, thread := range threadsOf(p.pid) {
		out = childrenOfThread(p.pid, thread, out)
	}
	return out
}

func threadsOf(pid int) []string {
	dir, err := os.Open("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return nil
	}
	defer dir.Close()
	threads, _ := dir.Readdirnames(-1)
	return threads
}

func childrenOfThread(pid int, thread string, out []int) []int {
	name := "task/" + thread + "/children"
	raw, err := readProc(pid, name)
	if len(raw) == maxShort { // the list may be longer
		raw, err = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + name)
	}
	if err != nil {
		return out
	}
	for w := range strings.FieldsSeq(string(raw)) {
		if n, err := strconv.Atoi(w); err == nil {
			out = append(out, n)
		}
	}
	return out
}
