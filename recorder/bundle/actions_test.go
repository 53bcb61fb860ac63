package bundle

import (
	"slices"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestTheActionsOfAPassAreSaidInWords(t *testing.T) {
	ca := sshSigner(t, "ca")
	later := wire.Grant{V: 2, Session: id.Session{1}, Device: wire.Hash{1}, Login: "svc", Approvers: []string{},
		Subject: wire.Subject{Pseudonym: []byte{1}}, Actions: []string{"run:svc /bin/x '{word}'", "shell:svc"}}
	earlier, unknown := later, later
	earlier.V, earlier.Actions = 1, []string{"run:svc /bin/x {word}"}
	unknown.V = 3
	templates := func(ts ...[]any) wire.Grant {
		g := later
		g.Templates = ts
		return g
	}
	for name, c := range map[string]struct {
		grant wire.Grant
		want  []string // nil: refused
	}{
		"version 1": {earlier, earlier.Actions},
		"version 2": {later, later.Actions},
		"templates": {templates([]any{"/bin/x", 1, "a b"}, []any{"/bin/y", "{number}", "", 2}),
			append(slices.Clone(later.Actions), "run:svc /bin/x {word} 'a b'",
				"run:svc /bin/y '{number}' '' {number}")},
		"a placeholder that is not known": {templates([]any{"/bin/x", 3}), nil},
		"a word that is none":             {templates([]any{"/bin/x", []any{}}), nil},
		"version 3":                       {unknown, nil},
	} {
		raw, hash := passOf(t, ca, must(wire.MarshalCBOR(c.grant))(t), "svc")
		got, err := parsePass(raw, hash, []ssh.PublicKey{ca.PublicKey()})
		if (err == nil) != (c.want != nil) || err == nil && !slices.Equal(got.actions, c.want) {
			t.Errorf("%s: got %+v, %v, want %q", name, got, err, c.want)
		}
	}
}
