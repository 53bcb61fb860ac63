package deptest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	source "golang.org/x/tools/go/packages"
)

// target is a program for one system.
type target struct{ system, arch, program string }

// targets reads from the Makefile for which systems agents and clients are built.
func targets(t *testing.T) (out []target) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	list := func(variable string) []string {
		found := regexp.MustCompile(`for ` + variable + ` in ([^;]+);`).FindSubmatch(raw)
		if found == nil {
			t.Fatalf("the Makefile has no loop over %s", variable)
		}
		return strings.Fields(string(found[1]))
	}
	for _, arch := range list("a") {
		out = append(out, target{"linux", arch, "./cmd/sallyport-agent"})
	}
	for _, both := range list("t") {
		system, arch, _ := strings.Cut(both, "/")
		out = append(out, target{system, arch, "./cmd/sallyport"})
	}
	return out
}

// TestAgentsAndClientsTypeCheckForEverySystem: compiling them all takes three minutes, and `make agents clients` does that.
// What breaks on one system alone, such as a file, a system call or the size of an integer, is an error of types.
func TestAgentsAndClientsTypeCheckForEverySystem(t *testing.T) {
	all := targets(t)
	if len(all) != 8 {
		t.Errorf("got %d targets, want 5 agents and 3 clients: %v", len(all), all)
	}
	for _, x := range all {
		loaded, err := source.Load(&source.Config{Dir: filepath.Join("..", ".."),
			Mode: source.NeedName | source.NeedFiles | source.NeedCompiledGoFiles | source.NeedImports | source.NeedDeps |
				source.NeedTypes | source.NeedSyntax | source.NeedTypesSizes,
			Env: append(os.Environ(), "CGO_ENABLED=0", "GOOS="+x.system, "GOARCH="+x.arch)}, x.program)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		source.Visit(loaded, nil, func(p *source.Package) {
			n++
			for _, e := range p.Errors {
				t.Errorf("%v: %v", x, e)
			}
		})
		if n < 50 {
			t.Errorf("%v: only %d packages were checked", x, n)
		}
	}
}
