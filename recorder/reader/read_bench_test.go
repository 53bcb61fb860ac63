package reader

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// keystrokes is a session of tiny chunks: one key, one echo, one reveal at a time.
func keystrokes(b *testing.B) *sealtest.Part {
	p := sealtest.New(b, sealtest.Header())
	for i := range 20_000 {
		p.Pass(150_000)
		at := p.In(1, 1, "k")
		p.Flush()
		p.Pass(20_000)
		p.Out(1, "k")
		p.Reveal(1, 1, at, "k")
		if i%40 == 0 {
			p.Out(1, "\r\n$ ")
		}
		p.Flush()
	}
	p.Close("exit")
	return p
}

const full = 32 << 10 // what the recorder puts into one frame at most

// floods is output in full pieces, of which a part compresses as logs do.
func floods(b *testing.B) *sealtest.Part {
	p := sealtest.New(b, sealtest.Header())
	for text := sealtest.LogLines(1500 * full); len(text) > 0; text = text[full:] {
		p.Pass(1000)
		p.Out(1, text[:full])
		p.Flush()
	}
	p.Close("exit")
	return p
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
	for name, make := range map[string]func(*testing.B) *sealtest.Part{"keystrokes": keystrokes, "flood": floods} {
		p := make(b)
		f, size := stored(b, p.File)
		run := func(what string, f func() error) {
			b.Run(name+"/"+what, func(b *testing.B) {
				sealtest.Rate(b, len(p.File), f)
				b.ReportMetric(float64(p.Sealer.Totals.Chunks)*float64(b.N)/b.Elapsed().Seconds(), "chunks/s")
			})
		}
		run("sha256", func() error { return hashFile(f, size) })
		run("chain", func() error { hashEach(p.File, len(p.File)/int(p.Sealer.Totals.Chunks)); return nil })
		for level, opt := range map[string]VerifyOptions{"A": {Key: sealtest.Public(p.Key)},
			"AB": {Key: sealtest.Public(p.Key), RK: &p.RK}, "ABC": allKeys(p)} {
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
