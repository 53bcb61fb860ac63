package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
)

func newKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASignatureIsGoodForOnePurposeOnly(t *testing.T) {
	k := newKey(t)
	sig, err := Sign(k, PurposeBundle, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(k.PublicKey(), PurposeBundle, []byte("x"), sig); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another purpose": Verify(k.PublicKey(), PurposeStatus, []byte("x"), sig),
		"another text":    Verify(k.PublicKey(), PurposeBundle, []byte("y"), sig),
		"another key":     Verify(newKey(t).PublicKey(), PurposeBundle, []byte("x"), sig),
		"a longer blob":   Verify(k.PublicKey(), PurposeBundle, []byte("x"), append(bytes.Clone(sig), 0)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStrictJSONRefuses(t *testing.T) {
	type msg struct {
		A int             `json:"a"`
		B json.RawMessage `json:"b"`
	}
	for name, text := range map[string]string{
		"a name twice":              `{"a":1,"a":2}`,
		"a name twice in two cases": `{"a":1,"A":2}`,
		"a name with a long s":      `{"b":{"as":1,"aſ":2}}`,
		"a name with a kelvin":      `{"b":{"ak":1,"aK":2}}`,
		"a name twice, one escaped": `{"a":1,"\u0061":2}`,
		"a Kelvin sign, escaped":    `{"b":{"key":1,"\u212Aey":2}}`,
		"a name twice, far apart":   `{"a":1,"b":{"a":1,"x":"a"} , "a" : 2}`,
		"a name twice, of many":     `{"b":{` + manyNames + `"n1":0}}`,
		"a late name twice":         `{"b":{` + manyNames + `"N39":0}}`,
		"twice further in":          `{"b":[{"x":{"y":1,"y":2}}]}`,
		"twice after a nested one":  `{"b":{"x":1,"y":{},"x":2}}`,
		"twice after a quote":       `{"b":{"x\"y\\":1,"x\"y\\":2}}`,
		"an unknown name":           `{"c":1}`,
		"a second value":            `{"a":1}{"a":2}`,
		"deep nesting":              `{"b":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`,
		"half a value":              `{"a":`,
		"nothing":                   ``,
	} {
		if err := StrictJSON([]byte(text), &msg{}); err == nil {
			t.Errorf("%s: accepted %s", name, text)
		}
	}
	var m msg
	for _, text := range []string{`{"a":7,"b":[{"x":"a"},{"x":"b"}]}`, `{"a":7,"b":{"x":{"x":{"a":"a"}},"y":"x","":"\"x\":"}}`, `{"a":7,"b":{` + manyNames + `"n40":0}}`} {
		if err := StrictJSON([]byte(text), &m); err != nil || m.A != 7 {
			t.Errorf("good text %s: got %+v, %v", text, m, err)
		}
	}
}

// manyNames are more than a short list holds.
var manyNames = func() (s string) {
	for i := range 40 {
		s += fmt.Sprintf("%q:0,", fmt.Sprint("n", i))
	}
	return s
}()

func testBundle(t testing.TB, root ssh.Signer, change func(*Bundle)) Signed {
	t.Helper()
	b := Bundle{V: 1, Serial: 4, Root: PublicKey{root.PublicKey()}, Gateway: []Hash{{1}},
		SessionCA: []PublicKey{{newKey(t).PublicKey()}}, Log: LogIdentity{Origin: "o", Key: "o+1+k"}, Hosts: []string{"127.0.0.1:80", "gw.example:443"}}
	if change != nil {
		change(&b)
	}
	body, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Make(root, PurposeBundle, body)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestABundleIsReadUnderItsRootAndRefusedOtherwise(t *testing.T) {
	root := newKey(t)
	good := testBundle(t, root, nil)
	b, err := ParseBundle(good)
	if err != nil {
		t.Fatal(err)
	}
	if !b.HasHost("gw.example:443") || b.HasHost("gw.example:444") || b.HasHost("GW.example:443") {
		t.Error("hosts are matched exactly")
	}
	flipped := Signed{Body: bytes.Clone(good.Body), Sig: good.Sig}
	flipped.Body[len(flipped.Body)/2] ^= 1
	bad := map[string]Signed{"flipped": flipped}
	for name, change := range map[string]func(*Bundle){
		"three keys":        func(b *Bundle) { b.Gateway = make([]Hash, 3) },
		"no session CA":     func(b *Bundle) { b.SessionCA = nil },
		"a host with path":  func(b *Bundle) { b.Hosts = []string{"gw:443/x"} },
		"no hosts":          func(b *Bundle) { b.Hosts = nil },
		"version 2":         func(b *Bundle) { b.V = 2 },
		"another log's key": func(b *Bundle) { b.Log.Key = "p+1+k" },
		"foreign root":      func(b *Bundle) { b.Root = PublicKey{newKey(t).PublicKey()} },
	} {
		bad[name] = testBundle(t, root, change)
	}
	for name, s := range bad {
		if _, err := ParseBundle(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	older, _ := ParseBundle(testBundle(t, root, func(b *Bundle) { b.Serial = 4 }))
	if b.Follows(older) == nil {
		t.Error("the same serial replaced a bundle")
	}
}

func TestAJoinCodeSurvivesCopyingAndNoWrongLetter(t *testing.T) {
	c := JoinCode{URL: "http://127.0.0.1:8080", ID: [16]byte{1}, Secret: [32]byte{2}, Bundle: Hash{3}, Noise: Hash{4}}
	text := c.String()
	got, err := ParseJoinCode("  " + text[:40] + "\n" + text[40:] + " ")
	if err != nil || got != c {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i := range text {
		letter := byte('a')
		if text[i] == 'a' {
			letter = 'b'
		}
		if _, err := ParseJoinCode(text[:i] + string(letter) + text[i+1:]); err == nil {
			t.Fatalf("accepted a wrong letter at %d", i)
		}
	}
	for _, u := range []string{"http://gw.example", "https://127.0.0.1:8443", "ftp://x", "https://u@gw.example", "https://gw.example/p", ""} {
		if _, err := ParseJoinCode(JoinCode{URL: u}.String()); err == nil {
			t.Errorf("accepted URL %q", u)
		}
	}
}

func testGrant() Grant {
	return Grant{V: GrantVersion, Session: id.NewSession(), Device: Hash{9}, Approvers: []string{}, Subject: Subject{Pseudonym: []byte{1}, Display: "Jana Keller"},
		Login: "svc", Actions: []string{"shell:svc"}, Reason: "valve", PolicySHA256: Hash{2}, Epoch: 5, IssuedMS: 1}
}

func TestAPassCommitsBeforeItIsSigned(t *testing.T) {
	ca, key := newKey(t), newKey(t)
	from := time.Unix(1_800_000_000, 0)
	p, err := NewPass(testGrant(), key.PublicKey(), ca.PublicKey(), from, from.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.Sign(ca)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePass(raw, []ssh.PublicKey{newKey(t).PublicKey(), ca.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	if got.Hash != p.Hash || got.Grant.Login != "svc" {
		t.Errorf("got hash %s, want %s", got.Hash, p.Hash)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 0x10
		if _, err := ParsePass(bad, []ssh.PublicKey{ca.PublicKey()}); err == nil {
			t.Fatalf("accepted a flipped bit in byte %d", i)
		}
	}
	if got.CheckTime(from.Add(-time.Second), from) == nil || got.CheckTime(from, from.Add(time.Hour)) == nil {
		t.Error("a pass held outside its window")
	}
	if err := got.CheckTime(from, from.Add(time.Hour-time.Second)); err != nil {
		t.Error(err)
	}
}

func TestAGrantHasNoNull(t *testing.T) {
	key := newKey(t).PublicKey()
	from := time.Unix(1_800_000_000, 0)
	for name, change := range map[string]func(*Grant){
		"approvers": func(g *Grant) { g.Approvers = nil },
		"pseudonym": func(g *Grant) { g.Subject.Pseudonym = nil },
		"actions":   func(g *Grant) { g.Actions = nil },
	} {
		g := testGrant()
		change(&g)
		if _, err := NewPass(g, key, key, from, from.Add(time.Hour)); err == nil {
			t.Errorf("null %s: taken", name)
		}
	}
}

func TestAPassOfAnotherShapeIsRefused(t *testing.T) {
	ca, key := newKey(t), newKey(t)
	from := time.Unix(1_800_000_000, 0)
	g := testGrant()
	for name, change := range map[string]func(*ssh.Certificate){
		"without grant":        func(c *ssh.Certificate) { c.CriticalOptions = nil },
		"with garbage grant":   func(c *ssh.Certificate) { c.CriticalOptions[GrantOption] = "garbage" },
		"with one more option": func(c *ssh.Certificate) { c.CriticalOptions["source-address"] = "127.0.0.1/32" },
		"two principals":       func(c *ssh.Certificate) { c.ValidPrincipals = []string{"svc", "root"} },
		"no principal":         func(c *ssh.Certificate) { c.ValidPrincipals = nil },
		"another principal":    func(c *ssh.Certificate) { c.ValidPrincipals = []string{"root"} },
		"infinite":             func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity },
		"too long":             func(c *ssh.Certificate) { c.ValidBefore = c.ValidAfter + 13*3600 },
		"an extension":         func(c *ssh.Certificate) { c.Extensions = map[string]string{"permit-pty": ""} },
		"a host certificate":   func(c *ssh.Certificate) { c.CertType = ssh.HostCert },
		"another session":      func(c *ssh.Certificate) { c.KeyId = "sp1:" + id.NewSession().String() },
	} {
		p, err := NewPass(g, key.PublicKey(), ca.PublicKey(), from, from.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		change(p.Cert)
		raw, err := p.Sign(ca)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePass(raw, []ssh.PublicKey{ca.PublicKey()}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, change := range map[string]func(*Grant){
		"a control character": func(g *Grant) { g.Reason = "a\x1b[2J" },
		"a bidi override":     func(g *Grant) { g.Subject.Display = "a\u202eb" },
		"a long reason":       func(g *Grant) { g.Reason = strings.Repeat("x", 501) },
		"no action":           func(g *Grant) { g.Actions = nil },
		"an earlier version":  func(g *Grant) { g.V = 1 },
		"another login":       func(g *Grant) { g.Login = "root" },
		"an unknown kind":     func(g *Grant) { g.Actions = []string{"sudo:svc"} },
		"a placeholder of 0":  func(g *Grant) { g.Templates = [][]any{{"/bin/x", uint64(0), uint64(1)}} },
		"an unknown one":      func(g *Grant) { g.Templates = [][]any{{"/bin/x", uint64(3)}} },
		"bytes in a template": func(g *Grant) { g.Templates = [][]any{{"/bin/x", []byte("a"), uint64(1)}} },
		"a negative number":   func(g *Grant) { g.Templates = [][]any{{"/bin/x", int64(-1)}} },
		"a list in a list":    func(g *Grant) { g.Templates = [][]any{{"/bin/x", []any{uint64(1)}}} },
	} {
		bad := testGrant()
		change(&bad)
		if _, err := NewPass(bad, key.PublicKey(), ca.PublicKey(), from, from.Add(time.Hour)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAStatusAnswersItsNonce(t *testing.T) {
	ca := newKey(t)
	s, err := Status{Nonce: make([]byte, 16), Device: Hash{1}, Time: 5, Epoch: 2, State: StateOK}.Sign(ca)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseStatus(s, []ssh.PublicKey{ca.PublicKey()}); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseStatus(s, []ssh.PublicKey{newKey(t).PublicKey()}); err == nil {
		t.Error("accepted under a foreign CA")
	}
	odd, _ := Status{Nonce: make([]byte, 16), State: "fine"}.Sign(ca)
	if _, err := ParseStatus(odd, []ssh.PublicKey{ca.PublicKey()}); err == nil {
		t.Error("accepted an unknown state")
	}
}

func TestEventsKeepTheirLimits(t *testing.T) {
	var buf bytes.Buffer
	want := Event{Kind: EventVerdict, Channel: 1, Offset: 70, Len: 5, Hidden: true}
	if err := WriteEvent(&buf, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadEvent(&buf)
	if err != nil || got.Offset != 70 || !got.Hidden {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ReadEvent(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff})); err == nil {
		t.Error("accepted a length beyond the limit")
	}
	if WriteEvent(&buf, Event{Text: strings.Repeat("x", MaxEvent)}) == nil {
		t.Error("wrote an event beyond the limit")
	}
}

func TestBase64HasOneForm(t *testing.T) {
	text := Hash{255}.String()
	loose := text[:len(text)-1] + string(text[len(text)-1]+1)
	if _, err := base64.RawURLEncoding.DecodeString(loose); err != nil {
		t.Fatal("this test wants a text that the loose decoder takes")
	}
	if err := new(Hash).UnmarshalText([]byte(loose)); err == nil {
		t.Error("two texts for one value")
	}
}
