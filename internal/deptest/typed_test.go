package deptest

import (
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// checked is a package with its types.
type checked struct {
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	pkg   *types.Package
}

// gatewayPackages asks the go command once for the export data of all that gateway needs, and for the directories of the
// packages below gateway.
var gatewayPackages = sync.OnceValues(func() (p struct{ export, dirs map[string]string }, err error) {
	cmd := exec.Command("go", "list", "-deps", "-export", "-f", "{{.ImportPath}} {{.Export}} {{.Dir}}", "./gateway/...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	p.export, p.dirs = map[string]string{}, map[string]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		p.export[f[0]] = f[1]
		if name, ours := strings.CutPrefix(f[0], module+"/gateway"); ours {
			p.dirs["gateway"+name] = f[2]
		}
	}
	return p, err
})

// typesOf checks the types of the packages below gateway.
func typesOf(t *testing.T) map[string]checked { return typesWith(t, "", "") }

// typesWith adds a file with this source to the package of a name, and checks that one and the recorded door alone.
func typesWith(t *testing.T, to, source string) map[string]checked {
	t.Helper()
	touch(t, filepath.Join("..", ".."))
	p, err := gatewayPackages()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(p.export[path]) })
	all := map[string]checked{}
	for name, dir := range p.dirs {
		switch {
		case name == to:
			all[name] = check(t, fset, imp, name, dir, source)
		case to == "" || name == doorPath:
			all[name] = check(t, fset, imp, name, dir, "")
		}
	}
	return all
}

func check(t *testing.T, fset *token.FileSet, imp types.Importer, name, dir, more string) checked {
	t.Helper()
	bp, err := build.ImportDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := checked{fset: fset, info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
		Defs: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}}
	for _, file := range bp.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(dir, file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		c.files = append(c.files, f)
	}
	if more != "" {
		f, err := parser.ParseFile(fset, filepath.Join(dir, "more.go"), more, 0)
		if err != nil {
			t.Fatal(err)
		}
		c.files = append(c.files, f)
	}
	conf := types.Config{Importer: imp}
	if c.pkg, err = conf.Check(module+"/"+name, fset, c.files, c.info); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}
