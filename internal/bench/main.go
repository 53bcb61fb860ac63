// Command bench measures what Sallyport promises about itself, each figure beside its reference in the same run, and
// prints a Markdown table.
//
// # How it measures
//
// Real programs: the gateway, the agents and the command line as they are built, beside OpenSSH's sshd and ssh with keys
// made for the run. What is compared is taken in turns, one round of each after the other, so that a machine that is
// busy or warm is so for all of them. Figures are medians. Ratios are what counts; a figure alone says something about the
// machine it was taken on.
//
// # What the measured programs are
//
// Two things that a run needs are in no product: a gateway that records nothing, as the baseline, and one whose sessions
// have no budget, for floods. They are made by `go build -overlay` (overlay.go), so that no switch for them exists
// anywhere else. The same way a gateway gets the signal that tells its heap and goroutines.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// section measures some rows.
type section struct {
	name string
	run  func(*bench) ([]row, error)
}

var sections = []section{
	{"keystroke", keystrokes}, {"flood", floods}, {"exec", execs}, {"paste", pastes}, {"start", starts}, {"distance", distances}, {"live", liveSessions},
	{"crowd", crowd}, {"core", core}, {"size", sizes}, {"heap", heap}, {"verify", verifies}, {"ledger", ledgers},
	{"lines", lines}, {"agent", agents}, {"authz", decisions}, {"requests", requestLists}, {"front", frontPage},
}

// bench is one run.
type bench struct {
	root  string // of the source tree
	dir   string // of this run, removed at its end
	quick bool
	some  bool              // not all sections
	built map[string]string // directories of programs, by variant
	demos map[string]*demo
	sshd  *sshd
	disk  *disk
	tests map[string]string // test programs, by package
	stops []func()
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == tlsPeer {
		exit(serveTLS(os.Args[2:]))
	}
	quick := flag.Bool("quick", os.Getenv("BENCH") == "quick", "fewer rounds")
	only := flag.String("only", os.Getenv("ONLY"), "sections, as a regular expression")
	into := flag.String("into", "", "page whose table is replaced; otherwise the table is printed")
	flag.Parse()
	exit(run(*quick, *only, *into))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(quick bool, only, into string) error {
	choice, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	b, err := newBench(quick)
	if err != nil {
		return err
	}
	defer b.close()
	b.some = only != ""
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		b.close()
		os.Exit(1)
	}()
	var rows []row
	failed := 0
	for _, s := range sections {
		if !choice.MatchString(s.name) {
			continue
		}
		began := time.Now()
		got, err := s.run(b)
		if err != nil {
			failed++
			got = append(got, row{what: s.name, measured: "failed: " + err.Error()})
		}
		rows = append(rows, got...)
		for _, r := range got {
			fmt.Fprintln(os.Stderr, r.line())
		}
		b.say("%s: %.0f s", s.name, time.Since(began).Seconds())
	}
	if err := publish(b, rows, into); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d sections could not be measured", failed)
	}
	return nil
}

// favoured asks for a better place than other work on the machine; children inherit it, so that both sides have it. Without the right
// to it the run is only noisier.
func favoured() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, -10) }

func newBench(quick bool) (*bench, error) {
	favoured()
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return nil, fmt.Errorf("run it at the top of the source tree: %w", err)
	}
	dir, err := os.MkdirTemp("", "sallyport-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{root: root, dir: dir, quick: quick, built: map[string]string{}, demos: map[string]*demo{}, tests: map[string]string{}}
	b.stops = append(b.stops, func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the demo's shells run as another user
		return nil, err
	}
	b.disk, err = newDisk(dir)
	return b, err
}

func (b *bench) close() {
	for i := len(b.stops) - 1; i >= 0; i-- {
		b.stops[i]()
	}
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+"bench: "+format+"\n", args...)
}

// rounds gives the number of rounds: n, or a few in a quick run.
func (b *bench) rounds(n int) int {
	if b.quick {
		return max(2, n/4)
	}
	return n
}
