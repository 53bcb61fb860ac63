package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/plain"
)

// grant is what a pass permits, as deterministic CBOR in its one critical option. Version 1, of earlier releases, has
// one action and no templates. There, {word} and {number} may occur in a command's action.
type grant struct {
	V           uint       `cbor:"1,keyasint"`
	Session     id.Session `cbor:"2,keyasint"`
	Device      [32]byte   `cbor:"3,keyasint"` // fingerprint of its host key
	Subject     subject    `cbor:"4,keyasint"`
	Login       string     `cbor:"5,keyasint"`
	Actions     []string   `cbor:"6,keyasint"`
	Reason      string     `cbor:"7,keyasint"`
	Ticket      string     `cbor:"8,keyasint"`
	Approvers   []string   `cbor:"9,keyasint"`
	PolicySHA   [32]byte   `cbor:"10,keyasint"`
	Epoch       uint64     `cbor:"11,keyasint"`
	IssuedMS    int64      `cbor:"12,keyasint"`
	Emergency   bool       `cbor:"13,keyasint"`
	Attended    bool       `cbor:"14,keyasint"`
	Idle        uint64     `cbor:"15,keyasint"` // in this field and the next two, 0 means no limit
	RecordBytes uint64     `cbor:"16,keyasint"`
	AtOnce      uint64     `cbor:"17,keyasint"`
	Templates   [][]any    `cbor:"18,keyasint,omitempty"`
}

type subject struct {
	Pseudonym []byte `cbor:"1,keyasint"`
	Display   string `cbor:"2,keyasint"`
}

// Limits of a grant (docs/protocol.md, section 9).
const (
	maxGrantText  = 500
	maxApprovers  = 16
	maxEntries    = 64   // actions and templates together
	maxEntryBytes = 1968 // of both, without the heads of the two lists
)

// grantOf reads the grant of a pass in its one encoding. It does not check its values.
func grantOf(raw []byte) (g grant, err error) {
	k, err := ssh.ParsePublicKey(raw)
	if err != nil {
		return g, err
	}
	c, ok := k.(*ssh.Certificate)
	if !ok {
		return g, errors.New("not a certificate")
	}
	if err := exact([]byte(c.CriticalOptions[grantOption]), &g); err != nil {
		return g, fmt.Errorf("grant: %w", err)
	}
	return g, nil
}

// check checks the values of a grant. A device refuses a grant with other values, so no session can have run under one.
// Each error names the element by its number in docs/protocol.md.
func (g *grant) check() error {
	for _, t := range g.texts() {
		if !plainText(t.text) {
			return fmt.Errorf("%s is not plain text of at most %d bytes", t.name, maxGrantText)
		}
	}
	switch {
	case g.V < 1 || g.V > 2:
		return fmt.Errorf("version %d (key 1); this program reads versions 1 and 2", g.V)
	case g.Session.IsZero():
		return errors.New("the session (key 2) is zero")
	case g.Device == [32]byte{}:
		return errors.New("the device (key 3) is zero")
	case g.Subject.Pseudonym == nil: // null would be a second form of zero bytes, and of an empty list below
		return errors.New("the pseudonym (key 4) is null")
	case g.Approvers == nil || len(g.Approvers) > maxApprovers:
		return fmt.Errorf("the approvers (key 9) are %d, want a list of at most %d", len(g.Approvers), maxApprovers)
	case g.V == 1:
		return g.checkFirst()
	}
	return g.checkEntries()
}

type named struct{ name, text string }

// texts returns the texts that are for people.
func (g *grant) texts() []named {
	out := []named{{"the name (key 4)", g.Subject.Display}, {"the reason (key 7)", g.Reason},
		{"the ticket (key 8)", g.Ticket}}
	for i, a := range g.Approvers {
		out = append(out, named{fmt.Sprintf("approver %d (key 9)", i), a})
	}
	return out
}

// checkFirst checks login and action of version 1, which did not fix how an action is spelled.
func (g *grant) checkFirst() error {
	switch {
	case len(g.Templates) > 0:
		return errors.New("version 1 has no templates (key 18)")
	case g.Login == "" || !plainText(g.Login):
		return errors.New("the login (key 5) is not plain text")
	case len(g.Actions) != 1 || !plainText(g.Actions[0]):
		return errors.New("the actions (key 6) are not one action of plain text")
	}
	return nil
}

// checkEntries checks login, actions and templates of version 2.
func (g *grant) checkEntries() error {
	n := len(g.Actions) + len(g.Templates)
	switch {
	case !isLogin(g.Login):
		return errors.New("the login (key 5) is not a login name")
	case g.Actions == nil || n == 0 || n > maxEntries:
		return fmt.Errorf("%d actions and templates (keys 6 and 18), want 1 to %d", n, maxEntries)
	case g.entryBytes() > maxEntryBytes:
		return fmt.Errorf("actions and templates (keys 6 and 18) of %d bytes, at most %d", g.entryBytes(), maxEntryBytes)
	}
	for i, word := range g.Actions {
		if err := g.checkAction(word); err != nil {
			return fmt.Errorf("action %d (key 6): %w", i, err)
		}
		if i > 0 && word <= g.Actions[i-1] {
			return fmt.Errorf("action %d (key 6) is not in ascending order", i)
		}
	}
	for i, t := range g.Templates {
		if err := g.checkTemplate(t); err != nil {
			return fmt.Errorf("template %d (key 18): %w", i, err)
		}
		if i > 0 && slices.CompareFunc(t, g.Templates[i-1], compareWords) <= 0 {
			return fmt.Errorf("template %d (key 18) is not in ascending order", i)
		}
	}
	return nil
}

// entryBytes returns the encoded size of all actions and templates, in bytes.
func (g *grant) entryBytes() (n int) {
	for _, a := range g.Actions {
		n += encodedLen(a)
	}
	for _, t := range g.Templates {
		n += encodedLen(t)
	}
	return n
}

func encodedLen(v any) int {
	raw, err := encMode.Marshal(v)
	if err != nil {
		return maxEntryBytes + 1 // a value that cannot be encoded must exceed the limit
	}
	return len(raw)
}

// plainText reports whether a text of a pass is short enough and has no characters that change how it is shown.
func plainText(s string) bool {
	return len(s) <= maxGrantText && utf8.ValidString(s) && !strings.ContainsFunc(s, plain.Steers)
}
