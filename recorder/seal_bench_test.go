package recorder

import (
	"crypto/sha256"
	"testing"
)

// BenchmarkSeal measures what recording costs without a disk: frames, compression, sealing and chaining of output in
// full chunks. SHA-256 over the same bytes is beside it as a measure of the machine.
func BenchmarkSeal(b *testing.B) {
	const text = 8 << 20
	shown := logLines(text)
	p := newTestPart(b, testHeader())
	b.Run("flood", func(b *testing.B) {
		rate(b, text, func() error {
			for rest := shown; len(rest) > 0; p.flush() {
				for n := 0; n+piece < chunkPlain && len(rest) > 0; n += piece {
					k := min(piece-64, len(rest))
					p.pass(100)
					p.out(1, rest[:k])
					rest = rest[k:]
				}
				p.file = p.file[:0] // the disk's business
			}
			return nil
		})
	})
	raw := []byte(shown)
	b.Run("sha256", func(b *testing.B) { rate(b, text, func() error { sha256.Sum256(raw); return nil }) })
}
