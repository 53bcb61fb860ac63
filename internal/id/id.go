// Package id holds the typed names of things: sessions, devices, principals.
//
// It sits at the bottom of the import graph, so that every other package can
// say which kind of name it takes. A session id is 16 random bytes; its text is
// 26 characters of lower-case base32 (RFC 4648 section 6, without padding), the
// same in URLs, file names, JSON, the command line and certificate key ids.
//
// Names come from people and from peers that may lie, and end in paths, log lines
// and shells. So each kind has one form: a text that does not encode back to itself
// is refused, a device's name is a DNS label, and a principal is an issuer and a
// subject, because an e-mail address is given to somebody else next year. A name proves
// nothing; keys do.
package id

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// TextLen is the length of a session id as text.
const TextLen = 26

// Session names one session: one technician, one device, one login, one record.
type Session [16]byte

// NewSession makes a random session id.
func NewSession() Session {
	var s Session
	rand.Read(s[:]) // never fails: crypto/rand aborts the process instead
	return s
}

// ParseSession reads the 26-character text form. It refuses anything that does
// not encode back to the same text, so one session has one name.
func ParseSession(text string) (Session, error) {
	var s Session
	if len(text) != TextLen {
		return s, fmt.Errorf("session id %q: want %d characters of a-z and 2-7", clip(text), TextLen)
	}
	raw, err := lower.DecodeString(text)
	if err != nil || len(raw) != len(s) {
		return s, fmt.Errorf("session id %q: want %d characters of a-z and 2-7", clip(text), TextLen)
	}
	copy(s[:], raw)
	if s.String() != text {
		return Session{}, fmt.Errorf("session id %q is not in canonical form", clip(text))
	}
	return s, nil
}

// String gives the text form.
func (s Session) String() string { return lower.EncodeToString(s[:]) }

// IsZero reports whether s names nothing.
func (s Session) IsZero() bool { return s == Session{} }

// MarshalText writes the text form.
func (s Session) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the text form.
func (s *Session) UnmarshalText(text []byte) error {
	v, err := ParseSession(string(text))
	if err == nil {
		*s = v
	}
	return err
}

// UnmarshalJSON accepts only a JSON string.
func (s *Session) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return errors.New("session id: want a JSON string")
	}
	return s.UnmarshalText([]byte(text))
}

// Device is a device's name: what people type and see. It is unique at one
// gateway at a time; keys, not names, prove who a device is.
type Device string

// ErrDeviceName says what a device name may be.
var ErrDeviceName = errors.New("a device name has 1 to 63 characters of a-z, 0-9 and -, and does not begin or end with -")

// ParseDevice checks a name. The rule is that of a DNS label (RFC 1123 section
// 2.1, lower case), so that a name can stand in a host name and a file name.
func ParseDevice(name string) (Device, error) {
	if len(name) == 0 || len(name) > 63 || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return "", ErrDeviceName
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return "", ErrDeviceName
		}
	}
	return Device(name), nil
}

// Principal names a person or machine job: an account of one identity provider.
// Never an e-mail address: those are reassigned.
type Principal struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"sub"`
}

// String is for logs and stored rows; the separator cannot occur in a URL.
func (p Principal) String() string { return p.Issuer + " " + p.Subject }

// ParsePrincipal reads what String gives. An issuer is a URL, so it has no space.
func ParsePrincipal(text string) (Principal, error) {
	issuer, subject, _ := strings.Cut(text, " ")
	if issuer == "" || subject == "" {
		return Principal{}, fmt.Errorf("%q must be an issuer, a space and a subject", clip(text))
	}
	return Principal{Issuer: issuer, Subject: subject}, nil
}

// IsZero reports whether p names nobody.
func (p Principal) IsZero() bool { return p == Principal{} }

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
