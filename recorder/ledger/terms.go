package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// Terms are the exact right that a request asks for (docs/recording-format.md, section 12, "Grants"). An approval binds
// their hash, so a change of any field makes other terms, which nobody has approved.
type Terms struct {
	V        uint     `cbor:"v"`
	Request  string   `cbor:"request"` // 26 characters of lower-case base32
	Issuer   string   `cbor:"issuer"`  // with Subject: the person who may use the right
	Subject  string   `cbor:"subject"`
	Name     string   `cbor:"name"` // of that person, for people
	Device   string   `cbor:"device"`
	DeviceFP [32]byte `cbor:"device_fp"` // of its SSH host key
	Rule     string   `cbor:"rule"`      // the policy's request rule
	Actions  []string `cbor:"actions"`   // patterns (docs/policy.md)
	Seconds  uint32   `cbor:"seconds"`   // how long, from the last approval on
	Reason   string   `cbor:"reason"`
	Ticket   string   `cbor:"ticket"`
}

// TermsVersion is the version of the encoding.
const TermsVersion = 1

const (
	maxTerms      = 40 << 10 // bytes; less than a leaf's body, which has them in base64
	maxTermsText  = 2000     // bytes of the reason
	maxTermsWord  = 600      // bytes of each action
	maxTermsNames = 500      // bytes of each other text
	maxTermsList  = 64       // actions
	requestID     = 26       // characters
)

var errTerms = errors.New("terms: a text or list is too long, empty, not UTF-8, or null")

// Marshal returns the one encoding: deterministic CBOR. The error says that the version or a limit is wrong.
func (t Terms) Marshal() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return marshal(t)
}

// ParseTerms reads terms in their one encoding. The error says that the encoding, the version or a limit is wrong.
func ParseTerms(raw []byte) (Terms, error) {
	var t Terms
	if len(raw) > maxTerms {
		return t, fmt.Errorf("terms: longer than %d bytes", maxTerms)
	}
	if err := unmarshal(raw, &t); err != nil {
		return t, fmt.Errorf("terms: %w", err)
	}
	return t, t.check()
}

func (t *Terms) check() error {
	switch {
	case t.V != TermsVersion:
		return fmt.Errorf("terms: version %d, want %d", t.V, TermsVersion)
	case !IsRequest(t.Request):
		return errors.New("terms: the request's id is not 26 characters of lower-case base32")
	case t.Subject == "" || t.Device == "" || t.Rule == "" || len(t.Actions) == 0 || len(t.Actions) > maxTermsList,
		!short(maxTermsText, t.Reason), !short(maxTermsWord, t.Actions...),
		!short(maxTermsNames, t.Issuer, t.Subject, t.Name, t.Device, t.Rule, t.Ticket):
		return errTerms
	}
	return nil
}

// IsRequest reports whether text is the id of a request.
func IsRequest(text string) bool {
	return len(text) == requestID && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// HashTerms is what an approval binds: a SHA-256 hash of encoded terms.
func HashTerms(encoded []byte) [32]byte {
	return sha256.Sum256(append([]byte("sallyport/terms/v1\x00"), encoded...))
}
