package recorder

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
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
	rnd := rand.New(rand.NewPCG(1, 1))
	var line bytes.Buffer
	for range 1500 {
		p.pass(1000)
		for line.Reset(); line.Len() < piece; {
			fmt.Fprintf(&line, "%d worker[%d]: request %x took %d us\r\n", rnd.Uint32(), rnd.IntN(100), rnd.Uint64(), rnd.IntN(5000))
		}
		p.out(1, line.String()[:piece])
		p.flush()
	}
	p.close("exit")
	return p
}

// BenchmarkVerify compares each level with SHA-256 over the same file, which is the least that a check
// of a chain can cost.
func BenchmarkVerify(b *testing.B) {
	for name, make := range map[string]func(*testing.B) *testPart{"keystrokes": keystrokes, "flood": floods} {
		p := make(b)
		run := func(what string, f func() error) {
			b.Run(name+"/"+what, func(b *testing.B) {
				b.SetBytes(int64(len(p.file)))
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(p.s.totals.Chunks)*float64(b.N)/b.Elapsed().Seconds(), "chunks/s")
			})
		}
		run("sha256", func() error { sha256.Sum256(p.file); return nil })
		for level, opt := range map[string]VerifyOptions{"A": {Key: pub(p.key)}, "AB": {Key: pub(p.key), RK: &p.rk}, "ABC": p.all()} {
			run(level, func() error { _, err := verifyBytes(b, p.file, opt); return err })
		}
	}
}
