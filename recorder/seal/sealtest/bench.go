//go:build unix

package sealtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// LogLines makes n bytes of a log whose words repeat and whose numbers are random.
func LogLines(n int) string {
	rnd := rand.New(rand.NewPCG(1, 1))
	var text bytes.Buffer
	for text.Len() < n {
		fmt.Fprintf(&text, "%d worker[%d]: request %x took %d us\r\n", rnd.Uint32(), rnd.IntN(100), rnd.Uint64(), rnd.IntN(5000))
	}
	return text.String()[:n]
}

// Rate runs f and reports megabytes a second of processor time as well: on a machine that does other work, that is the
// figure to compare.
func Rate(b *testing.B, bytes int, f func() error) {
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	began := processorTime(b)
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(bytes)*float64(b.N)/1e6/(processorTime(b)-began).Seconds(), "cpu-MB/s")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
