package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// row is one line of the table. met is empty where there is nothing to meet.
type row struct{ what, goal, measured, reference, ratio, met string }

func (r row) line() string {
	return "| " + strings.Join([]string{r.what, r.goal, r.measured, r.reference, r.ratio, r.met}, " | ") + " |"
}

func met(ok bool) string {
	if ok {
		return "yes"
	}
	return "**no**"
}

// samples are measured times.
type samples []time.Duration

func (s *samples) add(d time.Duration) { *s = append(*s, d) }

// at gives a quantile.
func (s samples) at(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func (s samples) p50() time.Duration { return s.at(0.5) }

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(v))[len(v)/2]
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

func ratio(a, b float64) string { return fmt.Sprintf("%.2fx", a/b) }

const (
	head = "| What | Goal | Measured | Reference, same run | Ratio | Met |\n|---|---|---|---|---|---|\n"
	from = "<!-- table: written by make bench -->\n"
	to   = "<!-- end of table -->\n"
)

// publish prints the table, or puts it between the marks of a page whose other words stay. Where only some sections were measured
// the other rows keep what they say, and so does the line on the machine.
func publish(b *bench, rows []row, page string) error {
	if page == "" {
		_, err := fmt.Print(from, machine(b), "\n\n", head, lined(rows, ""), to)
		return err
	}
	raw, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(raw), from)
	table, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table", page)
	}
	where, old, _ := strings.Cut(table, head)
	if !b.some || where == "" {
		where, old = machine(b)+"\n\n", ""
	}
	return os.WriteFile(page, []byte(before+from+where+head+lined(rows, old)+to+after), 0o644)
}

// lined puts rows into the lines of an old table: in the place of those with the same name, or behind all.
func lined(rows []row, old string) string {
	var out strings.Builder
	for line := range strings.Lines(old) {
		for i, r := range rows {
			if strings.HasPrefix(line, "| "+r.what+" |") {
				line, rows = r.line()+"\n", slices.Delete(slices.Clone(rows), i, i+1)
				break
			}
		}
		out.WriteString(line)
	}
	for _, r := range rows {
		out.WriteString(r.line() + "\n")
	}
	return out.String()
}

// machine says where and when.
func machine(b *bench) string {
	var u unix.Utsname
	_ = unix.Uname(&u) // what is not known stays empty or 0
	var mem unix.Sysinfo_t
	_ = unix.Sysinfo(&mem)
	load, _ := os.ReadFile("/proc/loadavg")
	ssh, _ := exec.Command("ssh", "-V").CombinedOutput()
	return fmt.Sprintf("%s. %d vCPU (%s), %d GiB, Linux %s, %s, %s. fdatasync of 4 KiB in this run: %s p50, %s p95 (%d samples between the others). Load when it ended: %s.",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), cpuName(), uint64(mem.Totalram)>>30, unix.ByteSliceToString(u.Release[:]), runtime.Version(),
		strings.TrimSpace(strings.Split(string(ssh), ",")[0]), ms(b.disk.took.p50()), ms(b.disk.took.at(0.95)), len(b.disk.took), strings.Join(strings.Fields(string(load))[:3], " "))
}

func cpuName() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}
