package proc

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkHidden measures the check of the terminal, which every typed byte needs twice.
func BenchmarkHidden(b *testing.B) {
	for name, argv := range map[string][]string{
		"bash": {"bash", "--norc", "--noprofile", "-i"},
		"vim":  {"bash", "--norc", "--noprofile", "-ic", "vim -n -u NONE; :"},
		"tmux": {"tmux", "-L", "sallyport-bench", "-f", "/dev/null"},
	} {
		b.Run(name, func(b *testing.B) {
			if _, err := exec.LookPath(name); err != nil {
				b.Skip("not on this machine")
			}
			x := sitDown(b, argv...)
			x.mute(true)
			x.until("it draws", func() bool { return !x.term.hidden() })
			began := processorTime()
			for b.Loop() {
				if x.term.hidden() {
					b.Fatal("hidden")
				}
			}
			b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/op") // of use on a machine with other work
		})
	}
}

func processorTime() int64 {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
