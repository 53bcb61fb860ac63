package wire

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/authz"
)

func scope(t testing.TB, login string, actions []string, templates ...authz.Template) authz.Scope {
	t.Helper()
	s, err := authz.ParseScope(login, actions, templates)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// template reads "/bin/x {word}" for tests. A word in quotes is a literal.
func template(line string) authz.Template {
	var out authz.Template
	for _, w := range strings.Fields(line) {
		switch w {
		case "{word}":
			out = append(out, authz.Word{Placeholder: authz.AnyWord})
		case "{number}":
			out = append(out, authz.Word{Placeholder: authz.AnyNumber})
		default:
			out = append(out, authz.Word{Literal: strings.Trim(w, "'")})
		}
	}
	return out
}

// TestAPassCarriesItsScope also has a literal that spells a placeholder, which a text alone could not tell from one.
func TestAPassCarriesItsScope(t *testing.T) {
	ca, key := newKey(t), newKey(t)
	want := scope(t, "svc", []string{"files.read:/var/log", "run:svc /bin/x '{word}'", "shell:svc"},
		template("/bin/x {word} '{number}'"), template("/bin/y {number} a"))
	g, from := testGrant(), time.Unix(1_800_000_000, 0)
	g.SetScope(want)
	p, err := NewPass(g, key.PublicKey(), ca.PublicKey(), from, from.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.Sign(ca)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePass(raw, []ssh.PublicKey{ca.PublicKey()})
	if err != nil || !got.Scope.Equal(want) || !p.Scope.Equal(want) {
		t.Fatalf("got %q, %v, want %q", got.Scope.Words(), err, want.Words())
	}
	for argv, covers := range map[string]bool{"/bin/x {word}": true, "/bin/x go": false, "/bin/x go {number}": true, "/bin/x go 7": false} {
		if got.Scope.Covers(authz.RunAction("svc", strings.Fields(argv))) != covers {
			t.Errorf("%s: covered is %v, want %v", argv, !covers, covers)
		}
	}
	if read, err := ReadPass(raw); err != nil || !read.Scope.Equal(want) {
		t.Errorf("without the CA: got %+v, %v", read, err)
	}
}

// fullScope takes all the bytes that a policy may fill.
func fullScope(t *testing.T, login string, size int) authz.Scope {
	t.Helper()
	var actions []string
	var templates []authz.Template
	for i := range 30 {
		actions = append(actions, fmt.Sprintf("ports:h:%d", 10000+i))
		templates = append(templates, template(fmt.Sprintf("/bin/t%02d {number} {word}", i)))
	}
	for fill := 0; ; fill++ {
		more := append([]string{"files.read:/" + strings.Repeat("a", 450), "files.read:/" + strings.Repeat("b", 250), "files.write:/" + strings.Repeat("a", fill)}, actions...)
		switch s := scope(t, login, more, templates...); {
		case s.Size() == size:
			return s
		case s.Size() > size:
			t.Fatalf("no scope of %d bytes: %d", size, s.Size())
		}
	}
}

// TestTheLargestScopeFitsIntoAPass: a policy may fill authz.MaxScopeSize, so a pass with the longest of everything else
// has room for exactly that, and one byte more is refused before anything is signed.
func TestTheLargestScopeFitsIntoAPass(t *testing.T) {
	ca, key := newKey(t), newKey(t)
	text := strings.Repeat("x", MaxGrantText)
	g := testGrant()
	g.Subject, g.Reason, g.Ticket, g.Approvers = Subject{Pseudonym: make([]byte, 32), Display: text}, text, text, []string{}
	g.Epoch, g.IssuedMS, g.IdleS, g.RecordBytes, g.MaxConcurrent = math.MaxUint64, math.MaxInt64, math.MaxUint64, math.MaxUint64, math.MaxUint64
	from, login := time.Unix(1_800_000_000, 0), strings.Repeat("l", 32)
	g.SetScope(fullScope(t, login, authz.MaxScopeSize))
	p, err := NewPass(g, key.PublicKey(), ca.PublicKey(), from, from.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.Sign(ca)
	if err != nil || len(raw) != MaxPass {
		t.Errorf("got %d bytes, %v, want exactly %d", len(raw), err, MaxPass)
	}
	if _, err := ParsePass(raw, []ssh.PublicKey{ca.PublicKey()}); err != nil {
		t.Error(err)
	}
	g.SetScope(fullScope(t, login, authz.MaxScopeSize+1))
	if _, err := NewPass(g, key.PublicKey(), ca.PublicKey(), from, from.Add(time.Hour)); err == nil {
		t.Error("a pass of a byte more is built")
	}
	if MaxGrantText != authz.MaxActionWord {
		t.Errorf("an action word has %d bytes, and a text of a pass %d", authz.MaxActionWord, MaxGrantText)
	}
}

// FuzzScope: what a device reads out of a grant has one spelling, and permits nothing as another login.
func FuzzScope(f *testing.F) {
	for _, s := range []authz.Scope{scope(f, "svc", []string{"shell:svc"}), scope(f, "svc", []string{}, template("/bin/x {word} '{number}' {number}")),
		scope(f, "root", []string{"desktop.view", "files.read:/a", "ports:h:1", "run:root /bin/x '' 'a b'", "web:hmi"}, template("/bin/x {number}"))} {
		g := testGrant()
		g.SetScope(s)
		raw, err := MarshalCBOR(g)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, "run:svc /bin/x a {number} 7")
	}
	f.Fuzz(func(t *testing.T, raw []byte, word string) {
		var g Grant
		if UnmarshalCBOR(raw, &g) != nil {
			return
		}
		s, err := g.check()
		if err != nil {
			return
		}
		again := g
		again.SetScope(s)
		if other, err := MarshalCBOR(again); err != nil || !bytes.Equal(other, raw) {
			t.Errorf("two spellings of one scope: %x and %x", raw, other)
		}
		a, err := authz.ParseAction(word)
		if err == nil && s.Covers(a) && a.Login() != "" && a.Login() != g.Login {
			t.Errorf("a scope as %s covers %s", g.Login, word)
		}
	})
}
