package recorder

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkSeal measures what recording costs without a disk: frames, compression, sealing and chaining of output in
// full chunks. SHA-256 over the same bytes is beside it as a measure of the machine.
func BenchmarkSeal(b *testing.B) {
	const text = 8 << 20
	p := newTestPart(b, testHeader())
	for what, shown := range map[string]string{"flood": logLines(text), "listing": listing(text)} {
		b.Run(what, func(b *testing.B) { rate(b, text, func() error { sealAll(p, shown); return nil }) })
	}
	raw := []byte(logLines(text))
	b.Run("sha256", func(b *testing.B) { rate(b, text, func() error { sha256.Sum256(raw); return nil }) })
}

// sealAll seals a text in full chunks.
func sealAll(p *testPart, shown string) {
	for rest := shown; len(rest) > 0; p.flush() {
		for n := 0; n+piece < chunkPlain && len(rest) > 0; n += piece {
			k := min(piece-64, len(rest))
			p.pass(100)
			p.out(1, rest[:k])
			rest = rest[k:]
		}
		p.file = p.file[:0] // the disk's business
	}
}

// listing makes n bytes of what ls -lR shows of a large tree.
func listing(n int) string {
	rnd := rand.New(rand.NewPCG(2, 2))
	var text bytes.Buffer
	for i := 0; text.Len() < n; i++ {
		if i%40 == 0 {
			fmt.Fprintf(&text, "\r\n/usr/share/doc/library-%d:\r\ntotal %d\r\n", i/40, rnd.IntN(400))
		}
		fmt.Fprintf(&text, "-rw-r--r-- 1 root root %7d Nov %2d %02d:%02d module-%d.conf\r\n", rnd.IntN(100_000), 1+rnd.IntN(25), rnd.IntN(24), rnd.IntN(60), i%500)
	}
	return text.String()[:n]
}
