package deptest

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documents are the pages that speak of the code by name. A name that is no longer there sends a reader astray.
func documents(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "docs/pictures/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			raw, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(root, p)
			out[filepath.ToSlash(rel)] = string(raw)
		}
	}
	return out
}

var (
	codeWord = regexp.MustCompile("`([^`\n]+)`")
	treePath = regexp.MustCompile(`^(authz|recorder|gateway|web|cmd|internal|docs|deploy|tests)/[A-Za-z0-9_./-]*$`)
	pageLink = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	testName = regexp.MustCompile(`^Test[A-Z]\w+$`)
	fileName = regexp.MustCompile("`([a-z][A-Za-z0-9_./-]*)` `([A-Za-z][A-Za-z0-9_.]*)`")
	inPkg    = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*(?:\.[A-Z]\w*)?)$`)
	limitRow = regexp.MustCompile("(?m)^\\| ([^|]+) \\| ([0-9]+)( [A-Za-z]+)? \\| `([^`]+\\.go)` `(\\w+)` \\|$")
)

func TestWhatTheDocumentsNameIsThere(t *testing.T) {
	root := filepath.Join("..", "..")
	x := index(t, root)
	for page, text := range documents(t, root) {
		for _, m := range pageLink.FindAllStringSubmatch(text, -1) {
			if to := filepath.Join(root, filepath.Dir(page), m[1]); !strings.Contains(m[1], "://") && !there(to) {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
		for _, m := range codeWord.FindAllStringSubmatch(text, -1) {
			if what := x.missing(root, m[1]); what != "" {
				t.Errorf("%s names `%s`: %s", page, m[1], what)
			}
		}
		for _, m := range fileName.FindAllStringSubmatch(text, -1) {
			if what := x.missingIn(m[1], m[2]); what != "" {
				t.Errorf("%s names `%s` `%s`: %s", page, m[1], m[2], what)
			}
		}
	}
}

// TestTheLimitsOfTheSpecificationsAreThoseOfTheCode compares the tables of limits with the constants that they name.
func TestTheLimitsOfTheSpecificationsAreThoseOfTheCode(t *testing.T) {
	root := filepath.Join("..", "..")
	pages := documents(t, root)
	tables := pages["docs/protocol.md"] + "\n" + pages["docs/recording-format.md"] + "\n" + pages["docs/proxies.md"]
	rows := limitRow.FindAllStringSubmatch(tables, -1)
	if len(rows) < 40 {
		t.Fatalf("got %d rows with a limit, want 40 and more", len(rows))
	}
	for _, m := range rows {
		n, _ := strconv.ParseInt(m[2], 10, 64)
		unit, known := units[strings.TrimSpace(m[3])]
		got, err := constantOf(filepath.Join(root, m[4]), m[5])
		if err != nil || !known {
			t.Errorf("%s: unit %q known %v, %v", m[1], m[3], known, err)
		} else if want := n * unit; got != want {
			t.Errorf("%s: the code has %d, the document says %d", m[1], got, want)
		}
	}
}

// TestPackagesImportDownwardsAsTheArchitectureSays reads the lines of packages in ARCHITECTURE.md.
func TestPackagesImportDownwardsAsTheArchitectureSays(t *testing.T) {
	root := filepath.Join("..", "..")
	_, block, found := strings.Cut(documents(t, root)["ARCHITECTURE.md"], "```layers\n")
	block, _, _ = strings.Cut(block, "```")
	at := map[string]int{}
	for i, line := range strings.Split(block, "\n") {
		for _, p := range strings.Fields(line) {
			at[p] = i
		}
	}
	if !found || len(at) < 30 {
		t.Fatalf("got %d packages in lines, want 30 and more", len(at))
	}
	for p, line := range at {
		pkg, err := build.ImportDir(filepath.Join(root, p), 0)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		for _, imp := range pkg.Imports {
			dep, ours := strings.CutPrefix(imp, module+"/")
			if under, known := at[dep]; ours && known && under < line {
				t.Errorf("%s imports %s, which stands above it", p, dep)
			}
		}
	}
}

// TestEveryPackageSaysWhyItIsThere wants more than a line: what it is for, who may import it, against whom.
func TestEveryPackageSaysWhyItIsThere(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, dir := range packages(t, root) {
		pkg, err := build.ImportDir(filepath.Join(root, dir), 0)
		if err != nil || len(pkg.GoFiles) == 0 { // tests alone
			continue
		}
		longest := 0
		for _, name := range pkg.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			longest = max(longest, strings.Count(f.Doc.Text(), "\n"))
		}
		if longest < 4 {
			t.Errorf("%s: got a package comment of %d lines, want 4 and more", dir, longest)
		}
	}
}

// units in bytes or nanoseconds.
var units = map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": 1e9, "min": 60e9, "h": 3600e9}

// constantOf reads a constant out of a file. Its expression may use the file's other constants and package time.
func constantOf(path, name string) (int64, error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return 0, err
	}
	consts := map[string]ast.Expr{}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == len(v.Values) {
			for i, id := range v.Names {
				consts[id.Name] = v.Values[i]
			}
		}
		return true
	})
	v, err := value(consts, &ast.Ident{Name: name})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	n, _ := constant.Int64Val(v)
	return n, nil
}

func value(consts map[string]ast.Expr, e ast.Expr) (constant.Value, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0), nil
	case *ast.Ident:
		if def, ok := consts[e.Name]; ok {
			return value(consts, def)
		}
	case *ast.SelectorExpr:
		if n, ok := map[string]int64{"Millisecond": 1e6, "Second": 1e9, "Minute": 60e9, "Hour": 3600e9}[e.Sel.Name]; ok {
			return constant.MakeInt64(n), nil
		}
	case *ast.BinaryExpr:
		x, err := value(consts, e.X)
		if err != nil {
			return nil, err
		}
		y, err := value(consts, e.Y)
		if err != nil {
			return nil, err
		}
		if e.Op == token.SHL {
			n, _ := constant.Uint64Val(y)
			return constant.Shift(x, token.SHL, uint(n)), nil
		}
		return constant.BinaryOp(x, e.Op, y), nil
	}
	return nil, fmt.Errorf("%v is no constant that this test can read", e)
}

// names is what each file and each package declares: functions, types, constants, variables, and Type.Member.
type names struct {
	files    map[string][]string // by path in the tree
	packages map[string][]string // by the package's own name
	tests    map[string]bool
}

func index(t *testing.T, root string) names {
	t.Helper()
	x := names{files: map[string][]string{}, packages: map[string][]string{}, tests: map[string]bool{}}
	for _, dir := range packages(t, root) {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, dir, e.Name()), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			declared := declares(f)
			x.files[dir+"/"+e.Name()] = declared
			x.packages[f.Name.Name] = append(x.packages[f.Name.Name], declared...)
			for _, n := range declared {
				x.tests[n] = x.tests[n] || strings.HasSuffix(e.Name(), "_test.go")
			}
		}
	}
	return x
}

func declares(f *ast.File) (out []string) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			out = append(out, name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				out = append(out, specNames(s)...)
			}
		}
	}
	return out
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func specNames(s ast.Spec) (out []string) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			out = append(out, n.Name)
		}
	case *ast.TypeSpec:
		out = append(out, s.Name.Name)
		var members *ast.FieldList
		switch u := s.Type.(type) {
		case *ast.StructType:
			members = u.Fields
		case *ast.InterfaceType:
			members = u.Methods
		}
		if members != nil {
			for _, f := range members.List {
				for _, n := range f.Names {
					out = append(out, s.Name.Name+"."+n.Name)
				}
			}
		}
	}
	return out
}

// missing says what is wrong with a word in code type: a path of the tree, a test, or a name of one of our packages.
func (x names) missing(root, word string) string {
	switch {
	case treePath.MatchString(word):
		if !there(filepath.Join(root, word)) {
			return "no such file or directory"
		}
	case testName.MatchString(word):
		if !x.tests[word] {
			return "no such test"
		}
	case inPkg.MatchString(word):
		m := inPkg.FindStringSubmatch(word)
		if declared, ours := x.packages[m[1]]; ours && !slices.Contains(declared, m[2]) {
			return "package " + m[1] + " declares no such name"
		}
	}
	return ""
}

// missingIn says what is wrong with a name that stands behind its file or package.
func (x names) missingIn(where, name string) string {
	if declared, ok := x.files[where]; ok {
		if !slices.Contains(declared, name) {
			return "the file declares no such name"
		}
		return ""
	}
	var found bool
	var all []string
	for path, declared := range x.files {
		if filepath.ToSlash(filepath.Dir(path)) == strings.TrimSuffix(where, "/") {
			found, all = true, append(all, declared...)
		}
	}
	if found && !slices.Contains(all, name) {
		return "the package declares no such name"
	}
	return ""
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
