package recorder

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// keystrokes is a session of tiny chunks: one key, one echo, one reveal at a time.
func keystrokes(b *testing.B) *testPart {
	p := newTestPart(b, testHeader())
	for i := range 20_000 {
		p.pass(150_000)
		at := p.in(1, 1, "k")
		p.flush()
		p.pass(20_000)
		p.out(1, "k")
		p.reveal(1, 1, at, "k")
		if i%40 == 0 {
			p.out(1, "\r\n$ ")
		}
		p.flush()
	}
	p.close("exit")
	return p
}

// floods is output in full pieces, of which a part compresses as logs do.
func floods(b *testing.B) *testPart {
	p := newTestPart(b, testHeader())
	for text := logLines(1500 * piece); len(text) > 0; text = text[piece:] {
		p.pass(1000)
		p.out(1, text[:piece])
		p.flush()
	}
	p.close("exit")
	return p
}

// logLines makes n bytes of a log whose words repeat and whose numbers are random.
func logLines(n int) string {
	rnd := rand.New(rand.NewPCG(1, 1))
	var text bytes.Buffer
	for text.Len() < n {
		fmt.Fprintf(&text, "%d worker[%d]: request %x took %d us\r\n", rnd.Uint32(), rnd.IntN(100), rnd.Uint64(), rnd.IntN(5000))
	}
	return text.String()[:n]
}

// rate runs f and reports megabytes a second of processor time as well: on a machine that does other work, that is the
// figure to compare.
func rate(b *testing.B, bytes int, f func() error) {
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

// hashEach hashes the file as a chain has to: in pieces of a chunk's mean size, each behind the hash of the one before.
func hashEach(file []byte, size int) {
	link := make([]byte, 32+size)
	d := sha256.New()
	for ; len(file) >= size; file = file[size:] {
		copy(link[32:], file)
		d.Reset()
		d.Write(link)
		d.Sum(link[:0])
	}
}

// hashFile does what sha256sum does.
func hashFile(f *os.File, size int64) error {
	_, err := io.Copy(sha256.New(), io.NewSectionReader(f, 0, size))
	return err
}

// BenchmarkVerify compares each level with SHA-256 over the same file. All read it from the disk's cache.
func BenchmarkVerify(b *testing.B) {
	for name, make := range map[string]func(*testing.B) *testPart{"keystrokes": keystrokes, "flood": floods} {
		p := make(b)
		f, size := stored(b, p.file)
		run := func(what string, f func() error) {
			b.Run(name+"/"+what, func(b *testing.B) {
				rate(b, len(p.file), f)
				b.ReportMetric(float64(p.s.totals.Chunks)*float64(b.N)/b.Elapsed().Seconds(), "chunks/s")
			})
		}
		run("sha256", func() error { return hashFile(f, size) })
		run("chain", func() error { hashEach(p.file, len(p.file)/int(p.s.totals.Chunks)); return nil })
		for level, opt := range map[string]VerifyOptions{"A": {Key: pub(p.key)}, "AB": {Key: pub(p.key), RK: &p.rk}, "ABC": p.all()} {
			run(level, func() error { _, err := Verify(b.Context(), f, size, opt); return err })
		}
	}
}

// stored puts a file on the disk.
func stored(b *testing.B, file []byte) (*os.File, int64) {
	path := filepath.Join(b.TempDir(), "part.srec")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f, int64(len(file))
}
