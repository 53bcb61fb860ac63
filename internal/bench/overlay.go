package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// Variants of the gateway. What is shipped has none of this.
const (
	strict     = "strict"     // as shipped, but for the budget of a session and the limits on live sessions
	unrecorded = "unrecorded" // strict, and no stream reaches the recorder
)

// edit changes one source file for a build. Each pattern must match, or the build is not what its name says.
type edit struct {
	file    string
	pattern string
	with    string
}

var (
	noBudget = []edit{
		{"recorder/writer/node.go", `or\(&c\.Burst, 256<<20\)`, `or(&c.Burst, 1<<50)`},
		{"internal/demo/seed.go", `PerPerson, 8\), cmp\.Or\(s\.Sizes\.PerDevice, 4\)`, `PerPerson, 1000), cmp.Or(s.Sizes.PerDevice, 1000)`},
	}
	noRecord = []edit{
		{"recorder/writer/record.go", `(?m)^func \(r \*Recording\) Input\(.*\{$`, "$0\n\tif true {\n\t\treturn nil\n\t}"},
		{"recorder/writer/record.go", `(?m)^func \(r \*Recording\) Output\(.*\{$`, "$0\n\tif true {\n\t\treturn nil\n\t}"},
		{"recorder/writer/verdict.go", `(?m)^func \(r \*Recording\) Verdict\(.*\{$`, "$0\n\tif true {\n\t\treturn\n\t}"},
	}
)

// program gives the path of a variant's gateway and command line, with the agent beside it.
func (b *bench) program(variant string) (string, error) {
	if dir, ok := b.built[variant]; ok {
		return filepath.Join(dir, "sallyport"), nil
	}
	b.say("build %s", variant)
	dir := filepath.Join(b.dir, "bin-"+variant)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	edits := editsOf(variant)
	overlay, err := b.overlay(dir, edits)
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "sallyport")
	if err := b.gobuild("-tags", "sqlite_fts5", "-overlay", overlay, "-o", out, "./cmd/sallyport"); err != nil {
		return "", err
	}
	agent := exec.Command("make", "-s", "OUT="+dir, dir+"/sallyport-agent")
	agent.Dir = b.root
	if out, err := agent.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make sallyport-agent: %w\n%s", err, out)
	}
	b.built[variant] = dir
	return out, nil
}

func editsOf(variant string) []edit {
	if variant == unrecorded {
		return append(noBudget[:len(noBudget):len(noBudget)], noRecord...)
	}
	return noBudget
}

func (b *bench) gobuild(args ...string) error {
	cmd := exec.Command("go", append([]string{"build"}, args...)...)
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %v: %w\n%s", args, err, out)
	}
	return nil
}

// overlay writes the changed files and the list that the go command wants.
func (b *bench) overlay(dir string, edits []edit) (string, error) {
	replace := map[string]string{}
	texts := map[string][]byte{}
	for _, e := range edits {
		text, ok := texts[e.file]
		if !ok {
			var err error
			if text, err = os.ReadFile(filepath.Join(b.root, e.file)); err != nil {
				return "", err
			}
		}
		p := regexp.MustCompile(e.pattern)
		if !p.Match(text) {
			return "", fmt.Errorf("%s has changed: nothing matches %q", e.file, e.pattern)
		}
		texts[e.file] = p.ReplaceAll(text, []byte(e.with))
	}
	texts["cmd/sallyport/stats.go"] = []byte(statsSource)
	for file, text := range texts {
		changed := filepath.Join(dir, filepath.Base(file)+".overlay")
		if err := os.WriteFile(changed, text, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(b.root, file)] = changed
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, raw, 0o644)
}

// statsSource is added to a gateway under test: at SIGUSR2 it says what its memory is used for, before and after a collection;
// SIGUSR1 begins a CPU profile and ends it.
const statsSource = `package main

import (
	"encoding/json"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"
)

func init() {
	path := os.Getenv("SALLYPORT_BENCH_STATS")
	if path == "" {
		return
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		var profile *os.File
		for s := range c {
			if s == syscall.SIGUSR1 && profile == nil {
				profile, _ = os.Create(path + ".cpu")
				pprof.StartCPUProfile(profile)
				continue
			} else if s == syscall.SIGUSR1 {
				pprof.StopCPUProfile()
				profile.Close()
				profile = nil
				continue
			}
			var natural, least runtime.MemStats
			runtime.ReadMemStats(&natural)
			runtime.GC()
			runtime.ReadMemStats(&least)
			raw, _ := json.Marshal(map[string]uint64{"goroutines": uint64(runtime.NumGoroutine()), "in_use": natural.HeapInuse + natural.StackInuse,
				"least": least.HeapInuse + least.StackInuse, "stacks": least.StackInuse, "objects": least.HeapAlloc})
			os.WriteFile(path+".new", raw, 0o600)
			os.Rename(path+".new", path)
			heap, _ := os.Create(path + ".heap")
			pprof.Lookup("heap").WriteTo(heap, 0)
			heap.Close()
		}
	}()
}
`
