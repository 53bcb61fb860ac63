package deptest

import (
	"fmt"
	"go/types"
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
