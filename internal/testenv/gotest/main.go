// Command gotest reads `go test -json` and says what matters: a line a package as it ends, the output of what failed,
// which tests took longest, and how many passed and failed. It writes "passed failed" to the file named by its
// argument.
//
// The gate counts by it, so it must not count too well: a test that was skipped and a package that does not build are failures.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json … | gotest COUNTS")
		os.Exit(2)
	}
	passed, failed := 0, 0
	var tests []event
	output := map[string][]string{}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // what the toolchain says outside the protocol
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
		case "build-output":
			fmt.Print(e.Output)
		case "pass":
			if e.Test != "" {
				passed++
				tests = append(tests, e)
			} else {
				fmt.Printf("ok    %7.2fs %s\n", e.Elapsed, e.Package)
			}
			delete(output, key)
		case "fail":
			failed++
			fmt.Printf("FAIL  %7.2fs %s %s\n%s", e.Elapsed, e.Package, e.Test, strings.Join(output[key], ""))
			delete(output, key)
		case "skip":
			if e.Test != "" { // nothing here skips: what cannot run is a failure with its reason
				failed++
				fmt.Printf("SKIP  %s %s\n%s", e.Package, e.Test, strings.Join(output[key], ""))
			}
		}
	}
	sayLongest(tests)
	fmt.Printf("go: %d passed, %d failed\n", passed, failed)
	if err := os.WriteFile(os.Args[1], fmt.Appendf(nil, "%d %d\n", passed, failed), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// sayLongest names the ten tests that took longest, of those that took at least five seconds.
func sayLongest(tests []event) {
	tests = slices.DeleteFunc(tests, func(e event) bool { return e.Elapsed < 5 || strings.Contains(e.Test, "/") })
	slices.SortFunc(tests, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range tests[:min(10, len(tests))] {
		fmt.Printf("      %7.2fs %s %s\n", e.Elapsed, e.Package, e.Test)
	}
}
