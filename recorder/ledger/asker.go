package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/sallyport/sallyport/internal/id"
)

// Asker is the statement of who asked the signer for a session, and by which sign-in or API token the signer knew
// (docs/recording-format.md, section 12, "Who asked"). The open leaf has a commitment to it, which discloses none of
// it.
type Asker struct {
	V              uint       `cbor:"v"`
	Nonce          [32]byte   `cbor:"nonce"` // random, so that the statement cannot be guessed from its commitment
	Session        id.Session `cbor:"session"`
	Device         string     `cbor:"device"`           // the signer's name for the device
	Issuer         string     `cbor:"issuer"`           // the identity provider
	Subject        string     `cbor:"subject"`          // the provider's name for the person, or for the maker of the API token
	Token          string     `cbor:"token"`            // id of the API token; empty: the person signed in
	Machine        string     `cbor:"machine"`          // the service identity that the API token is for; empty: its maker
	SignedInMS     int64      `cbor:"signed_in_ms"`     // Unix milliseconds; 0: none
	SecondFactorMS int64      `cbor:"second_factor_ms"` // Unix milliseconds; 0: none
	Methods        []string   `cbor:"methods"`          // of the sign-in: claim amr of the id token (RFC 8176)
}

// AskerVersion is the version of the statement.
const AskerVersion = 1

// Limits of a statement.
const (
	maxAsker       = 8 << 10 // bytes of a statement; more than all its texts together
	MaxMethods     = 16
	MaxAskerMethod = 64  // bytes of each
	MaxAskerText   = 500 // bytes of each other text
)

var errAsker = errors.New("asker: a text or list is too long, not UTF-8, or null")

// Marshal returns the one encoding of a statement: deterministic CBOR. Nil methods become an empty list. The error says
// that the version or a limit is wrong.
func (a Asker) Marshal() ([]byte, error) {
	if a.Methods == nil {
		a.Methods = []string{}
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	return marshal(a)
}

// ParseAsker reads a statement in its one encoding. The error says that the encoding, the version or a limit is wrong.
func ParseAsker(raw []byte) (Asker, error) {
	var a Asker
	if len(raw) > maxAsker {
		return a, fmt.Errorf("asker: longer than %d bytes", maxAsker)
	}
	if err := unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("asker: %w", err)
	}
	return a, a.check()
}

func (a *Asker) check() error {
	if a.V != AskerVersion {
		return fmt.Errorf("asker: version %d, want %d", a.V, AskerVersion)
	}
	if a.Methods == nil || len(a.Methods) > MaxMethods || a.SignedInMS < 0 || a.SecondFactorMS < 0 {
		return errAsker
	}
	if !short(MaxAskerMethod, a.Methods...) || !short(MaxAskerText, a.Device, a.Issuer, a.Subject, a.Token, a.Machine) {
		return errAsker
	}
	return nil
}

func short(most int, texts ...string) bool {
	return !slices.ContainsFunc(texts, func(t string) bool { return len(t) > most || !utf8.ValidString(t) })
}

// CommitAsker returns the commitment to an encoded statement, which the open leaf has: a SHA-256 hash.
func CommitAsker(statement []byte) [32]byte {
	return sha256.Sum256(append([]byte("sallyport/asker/v1\x00"), statement...))
}
