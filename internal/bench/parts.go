package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport/sallyport/recorder/ledger"
)

// core measures compression, sealing and chaining alone, in memory.
func core(b *bench) ([]row, error) {
	f, err := b.gobench("recorder/writer", "^BenchmarkSeal$", b.rounds(5), 1)
	if err != nil {
		return nil, err
	}
	sha := median(f["Seal/sha256"].mbs)
	var rows []row
	for _, kind := range [][2]string{{"listing", "directory listings"}, {"flood", "log lines with random numbers"}} {
		v := median(f["Seal/"+kind[0]].mbs)
		rows = append(rows, row{"Recorder core, one core, in memory, " + kind[1], ">= 300 MB/s", fmt.Sprintf("%.0f MB/s", v), fmt.Sprintf("sha256 %.0f MB/s", sha), ratio(v, sha), met(v >= 300)})
	}
	return rows, nil
}

// verifies measures the verifier beside sha256sum. Without a key it works on all processors, with one on one of them.
func verifies(b *bench) ([]row, error) {
	one, err := b.gobench("recorder/reader", "^BenchmarkVerify$", b.rounds(5), 1)
	if err != nil {
		return nil, err
	}
	all, err := b.gobench("recorder/reader", "^BenchmarkVerify$/./^(A|sha256)$", b.rounds(5), runtime.NumCPU())
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, kind := range []struct {
		name, shown string
		goal        float64
	}{{"keystrokes", "tiny chunks", 0.6}, {"flood", "floods", 0.9}} {
		name := "Verify/" + kind.name + "/"
		alone, sha, v := median(one[name+"A"].mbs), median(all[name+"sha256"].wall), median(all[name+"A"].wall)
		rows = append(rows, row{fmt.Sprintf("Verify a recording, %s, without a key, %d processors", kind.shown, runtime.NumCPU()),
			fmt.Sprintf(">= %.0f %% of sha256", 100*kind.goal), fmt.Sprintf("%.0f MB/s; %.0f of one core", v, alone),
			fmt.Sprintf("sha256 of the same file %.0f MB/s; of its chunks one by one, as the chain wants it, %.0f", sha, median(one[name+"chain"].mbs)),
			ratio(v, sha), met(v >= kind.goal*sha)})
		sha, v = median(one[name+"sha256"].mbs), median(one[name+"AB"].mbs)
		rows = append(rows, row{fmt.Sprintf("Verify a recording, %s, with the reading key, one core", kind.shown), "-", fmt.Sprintf("%.0f MB/s", v),
			fmt.Sprintf("sha256 of the same file %.0f MB/s", sha), ratio(v, sha), ""})
	}
	return rows, nil
}

// ledgers measures how long one caller waits for its leaf in a signed checkpoint on disk.
func ledgers(b *bench) ([]row, error) {
	secret, _, err := note.GenerateKey(rand.Reader, "bench/log")
	if err != nil {
		return nil, err
	}
	s, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	l, err := ledger.Create(filepath.Join(b.dir, "log"), "bench/log", s)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	var took samples
	for range b.rounds(10) {
		for range 40 {
			e := ledger.Entry{Body: make([]byte, 300)}
			rand.Read(e.Body)
			rand.Read(e.Nonce[:])
			e.Leaf = ledger.Leaf{Type: "viewed", Commit: ledger.Commit(e.Nonce, e.Body)}
			began := time.Now()
			if _, err := l.Append(context.Background(), e); err != nil {
				return nil, err
			}
			took.add(time.Since(began))
			time.Sleep(keyPause)
		}
		if err := b.disk.sync(20); err != nil {
			return nil, err
		}
	}
	p95 := took.at(0.95)
	return []row{{"Leaf to signed checkpoint, on disk", "p95 <= 10 ms", fmt.Sprintf("p50 %s, p95 %s", ms(took.p50()), ms(p95)),
		fmt.Sprintf("one fdatasync p50 %s, p95 %s", ms(b.disk.took.p50()), ms(b.disk.took.at(0.95))), ratio(float64(took.p50()), float64(b.disk.took.p50())), met(p95 <= 10*time.Millisecond)}}, nil
}
