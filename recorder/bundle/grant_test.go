package bundle

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// TestAPassWithAGrantThatNoDeviceTakesIsFound signs such a grant with the session CA and announces it in the log.
func TestAPassWithAGrantThatNoDeviceTakesIsFound(t *testing.T) {
	long := strings.Repeat("x", 501)
	for what, c := range map[string]struct {
		change func(g *wire.Grant)
		says   string
	}{
		"version 3":                  {func(g *wire.Grant) { g.V = 3 }, "key 1"},
		"version 0":                  {func(g *wire.Grant) { g.V = 0 }, "key 1"},
		"no device":                  {func(g *wire.Grant) { g.Device = wire.Hash{} }, "key 3"},
		"a null pseudonym":           {func(g *wire.Grant) { g.Subject.Pseudonym = nil }, "key 4"},
		"a name with an escape":      {func(g *wire.Grant) { g.Subject.Display = "Tess\x1b[2J" }, "key 4"},
		"a name that turns around":   {func(g *wire.Grant) { g.Subject.Display = "Tess\u202e" }, "key 4"},
		"a long reason":              {func(g *wire.Grant) { g.Reason = long }, "key 7"},
		"a ticket of two lines":      {func(g *wire.Grant) { g.Ticket = "a\nb" }, "key 8"},
		"null approvers":             {func(g *wire.Grant) { g.Approvers = nil }, "key 9"},
		"17 approvers":               {func(g *wire.Grant) { g.Approvers = make([]string, 17) }, "key 9"},
		"an approver with a NUL":     {func(g *wire.Grant) { g.Approvers = []string{"Ada", "O\x00"} }, "approver 1"},
		"null actions":               {func(g *wire.Grant) { g.Actions = nil }, "key"},
		"no actions":                 {func(g *wire.Grant) { g.Actions = []string{} }, "keys 6 and 18"},
		"65 actions":                 {func(g *wire.Grant) { g.Actions = make([]string, 65) }, "keys 6 and 18"},
		"actions of too many bytes":  {func(g *wire.Grant) { g.Actions = longActions() }, "at most 1968"},
		"actions out of order":       {func(g *wire.Grant) { g.Actions = []string{"web:b", "web:a"} }, "ascending"},
		"an action twice":            {func(g *wire.Grant) { g.Actions = []string{"web:a", "web:a"} }, "ascending"},
		"an unknown kind":            {func(g *wire.Grant) { g.Actions = []string{"fly:svc"} }, "an unknown kind"},
		"another login":              {func(g *wire.Grant) { g.Actions = []string{"shell:root"} }, "action 0"},
		"another login for a run":    {func(g *wire.Grant) { g.Actions = []string{"run:root /bin/x"} }, "action 0"},
		"a run without a login":      {func(g *wire.Grant) { g.Actions = []string{"run:/bin/x"} }, "action 0"},
		"bare braces":                {func(g *wire.Grant) { g.Actions = []string{"run:svc /bin/x {word}"} }, "action 0"},
		"quotes that are not needed": {func(g *wire.Grant) { g.Actions = []string{"run:svc /bin/x 'a'"} }, "action 0"},
		"an open quote":              {func(g *wire.Grant) { g.Actions = []string{"run:svc /bin/x 'a b"} }, "action 0"},
		"two spaces":                 {func(g *wire.Grant) { g.Actions = []string{"run:svc /bin/x  a"} }, "action 0"},
		"a relative command":         {func(g *wire.Grant) { g.Actions = []string{"run:svc bin/x"} }, "action 0"},
		"a path with dots":           {func(g *wire.Grant) { g.Actions = []string{"files.read:/var/../etc"} }, "action 0"},
		"a path with a slash behind": {func(g *wire.Grant) { g.Actions = []string{"files.write:/var/"} }, "action 0"},
		"a port with a zero before":  {func(g *wire.Grant) { g.Actions = []string{"ports:plc:0102"} }, "action 0"},
		"an address in disguise":     {func(g *wire.Grant) { g.Actions = []string{"ports:127.1:80"} }, "action 0"},
		"a screen with an argument":  {func(g *wire.Grant) { g.Actions = []string{"desktop.view:x"} }, "action 0"},
		"an action with an escape":   {func(g *wire.Grant) { g.Actions = []string{"web:\x1b"} }, "action 0"},
		"a template without a placeholder": {func(g *wire.Grant) { g.Templates = [][]any{{"/bin/x"}} },
			"template 0"},
		"a placeholder first": {func(g *wire.Grant) { g.Templates = [][]any{{uint64(1), "a"}} }, "template 0"},
		"placeholder 3":       {func(g *wire.Grant) { g.Templates = [][]any{{"/bin/x", uint64(3)}} }, "template 0"},
		"a negative one":      {func(g *wire.Grant) { g.Templates = [][]any{{"/bin/x", int64(-1)}} }, "template 0"},
		"a word of bytes":     {func(g *wire.Grant) { g.Templates = [][]any{{"/bin/x", []byte("a")}} }, "template 0"},
		"an empty template":   {func(g *wire.Grant) { g.Templates = [][]any{{}} }, "template 0"},
		"a long template":     {func(g *wire.Grant) { g.Templates = [][]any{{"/bin/x", long, uint64(1)}} }, "template 0"},
		"templates unsorted":  {func(g *wire.Grant) { g.Templates = templates(uint64(2), uint64(1)) }, "ascending"},
		"a literal first":     {func(g *wire.Grant) { g.Templates = templates("a", uint64(1)) }, "ascending"},
		"a template twice":    {func(g *wire.Grant) { g.Templates = templates("a", "a") }, "ascending"},
		"templates in version 1": {func(g *wire.Grant) { g.V, g.Templates = 1, templates("a") },
			"version 1"},
		"two actions in version 1": {func(g *wire.Grant) { g.V, g.Actions = 1, []string{"web:a", "web:b"} }, "key 6"},
	} {
		h := newHouse(t)
		raw, _ := h.forge(func(f *forged) {
			g := f.grant.(wire.Grant)
			c.change(&g)
			f.grant = g
		})
		_, err := check(t, raw, Options{LogKey: h.LogKey})
		wantRule(t, what, err, RulePass)
		if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want it to name %q", what, err, c.says)
		}
	}
}

func longActions() (out []string) {
	for _, c := range "abcde" {
		out = append(out, "files.read:/"+strings.Repeat(string(c), 450))
	}
	return out
}

// templates gives one template of two words for each second word.
func templates(second ...any) (out [][]any) {
	for _, w := range second {
		out = append(out, []any{"/bin/x", w, uint64(1)})
	}
	return out
}

// TestAGrantOfAnotherEncodingIsFound changes the bytes of a good grant.
func TestAGrantOfAnotherEncodingIsFound(t *testing.T) {
	type odd struct {
		wire.Grant
		More any `cbor:"19,keyasint"`
	}
	swap := func(old, new string) func(raw []byte, _ wire.Grant) any {
		return func(raw []byte, _ wire.Grant) any { return bytes.Replace(raw, []byte(old), []byte(new), 1) }
	}
	for what, change := range map[string]func(raw []byte, g wire.Grant) any{
		"an unknown key":       func(_ []byte, g wire.Grant) any { return odd{g, 1} },
		"a key less":           func(raw []byte, _ wire.Grant) any { return append([]byte{raw[0] - 1}, raw[1:len(raw)-2]...) },
		"a longer number":      swap("\x0b\x05", "\x0b\x18\x05"),
		"a text as bytes":      swap("\x05\x63svc", "\x05\x43svc"),
		"a bool as a number":   swap("\x0d\xf4", "\x0d\x00"),
		"a null for a number":  swap("\x0b\x05", "\x0b\xf6"),
		"a tag":                swap("\x0b\x05", "\x0b\xc1\x05"),
		"an indefinite list":   swap("\x09\x80", "\x09\x9f\xff"),
		"an invalid character": swap("\x64Tess", "\x64Tes\xff"),
		"bytes behind it":      func(raw []byte, _ wire.Grant) any { return append(raw, 0) },
		"an empty option":      func([]byte, wire.Grant) any { return []byte{} },
	} {
		h := newHouse(t)
		raw, _ := h.forge(func(f *forged) {
			g := f.grant.(wire.Grant)
			was := must(wire.MarshalCBOR(g))(t)
			f.grant = change(was, g)
			if now, ok := f.grant.([]byte); ok && bytes.Equal(now, was) {
				t.Fatalf("%s: nothing was changed", what)
			}
		})
		_, err := check(t, raw, Options{LogKey: h.LogKey})
		wantRule(t, what, err, RulePass)
	}
}

// TestAllPartsOfASessionAreOfOnePersonAndLogin: a session that goes on in a further part is still the same session.
func TestAllPartsOfASessionAreOfOnePersonAndLogin(t *testing.T) {
	for what, change := range map[string]func(f *forged, g *wire.Grant){
		"another person's name": func(_ *forged, g *wire.Grant) { g.Subject.Display = "Ada" },
		"another pseudonym":     func(_ *forged, g *wire.Grant) { g.Subject.Pseudonym = []byte{2} },
		"another login": func(f *forged, g *wire.Grant) {
			f.login, g.Login, g.Actions = "root", "root", []string{"shell:root"}
		},
		"an earlier epoch": func(_ *forged, g *wire.Grant) { g.Epoch-- },
	} {
		h := newHouse(t)
		raw, _ := h.forge(nil, func(f *forged) {
			g := f.grant.(wire.Grant)
			change(f, &g)
			f.grant = g
		})
		_, err := check(t, raw, Options{LogKey: h.LogKey})
		wantRule(t, what, err, RulePass)
		if err != nil && !strings.Contains(err.Error(), "parts.1.pass") {
			t.Errorf("%s: got %v, want it to name parts.1.pass", what, err)
		}
	}
}

// TestAHostKeyThatIsNoneIsFound: log, pass and container name the hash of these bytes.
func TestAHostKeyThatIsNoneIsFound(t *testing.T) {
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	for what, key := range map[string][]byte{
		"no bytes":         {},
		"no key":           []byte("a host key"),
		"an RSA key":       must(ssh.NewPublicKey(rsaKey.Public()))(t).Marshal(),
		"bytes behind it":  append(sshSigner(t, "host").PublicKey().Marshal(), 0),
		"a key and a half": append(sshSigner(t, "host").PublicKey().Marshal(), "\x00\x00\x00\x07ssh-rsa"...),
	} {
		h := newHouse(t)
		raw, _ := h.forge(func(f *forged) {
			g := f.grant.(wire.Grant)
			f.hdr.DeviceFP = sha256.Sum256(key)
			g.Device = wire.Hash(f.hdr.DeviceFP)
			f.grant = g
		})
		raw = forge(t, raw, func(m *manifest, _ map[string][]byte) { m.Parts[0].HostKey = key })
		_, err := check(t, raw, Options{LogKey: h.LogKey})
		wantRule(t, what, err, RulePass)
		if err != nil && !strings.Contains(err.Error(), "parts.0.host_key") {
			t.Errorf("%s: got %v, want it to name parts.0.host_key", what, err)
		}
	}
}

func TestAPassOfMoreThan4KiBIsFound(t *testing.T) {
	h := newHouse(t)
	raw, _ := h.forge(func(f *forged) { f.pass = func(c *ssh.Certificate) { c.Nonce = make([]byte, 4<<10) } })
	_, err := check(t, raw, Options{LogKey: h.LogKey})
	wantRule(t, "a long nonce", err, RulePass)
}
