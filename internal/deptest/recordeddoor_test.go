package deptest

import (
	"fmt"
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
	"slices"
	"strings"
	"sync"
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

// TestOnlyTheRecordedDoorHoldsTheSessionLine: whatever else could send into a session line would be a second way to the
// device, one that is not recorded.
func TestOnlyTheRecordedDoorHoldsTheSessionLine(t *testing.T) {
	all := typesOf(t)
	if len(all) < 3 {
		t.Fatalf("found %d packages below gateway", len(all))
	}
	all[doorPath].shows(t)
	for _, problem := range outside(all) {
		t.Error(problem)
	}
}

// outside gives what gateway code beside the recorded door may not do.
func outside(all map[string]checked) (problems []string) {
	recording := all[doorPath].pkg.Scope().Lookup("Recording").Type().Underlying().(*types.Interface)
	for name, c := range all {
		problems = append(problems, c.roundabout()...)
		if name == doorPath {
			continue
		}
		for e, tv := range c.info.Types {
			if bad := sending(tv.Type); bad != "" {
				problems = append(problems, fmt.Sprintf("%s: an expression has the type ssh.%s; only %s may hold it",
					c.fset.Position(e.Pos()), bad, doorPath))
			}
			if records(tv.Type, recording) {
				problems = append(problems, fmt.Sprintf("%s: %s gives receipts, and only what records may",
					c.fset.Position(e.Pos()), tv.Type))
			}
		}
		for id, o := range c.info.Uses {
			if o.Pkg() != nil && o.Pkg().Path() == sshPath && o.Parent() == o.Pkg().Scope() && !harmless[o.Name()] {
				problems = append(problems,
					fmt.Sprintf("%s: ssh.%s belongs into %s", c.fset.Position(id.Pos()), o.Name(), doorPath))
			}
		}
		for id, o := range c.info.Defs {
			if _, ok := o.(*types.TypeName); ok && records(o.Type(), recording) {
				problems = append(problems, fmt.Sprintf("%s: %s gives receipts, and only what records may",
					c.fset.Position(id.Pos()), id.Name))
			}
		}
	}
	return problems
}

// roundabout gives the imports by which code gets at what a package does not show.
func (c checked) roundabout() (problems []string) {
	for _, f := range c.files {
		for _, i := range f.Imports {
			if p := i.Path.Value; p == `"reflect"` || p == `"unsafe"` || p == `"C"` {
				problems = append(problems,
					fmt.Sprintf("%s: with %s code reaches what the recorded door hides", c.fset.Position(i.Pos()), p))
			}
		}
	}
	return problems
}

// records reports whether a type of our own, and no interface, is taken for a recording by the recorded door.
func records(t types.Type, recording *types.Interface) bool {
	if t == nil || types.IsInterface(t) {
		return false
	}
	return types.Implements(t, recording) || types.Implements(types.NewPointer(t), recording)
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

// quiet are the other methods that may be called on a connection or channel.
var quiet = map[string]bool{"Close": true, "Wait": true, "Stderr": true, "Reject": true}

// readers are the functions that may give a channel away as what is only read, and why that is so.
var readers = map[string]string{
	"Channel.Stdout": "what it gives has Read alone",
	"Channel.Stderr": "what it gives has Read alone",
	"Events.Next":    "wire.ReadEvent takes an io.Reader",
}

// TestTheRecordedDoorSendsWithAReceiptOnly reads every use of what can send, and every receipt that is made.
func TestTheRecordedDoorSendsWithAReceiptOnly(t *testing.T) {
	found, problems := typesOf(t)[doorPath].reads()
	for _, p := range problems {
		t.Error(p)
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

// TestASecondWayToTheDeviceIsFound: each of these would send something that the record does not have.
func TestASecondWayToTheDeviceIsFound(t *testing.T) {
	const head = "package sessionline\nimport (\"io\"; \"golang.org/x/crypto/ssh\")\nvar _ io.Writer\nvar _ ssh.Channel\n"
	if _, problems := typesWith(t, doorPath, head)[doorPath].reads(); len(problems) > 0 {
		t.Errorf("nothing is added, and found is %q", problems)
	}
	if problems := outside(typesWith(t, "gateway", "package gateway\n")); len(problems) > 0 {
		t.Errorf("nothing is added, and found is %q", problems)
	}
	for name, source := range map[string]string{
		"a function in a variable": `var x = func(c *Channel) { c.ch.Write(nil) }`,
		"a method as a value":      `func (c *Channel) x() func([]byte) (int, error) { return c.ch.Write }`,
		"an argument":              `func (c *Channel) x() { io.WriteString(c.ch, "x") }`,
		"an interface":             `func (c *Channel) x() { var w io.Writer = c.ch; w.Write(nil) }`,
		"an interface, assigned":   `func (c *Channel) x() { var w io.Writer; w = c.ch; w.Write(nil) }`,
		"an interface, of two results": `func (l *Line) x() {
			var w io.Writer
			w, _, _ = l.conn.OpenChannel("x", nil)
			w.Write(nil)
		}`,
		"an interface in a struct": `func (c *Channel) x() { s := struct{ w io.Writer }{w: c.ch}; s.w.Write(nil) }`,
		"a result":                 `func (c *Channel) x() io.Writer { return c.ch }`,
		"several results":          `func (l *Line) x() (io.Writer, any, error) { return l.conn.OpenChannel("x", nil) }`,
		"an embedded channel": `type door struct{ ssh.Channel }
			func (c *Channel) x() { d := door{c.ch}; io.WriteString(d, "x") }`,
		"the error output":              `func (c *Channel) x() { w := c.ch.Stderr(); w.Write(nil) }`,
		"a Go channel":                  `func (c *Channel) x() { w := make(chan io.Writer, 1); w <- c.ch }`,
		"another client":                `func (l *Line) x() { ssh.NewClient(l.conn, nil, nil) }`,
		"another method":                `func (c *Channel) x(s *ssh.Session) { s.Run("x") }`,
		"a receipt that is not checked": `func (c *Channel) x(r receipt) { c.ch.Write(nil) }`,
		"a receipt of another channel": `func (c *Channel) x(r receipt, d *Channel) {
			if err := c.check(r); err == nil {
				d.ch.Write(nil)
			}
		}`,
		"a receipt that is made":         `func (c *Channel) x() { c.send(receipt{c}, nil) }`,
		"a receipt that is changed":      `func (c *Channel) x() { var r receipt; r.of = c; c.send(r, nil) }`,
		"a receipt behind another name":  `type again receipt; func (c *Channel) x() { c.send(receipt(again{c}), nil) }`,
		"a receipt in a list":            `func (c *Channel) x() { c.send([]receipt{{c}}[0], nil) }`,
		"a channel that the device asks": `func (c *Channel) x(n ssh.NewChannel) { ch, _, _ := n.Accept(); ch.Write(nil) }`,
	} {
		if _, problems := typesWith(t, doorPath, head+source)[doorPath].reads(); len(problems) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
	for name, source := range map[string]string{
		"reflection": `import "reflect"; func (c *Channel) x() { reflect.ValueOf(c.line.Stdout()) }`,
		"unsafe":     `import "unsafe"; func (c *Channel) x() { _ = unsafe.Pointer(c.line) }`,
		"a recording of its own": `import s "github.com/sallyport/sallyport/gateway/sessionline"
			type forgetful struct{ s.Recording }`,
		"one without a name": `import s "github.com/sallyport/sallyport/gateway/sessionline"
			func x(r s.Recording) s.Recording { return struct{ s.Recording }{r} }`,
		"a connection of its own": `import ("net"; "golang.org/x/crypto/ssh")
			func x(n net.Conn) { ssh.NewClientConn(n, "", nil) }`,
	} {
		if len(outside(typesWith(t, "gateway", "package gateway\n"+source))) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}

// doorReader reads the package of the recorded door.
type doorReader struct {
	checked
	found    map[string]int // calls of each method that sends, and receipts
	problems []string
}

func (c checked) reads() (found map[string]int, problems []string) {
	r := doorReader{checked: c, found: map[string]int{}, problems: c.roundabout()}
	for _, f := range c.files {
		var above []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				above = above[:len(above)-1]
				return true
			}
			r.node(n, above)
			above = append(above, n)
			return true
		})
	}
	return r.found, r.problems
}

func (r *doorReader) problem(at ast.Node, text string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf("%s: %s", r.fset.Position(at.Pos()), fmt.Sprintf(text, args...)))
}

func (r *doorReader) node(n ast.Node, above []ast.Node) {
	fn, name := within(above)
	switch n := n.(type) {
	case *ast.SelectorExpr:
		r.selected(n, fn, name)
	case *ast.CompositeLit:
		if t := r.info.TypeOf(n); t != nil && types.Identical(t.Underlying(), r.receipt().Underlying()) {
			if r.found["receipt"]++; name != "Channel.given" {
				r.problem(n, "%s makes a receipt", name)
			}
		}
	}
	e, ok := n.(ast.Expr)
	if !ok || !r.info.Types[e].IsValue() || len(above) == 0 {
		return
	}
	t := r.info.TypeOf(e)
	if tuple, ok := t.(*types.Tuple); ok {
		for i := range tuple.Len() {
			if r.carries(tuple.At(i).Type()) && !r.keepsOf(above[len(above)-1], i, tuple.At(i).Type()) {
				r.problem(n, "%s gives away result %d, which can send", name, i)
			}
		}
		return
	}
	if (r.carries(t) || r.isStderr(e)) && readers[name] == "" && !r.keeps(above, e, t) {
		r.problem(n, "%s gives away %s, which can send", name, types.ExprString(e))
	}
}

// within gives the function that a node is in; a nil one and no name outside of functions.
func within(above []ast.Node) (*ast.FuncDecl, string) {
	for _, n := range above {
		if fn, ok := n.(*ast.FuncDecl); ok {
			name := fn.Name.Name
			if fn.Recv != nil {
				name = strings.TrimPrefix(types.ExprString(fn.Recv.List[0].Type), "*") + "." + name
			}
			return fn, name
		}
	}
	return nil, ""
}

// selected reads one method or field that is selected.
func (r *doorReader) selected(s *ast.SelectorExpr, fn *ast.FuncDecl, name string) {
	sel := r.info.Selections[s]
	if sel == nil {
		return
	}
	if obj := sel.Obj(); sel.Kind() == types.FieldVal {
		if obj.Name() == "of" && types.Identical(sel.Recv().Underlying(), r.receipt().Underlying()) && name != "Channel.check" {
			r.problem(s, "%s looks into a receipt", name)
		}
		return
	}
	method := s.Sel.Name
	switch {
	case !r.carries(sel.Recv()) && !r.isStderr(s.X):
	case sends[method] != nil:
		r.found[method]++
		if sends[method][name] == "" && !r.checksReceipt(fn, s) {
			r.problem(s, "%s calls %s without a receipt", name, method)
		}
	case !quiet[method] && readers[name] == "":
		r.problem(s, "%s calls %s, of which this test does not know whether it sends", name, method)
	}
}

func (r *doorReader) receipt() types.Type { return r.pkg.Scope().Lookup("receipt").Type() }

// carries reports whether a value of this type can send: it has such a method of SSH, also by embedding.
func (r *doorReader) carries(t types.Type) bool {
	if t == nil {
		return false
	}
	if n, ok := t.(*types.Named); ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == sshPath && n.Obj().Name() == "NewChannel" {
		return true // it becomes a channel
	}
	for _, t := range []types.Type{t, types.NewPointer(t)} {
		for m := range types.NewMethodSet(t).Methods() {
			if o := m.Obj(); sends[o.Name()] != nil && o.Pkg() != nil && o.Pkg().Path() == sshPath {
				return true
			}
		}
	}
	return false
}

// isStderr reports whether an expression is the error output of a channel, which is an io.ReadWriter.
func (r *doorReader) isStderr(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Stderr" && r.info.Selections[s] != nil && r.carries(r.info.Selections[s].Recv())
}

// keeps reports whether what is done with a value that can send leaves it in the sight of this test: a method of it is
// selected, it is compared, or stored as the same type.
func (r *doorReader) keeps(above []ast.Node, e ast.Expr, t types.Type) bool {
	switch p := above[len(above)-1].(type) {
	case *ast.SelectorExpr, *ast.BinaryExpr:
		return true
	case *ast.AssignStmt:
		i := slices.Index(p.Rhs, e)
		return !r.isStderr(e) && (i < 0 || r.keepsOf(p, i, t))
	case *ast.KeyValueExpr:
		key, ok := p.Key.(*ast.Ident)
		return ok && r.info.Uses[key] != nil && types.Identical(r.info.Uses[key].Type(), t)
	case *ast.CompositeLit:
		s, ok := r.info.TypeOf(p).Underlying().(*types.Struct)
		i := slices.Index(p.Elts, e)
		return ok && i >= 0 && types.Identical(s.Field(i).Type(), t)
	}
	return false
}

// keepsOf reports whether result i of what is assigned goes to a variable of its own type.
func (r *doorReader) keepsOf(parent ast.Node, i int, t types.Type) bool {
	p, ok := parent.(*ast.AssignStmt)
	if !ok || i >= len(p.Lhs) {
		return false
	}
	to := r.info.TypeOf(p.Lhs[i])
	return to == nil || types.Identical(to, t) // nil: the blank identifier
}

// checksReceipt reports whether a function begins by checking a receipt for the channel that it sends on.
func (r *doorReader) checksReceipt(fn *ast.FuncDecl, s *ast.SelectorExpr) bool {
	if fn == nil || fn.Recv == nil || len(fn.Recv.List[0].Names) == 0 || len(fn.Body.List) == 0 {
		return false
	}
	first, ok := fn.Body.List[0].(*ast.IfStmt)
	if !ok || first.Init == nil {
		return false
	}
	check, ok := first.Init.(*ast.AssignStmt)
	self := fn.Recv.List[0].Names[0].Name
	return ok && strings.HasPrefix(types.ExprString(check.Rhs[0]), self+".check(") && types.ExprString(s.X) == self+".ch"
}
