package deptest

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

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
