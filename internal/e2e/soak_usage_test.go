//go:build soak

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// used is what one process uses at one moment. Memory is in bytes.
//
// RSS lacks what the allocators hold and the process has not written to yet: 16 to 20 MB of a gateway with 40 live
// sessions. It rises when that memory is first written to, without anything being allocated.
type used struct {
	RSS, Mapped, Threads    int // the kernel's account; Mapped is the part of RSS that files and shared memory back
	Heap, Go, C, Goroutines int // the process's own: live objects, and what the allocators of Go and C hold
	Descriptors             int
}

// memory is what the allocators hold, written to or not, and the mapped files that are resident.
func (u used) memory() int { return u.Go + u.C + u.Mapped }

type sample struct {
	at              time.Duration
	gateway, signer used
}

// sample asks gateway and signer every ten seconds, and at least thirty times.
func (s *soak) sample(length time.Duration) []sample {
	began := time.Now()
	pace := min(10*time.Second, length/30)
	var all []sample
	for time.Since(began) < length && !s.t.Failed() {
		time.Sleep(pace)
		all = append(all, sample{time.Since(began), s.usage(s.gateway), s.usage(s.signer)})
	}
	return all
}

// usage reads the kernel's account of a process and the process's own.
func (s *soak) usage(p *testenv.Process) used {
	pid := p.Process.Pid
	own := filepath.Join(s.dir, fmt.Sprintf("%d.json", pid))
	os.Remove(own)
	u := s.kernels(pid)
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	u.Descriptors = len(fds)
	p.Process.Signal(syscall.SIGUSR2)
	s.Eventually("the process says what it uses", p, func() error {
		raw, err := os.ReadFile(own)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &u)
	})
	return u
}

// kernels reads the kernel's account of a process's memory and threads.
func (s *soak) kernels(pid int) used {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	status := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		var name string
		var n int
		if _, err := fmt.Sscanf(line, "%s %d", &name, &n); err == nil {
			status[name] = n
		}
	}
	if status["VmRSS:"] == 0 || status["Threads:"] == 0 {
		s.t.Fatalf("no memory or threads in the status of process %d:\n%s", pid, raw)
	}
	return used{
		RSS:     status["VmRSS:"] << 10,
		Mapped:  (status["RssFile:"] + status["RssShmem:"]) << 10,
		Threads: status["Threads:"],
	}
}

// measures are the figures that must stay flat. A last third may be above the first by a part of it and by an amount.
// C may gain 4 MB while SQLite's page caches fill: 2 MB of the writer and 256 KB of each of eight readers. What is
// resident beyond the memory held would be memory that no allocator accounts for, such as mappings that are never
// unmapped.
var measures = []struct {
	what string
	of   func(used) int
	part float64
	and  int
	unit int
}{
	{"memory held, MB", used.memory, 0.10, 8e6, 1e6},
	{"memory of C, MB", func(u used) int { return u.C }, 0.10, 4e6, 1e6},
	{"resident beyond that, MB", func(u used) int { return max(0, u.RSS-u.memory()) }, 0.10, 4e6, 1e6},
	{"heap after a collection, MB", func(u used) int { return u.Heap }, 0.10, 4e6, 1e6},
	{"descriptors", func(u used) int { return u.Descriptors }, 0.05, 10, 1},
	{"goroutines", func(u used) int { return u.Goroutines }, 0.05, 20, 1},
	{"threads", func(u used) int { return u.Threads }, 0.05, 10, 1},
}

var soakParts = []struct {
	name string
	of   func(sample) used
}{{"gateway", func(s sample) used { return s.gateway }}, {"signer", func(s sample) used { return s.signer }}}

// verdict compares the mean of the first third with that of the last.
func verdict(t *testing.T, all []sample) {
	third := len(all) / 3
	if third == 0 {
		t.Fatalf("%d samples are too few", len(all))
	}
	for _, part := range soakParts {
		for _, m := range measures {
			mean := func(some []sample) (sum float64) {
				for _, s := range some {
					sum += float64(m.of(part.of(s)))
				}
				return sum / float64(len(some))
			}
			first, last := mean(all[:third]), mean(all[len(all)-third:])
			limit := first*(1+m.part) + float64(m.and)
			line := fmt.Sprintf("%s, %s: %.1f in the first third, %.1f in the last; flat up to %.1f (+%.0f %% and %d)",
				part.name, m.what, first/float64(m.unit), last/float64(m.unit), limit/float64(m.unit),
				100*m.part, m.and/m.unit)
			if last > limit {
				t.Error("not flat: " + line)
			} else {
				t.Log("flat: " + line)
			}
		}
	}
}

// table shows thirty samples at most.
func table(all []sample) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "after\t")
	for _, part := range soakParts {
		fmt.Fprintf(w, "%s: RSS MB\theld MB\tC MB\theap MB\tdescriptors\tgoroutines\tthreads\t", part.name)
	}
	fmt.Fprintln(w)
	step := max(1, len(all)/30)
	for i := 0; i < len(all); i += step {
		fmt.Fprintf(w, "%s\t", all[i].at.Round(time.Second))
		for _, part := range soakParts {
			u := part.of(all[i])
			fmt.Fprintf(w, "%.1f\t%.1f\t%.1f\t%.1f\t%d\t%d\t%d\t", float64(u.RSS)/1e6, float64(u.memory())/1e6,
				float64(u.C)/1e6, float64(u.Heap)/1e6, u.Descriptors, u.Goroutines, u.Threads)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return b.String()
}
