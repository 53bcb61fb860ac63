package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/writer"
)

// node makes a recorder of its own, on this run's disk.
func (b *bench) node(name string, change func(*writer.NodeConfig)) (*writer.Node, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	reader, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	cfg := writer.NodeConfig{Dir: filepath.Join(b.dir, name), Key: key, LogOrigin: "bench/log", Readers: []age.Recipient{reader.Recipient()},
		Unsealers: []age.Recipient{reader.Recipient()}, JournalBytes: 64 << 20, Burst: 1 << 50}
	if change != nil {
		change(&cfg)
	}
	n, _, err := writer.OpenNode(context.Background(), cfg)
	return n, err
}

func newSession() (s id.Session) {
	rand.Read(s[:])
	return s
}

const crowdSize = 500

// crowd types into 500 recordings at once. There is no gateway: what is measured is the time that the recorder adds to a key.
func crowd(b *bench) ([]row, error) {
	n, err := b.node("crowd", nil)
	if err != nil {
		return nil, err
	}
	defer n.Close(context.Background())
	took := make([]samples, crowdSize)
	errs := make(chan error, crowdSize)
	seconds := time.Duration(b.rounds(20)) * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+seconds)
	defer cancel()
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range crowdSize {
		r, err := beginPart(ctx, n, newSession())
		if err != nil {
			return nil, err
		}
		all.Go(func() {
			<-begin
			time.Sleep(time.Duration(i) * typistPause / crowdSize)
			errs <- typist(ctx, r, &took[i], time.Now().Add(seconds))
		})
	}
	close(begin)
	all.Wait()
	var keys samples
	for i := range took {
		if err := <-errs; err != nil {
			return nil, err
		}
		keys = append(keys, took[i]...)
	}
	p50, p99 := keys.p50(), keys.at(0.99)
	return []row{{fmt.Sprintf("Recorder, added to one keystroke, strict, %d sessions typing %.0f keys a second in all, each echoed", crowdSize, float64(crowdSize)/typistPause.Seconds()),
		"p50 <= 1 ms, p99 <= 10 ms", fmt.Sprintf("p50 %s, p99 %s", ms(p50), ms(p99)), fmt.Sprintf("no recorder: 0; one fdatasync p50 %s, p99 %s", ms(b.disk.took.p50()), ms(b.disk.took.at(0.99))),
		"", met(p50 <= time.Millisecond && p99 <= 10*time.Millisecond)}}, nil
}

// beginPart begins a recording with the shell that the rest is about.
func beginPart(ctx context.Context, n *writer.Node, session id.Session) (recorder.Recording, error) {
	r, err := n.Create(ctx, recorder.PartConfig{Session: session})
	if err != nil {
		return nil, err
	}
	return r, r.Start(1, 80, 24, "channel 1 as svc; terminal xterm-256color, 80 columns, 24 rows; no environment; a shell")
}

const typistPause = 500 * time.Millisecond

// typist types keys into a recording; each is judged and echoed.
func typist(ctx context.Context, r recorder.Recording, took *samples, until time.Time) error {
	for at := uint64(0); time.Now().Before(until); at++ {
		began := time.Now()
		if err := r.Input(ctx, 1, 0, []byte{'k'}); err != nil {
			return err
		}
		took.add(time.Since(began))
		r.Verdict(1, at, 1, false)
		if err := r.Output(ctx, 1, format.StreamOut, []byte{'k'}); err != nil {
			return err
		}
		time.Sleep(typistPause)
	}
	_, err := r.Close(ctx, "exit")
	return err
}

// heap measures what an open recording holds in memory, just used and at rest.
func heap(b *bench) ([]row, error) {
	n, err := b.node("heap", nil)
	if err != nil {
		return nil, err
	}
	defer n.Close(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	before := inUse()
	var open []recorder.Recording
	for range crowdSize {
		r, err := beginPart(ctx, n, newSession())
		if err != nil {
			return nil, err
		}
		open = append(open, r)
	}
	screen := bytes.Repeat([]byte("drwxr-xr-x 2 root root 4096 Nov 25 10:00 what\r\n"), 200)
	for _, r := range open {
		if err := r.Output(ctx, 1, format.StreamOut, screen); err != nil {
			return nil, err
		}
	}
	used := float64(inUse()-before) / crowdSize
	time.Sleep(17 * time.Second) // an idle recording gives its compressor back after ten
	rest := float64(inUse()-before) / crowdSize
	for _, r := range open {
		if _, err := r.Close(ctx, "exit"); err != nil {
			return nil, err
		}
	}
	return []row{{fmt.Sprintf("Heap of an open recording, %d open", crowdSize), "<= 1 MB", fmt.Sprintf("%.2f MB just used, %.2f MB after 17 s of rest", used/1e6, rest/1e6), "-", "", met(used <= 1e6)}}, nil
}

// inUse is the live heap.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // pools let go at the second one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(.*)$`)

// figure is what one Go benchmark gave. mbs is megabytes a second of processor time, wall of the clock's.
type figure struct{ ns, mbs, wall, allocs []float64 }

// What a benchmark reports beside its time.
var (
	allocs  = regexp.MustCompile(`([\d.]+) allocs/op`)
	cpuMBs  = regexp.MustCompile(`([\d.]+) cpu-MB/s`)
	wallMBs = regexp.MustCompile(`([\d.]+) MB/s`)
)

// find appends what a benchmark's line says, if it says so.
func find(in string, what *regexp.Regexp, to *[]float64) {
	if m := what.FindStringSubmatch(in); m != nil {
		v, _ := strconv.ParseFloat(m[1], 64)
		*to = append(*to, v)
	}
}

// gobench runs Go benchmarks of a package several times, all of them in each round, on so many processors.
func (b *bench) gobench(pkg, pattern string, rounds, procs int) (map[string]figure, error) {
	test, ok := b.tests[pkg]
	if !ok {
		test = filepath.Join(b.dir, filepath.Base(pkg)+".test")
		cmd := exec.Command("go", "test", "-c", "-tags", "sqlite_fts5", "-o", test, ".")
		cmd.Dir = filepath.Join(b.root, pkg)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go test -c %s: %w\n%s", pkg, err, out)
		}
		b.tests[pkg] = test
	}
	all := map[string]figure{}
	for range rounds {
		cmd := exec.Command(test, "-test.run", "^$", "-test.bench", pattern, "-test.benchmem", "-test.benchtime", "500ms")
		cmd.Dir, cmd.Env = filepath.Join(b.root, pkg), append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", procs))
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("benchmarks of %s: %w\n%s", pkg, err, out)
		}
		for _, m := range benchLine.FindAllStringSubmatch(string(out), -1) {
			f := all[m[1]]
			ns, _ := strconv.ParseFloat(m[2], 64)
			f.ns = append(f.ns, ns)
			find(m[3], cpuMBs, &f.mbs)
			find(m[3], wallMBs, &f.wall)
			find(m[3], allocs, &f.allocs)
			all[m[1]] = f
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no benchmark of %s matches %s", pkg, pattern)
	}
	return all, nil
}
