package bundle

import (
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// earlierGrant is a grant of version 1, as earlier releases signed it.
type earlierGrant struct {
	V         uint         `cbor:"1,keyasint"`
	Session   id.Session   `cbor:"2,keyasint"`
	Device    wire.Hash    `cbor:"3,keyasint"`
	Subject   wire.Subject `cbor:"4,keyasint"`
	Login     string       `cbor:"5,keyasint"`
	Actions   []string     `cbor:"6,keyasint"`
	Reason    string       `cbor:"7,keyasint"`
	Ticket    string       `cbor:"8,keyasint"`
	PolicySHA wire.Hash    `cbor:"10,keyasint"`
}

func TestTheActionsOfAPassAreSaidInWords(t *testing.T) {
	ca := sshSigner(t, "ca")
	later := earlierGrant{V: 2, Session: id.Session{1}, Login: "svc",
		Actions: []string{"run:svc /bin/x '{word}'", "shell:svc"}}
	templates := func(ts ...[]any) any {
		return struct {
			earlierGrant
			Templates [][]any `cbor:"18,keyasint"`
		}{later, ts}
	}
	for name, c := range map[string]struct {
		grant any
		want  []string // nil: refused
	}{
		"version 1": {earlierGrant{V: 1, Session: id.Session{1}, Login: "svc",
			Actions: []string{"run:svc /bin/x {word}"}},
			[]string{"run:svc /bin/x {word}"}},
		"version 2": {later, later.Actions},
		"templates": {templates([]any{"/bin/x", 1, "a b"}, []any{"/bin/y", "{number}", "", 2}),
			append(slices.Clone(later.Actions), "run:svc /bin/x {word} 'a b'",
				"run:svc /bin/y '{number}' '' {number}")},
		"a placeholder that is not known": {templates([]any{"/bin/x", 3}), nil},
		"a word that is none":             {templates([]any{"/bin/x", []any{}}), nil},
		"version 3": {earlierGrant{V: 3, Session: id.Session{1}, Login: "svc",
			Actions: later.Actions}, nil},
	} {
		raw, hash := passOf(t, ca, must(wire.MarshalCBOR(c.grant))(t), "svc")
		got, err := parsePass(raw, hash, []ssh.PublicKey{ca.PublicKey()})
		if (err == nil) != (c.want != nil) || err == nil && !slices.Equal(got.actions, c.want) {
			t.Errorf("%s: got %+v, %v, want %q", name, got, err, c.want)
		}
	}
}
