package writer

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// BenchmarkSeal measures what recording costs without a disk: frames, compression, sealing and chaining of output in
// full chunks. SHA-256 over the same bytes is beside it as a measure of the machine.
func BenchmarkSeal(b *testing.B) {
	const text = 8 << 20
	p := sealtest.New(b, sealtest.Header())
	for what, shown := range map[string]string{"flood": sealtest.LogLines(text), "listing": listing(text)} {
		raw := []byte(shown)
		b.Run(what, func(b *testing.B) { sealtest.Rate(b, text, func() error { return sealAll(p, raw) }) })
	}
	raw := []byte(sealtest.LogLines(text))
	b.Run("sha256", func(b *testing.B) { sealtest.Rate(b, text, func() error { sha256.Sum256(raw); return nil }) })
}

// sealAll takes a text in and seals it, in what a session's pump reads at most between two syncs.
func sealAll(p *sealtest.Part, shown []byte) error {
	var buf pending
	for at := 0; at < len(shown); {
		for range seal.ChunkPlain / piece {
			body := shown[at:min(at+piece, len(shown))]
			p.T += 100
			head := format.AppendStreamHead(nil, format.KindOutput, 1, format.StreamOut, uint64(at), 0)
			buf.add(seal.Entry{T: p.T, Kind: format.KindOutput, Size: len(head) + len(body)}, head, body)
			at += len(body)
		}
		for p.File = p.File[:0]; !buf.empty(); { // the file is the disk's business
			data, es := buf.rest()
			var n int
			var err error
			if p.File, n, err = p.Sealer.Next(p.Bench, p.File, data, es); err != nil {
				return err
			}
			buf.drop(n)
		}
		buf = buf.recycle()
	}
	return nil
}

// listing makes n bytes of what ls -lR shows of a large tree.
func listing(n int) string {
	rnd := rand.New(rand.NewPCG(2, 2))
	var text bytes.Buffer
	for i := 0; text.Len() < n; i++ {
		if i%40 == 0 {
			fmt.Fprintf(&text, "\r\n/usr/share/doc/library-%d:\r\ntotal %d\r\n", i/40, rnd.IntN(400))
		}
		fmt.Fprintf(&text, "-rw-r--r-- 1 root root %7d Nov %2d %02d:%02d module-%d.conf\r\n", rnd.IntN(100_000),
			1+rnd.IntN(25), rnd.IntN(24), rnd.IntN(60), i%500)
	}
	return text.String()[:n]
}
