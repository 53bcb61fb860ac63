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
	"testing"
)

const (
	sshPath  = "golang.org/x/crypto/ssh"
	doorPath = "gateway/sessionline"
)

// harmless are the types and functions of SSH with which nothing can be sent: keys, certificates and errors.
var harmless = map[string]bool{
	"PublicKey": true, "Signer": true, "Certificate": true, "OpenChannelError": true,
	"ParsePublicKey": true, "NewPublicKey": true, "NewSignerFromSigner": true, "NewCertSigner": true,
	"FingerprintSHA256": true, "MarshalAuthorizedKey": true,
}

// checked is a package with its types.
type checked struct {
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	pkg   *types.Package
}

// typesOf checks the types of the packages below gateway, by the export data of the go command.
func typesOf(t *testing.T) map[string]checked {
	root := filepath.Join("..", "..")
	touch(t, root)
	cmd := exec.Command("go", "list", "-deps", "-export", "-f", "{{.ImportPath}} {{.Export}} {{.Dir}}", "./gateway/...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	export, dirs := map[string]string{}, map[string]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		export[f[0]] = f[1]
		if name, ours := strings.CutPrefix(f[0], module+"/gateway"); ours {
			dirs["gateway"+name] = f[2]
		}
	}
	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(export[path]) })
	all := map[string]checked{}
	for name, dir := range dirs {
		all[name] = check(t, fset, imp, name, dir)
	}
	return all
}

func check(t *testing.T, fset *token.FileSet, imp types.Importer, name, dir string) checked {
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
	conf := types.Config{Importer: imp}
	if c.pkg, err = conf.Check(module+"/"+name, fset, c.files, c.info); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

// TestOnlyTheRecordedDoorHoldsTheSessionLine: whatever else could send into a session line would be a second way to the
// device, one that is not recorded.
func TestOnlyTheRecordedDoorHoldsTheSessionLine(t *testing.T) {
	all := typesOf(t)
	if len(all) < 3 {
		t.Fatalf("found %d packages below gateway", len(all))
	}
	for name, c := range all {
		if name == doorPath {
			c.shows(t)
			continue
		}
		for e, tv := range c.info.Types {
			if bad := sending(tv.Type); bad != "" {
				t.Errorf("%s: an expression has the type ssh.%s; only %s may hold it", c.fset.Position(e.Pos()), bad, doorPath)
			}
		}
		for id, o := range c.info.Uses {
			if o.Pkg() != nil && o.Pkg().Path() == sshPath && o.Parent() == o.Pkg().Scope() && !harmless[o.Name()] {
				t.Errorf("%s: ssh.%s belongs into %s", c.fset.Position(id.Pos()), o.Name(), doorPath)
			}
		}
	}
}

// shows fails where the recorded door gives away what can send.
func (c checked) shows(t *testing.T) {
	for _, name := range c.pkg.Scope().Names() {
		o := c.pkg.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		if bad := sending(o.Type()); bad != "" {
			t.Errorf("%s.%s shows ssh.%s", doorPath, name, bad)
		}
		named, ok := o.Type().(*types.Named)
		if !ok {
			continue
		}
		if s, ok := named.Underlying().(*types.Struct); ok {
			for f := range s.Fields() {
				if bad := sending(f.Type()); f.Exported() && bad != "" {
					t.Errorf("%s.%s.%s shows ssh.%s", doorPath, name, f.Name(), bad)
				}
			}
		}
		for m := range named.Methods() {
			if bad := sending(m.Type()); m.Exported() && bad != "" {
				t.Errorf("%s.%s.%s shows ssh.%s", doorPath, name, m.Name(), bad)
			}
		}
	}
}

// sending gives the name of a type of SSH that is not harmless and that a type is made of; empty if there is none.
func sending(t types.Type) string {
	switch t := t.(type) {
	case *types.Named:
		if o := t.Obj(); o.Pkg() != nil && o.Pkg().Path() == sshPath && !harmless[o.Name()] {
			return o.Name()
		}
	case *types.Signature:
		return orElse(sending(t.Params()), sending(t.Results()))
	case *types.Tuple:
		for v := range t.Variables() {
			if bad := sending(v.Type()); bad != "" {
				return bad
			}
		}
	case *types.Map:
		return orElse(sending(t.Key()), sending(t.Elem()))
	case interface{ Elem() types.Type }: // a pointer, slice, array or channel
		return sending(t.Elem())
	}
	return ""
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// sends are the methods of an SSH connection or channel that send something, with the functions of the recorded door
// that may call them without a receipt, and why.
var sends = map[string]map[string]string{
	"Write":      {},
	"CloseWrite": {},
	"SendRequest": {
		"Line.alive": "a keepalive carries nothing that a person sent",
	},
	"OpenChannel": {
		"Line.OpenEvents": "the channel on which the device tells what only it knows",
		"Line.Open":       "starts nothing: the start needs a receipt",
	},
}

// TestTheRecordedDoorSendsWithAReceiptOnly reads every call by which something is sent, and every receipt that is made.
func TestTheRecordedDoorSendsWithAReceiptOnly(t *testing.T) {
	c := typesOf(t)[doorPath]
	found := map[string]int{}
	for _, f := range c.files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			c.readFunc(t, fn, found)
		}
	}
	for method := range sends {
		if found[method] == 0 {
			t.Errorf("nothing calls %s: this test reads the wrong code", method)
		}
	}
	if found["receipt"] == 0 {
		t.Error("no receipt is made: this test reads the wrong code")
	}
}

func (c checked) readFunc(t *testing.T, fn *ast.FuncDecl, found map[string]int) {
	name := fn.Name.Name
	if fn.Recv != nil {
		name = strings.TrimPrefix(types.ExprString(fn.Recv.List[0].Type), "*") + "." + name
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if method := n.Sel.Name; sends[method] != nil && c.ofSSH(n) {
				found[method]++
				if sends[method][name] == "" && !c.takesReceipt(fn) {
					t.Errorf("%s: %s calls %s without a receipt", c.fset.Position(n.Pos()), name, method)
				}
			}
		case *ast.CompositeLit:
			if c.isReceipt(c.info.TypeOf(n)) {
				if found["receipt"]++; name != "Channel.given" {
					t.Errorf("%s: %s makes a receipt", c.fset.Position(n.Pos()), name)
				}
			}
		}
		return true
	})
}

// ofSSH reports whether a method is selected from a connection or channel of SSH, or from what such a one gives.
func (c checked) ofSSH(s *ast.SelectorExpr) bool {
	sel := c.info.Selections[s]
	if sel == nil {
		return false
	}
	obj := sel.Obj()
	if obj.Pkg() != nil && obj.Pkg().Path() == sshPath {
		return true
	}
	_, isCall := s.X.(*ast.CallExpr) // ch.Stderr().Write: a method of io.Writer
	return isCall
}

func (c checked) takesReceipt(fn *ast.FuncDecl) bool {
	for _, p := range fn.Type.Params.List {
		if c.isReceipt(c.info.TypeOf(p.Type)) {
			return true
		}
	}
	return false
}

func (c checked) isReceipt(t types.Type) bool {
	n, ok := t.(*types.Named)
	return ok && n.Obj().Pkg() == c.pkg && n.Obj().Name() == "receipt"
}
