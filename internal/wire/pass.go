package wire

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
)

// Limits of a pass.
const (
	GrantVersion = 2
	GrantOption  = "grant@sallyport" // the one critical option
	MaxPass      = 4 << 10
	MaxPassTime  = 12 * time.Hour
	MaxGrantText = 500
	MaxApprovers = 16
	keyIDPrefix  = "sp1:"
)

// Subject is who a pass was made for, as the device may show it.
type Subject struct {
	Pseudonym []byte `cbor:"1,keyasint"`
	Display   string `cbor:"2,keyasint"`
}

// Grant is G of the protocol: what the pass permits, in deterministic CBOR inside the certificate.
type Grant struct {
	V             uint       `cbor:"1,keyasint"`
	Session       id.Session `cbor:"2,keyasint"`
	Device        Hash       `cbor:"3,keyasint"` // fp of the device's SSH host key
	Subject       Subject    `cbor:"4,keyasint"`
	Login         string     `cbor:"5,keyasint"`
	Actions       []string   `cbor:"6,keyasint"` // exact actions as words: shell:svc, run:svc /bin/x a
	Reason        string     `cbor:"7,keyasint"`
	Ticket        string     `cbor:"8,keyasint"`
	Approvers     []string   `cbor:"9,keyasint"`
	PolicySHA256  Hash       `cbor:"10,keyasint"`
	Epoch         uint64     `cbor:"11,keyasint"`
	IssuedMS      int64      `cbor:"12,keyasint"`
	Emergency     bool       `cbor:"13,keyasint"`
	Attended      bool       `cbor:"14,keyasint"`
	IdleS         uint64     `cbor:"15,keyasint"` // 0: no idle limit
	RecordBytes   uint64     `cbor:"16,keyasint"` // 0: the recorder's own
	MaxConcurrent uint64     `cbor:"17,keyasint"` // 0: no limit
	Templates     [][]any    `cbor:"18,keyasint,omitempty"`
}

// check gives the scope of a grant that holds.
func (g *Grant) check() (authz.Scope, error) {
	for _, t := range append([]string{g.Subject.Display, g.Reason, g.Ticket}, g.Approvers...) {
		if !PlainText(t, MaxGrantText) {
			return authz.Scope{}, errors.New("pass: a text is too long or has control or direction characters")
		}
	}
	switch {
	case g.V != GrantVersion:
		return authz.Scope{}, fmt.Errorf("pass: its grant is of version %d, and this program takes version %d: "+
			"update the older one of gateway and agent", g.V, GrantVersion)
	case g.Approvers == nil || g.Subject.Pseudonym == nil: // null would be a second form of the empty one
		return authz.Scope{}, errors.New("pass: approvers or pseudonym are null")
	case len(g.Approvers) > MaxApprovers:
		return authz.Scope{}, fmt.Errorf("pass: more than %d approvers", MaxApprovers)
	case g.Session.IsZero() || g.Device.IsZero():
		return authz.Scope{}, errors.New("pass: grant without session or device")
	}
	s, err := g.scope()
	if err != nil {
		return s, fmt.Errorf("pass: actions: %w", err)
	}
	return s, nil
}

// PlainText reports whether t is at most max bytes of text that shows as itself: valid UTF-8 without
// control characters and without the invisible ones that reorder what is read (bidi, zero width).
func PlainText(t string, max int) bool {
	if len(t) > max || strings.ToValidUTF8(t, "") != t {
		return false
	}
	for _, r := range t {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return false
		}
	}
	return true
}

// Pass is a checked or freshly built pass.
type Pass struct {
	Cert  *ssh.Certificate
	Grant Grant
	Scope authz.Scope // what Grant permits
	Hash  Hash        // of the certificate without its signature: known before it is signed
}

// NewPass builds a pass that is not signed yet, so that the log can commit to Hash first. Whatever would make the
// signed pass one that no device takes, its size too, is an error here and not after the session was announced. Both
// keys are Ed25519.
func NewPass(g Grant, key, ca ssh.PublicKey, notBefore, notAfter time.Time) (*Pass, error) {
	scope, err := g.check()
	if err != nil {
		return nil, err
	}
	if key.Type() != ssh.KeyAlgoED25519 || ca.Type() != ssh.KeyAlgoED25519 {
		return nil, errors.New("pass: session key and session CA must be Ed25519 keys")
	}
	if !notAfter.After(notBefore) || notAfter.Sub(notBefore) > MaxPassTime {
		return nil, fmt.Errorf("pass: want a window of more than 0 and at most %s", MaxPassTime)
	}
	opt, err := MarshalCBOR(g)
	if err != nil {
		return nil, fmt.Errorf("pass: %w", err)
	}
	nonce := make([]byte, 32)
	rand.Read(nonce)
	c := &ssh.Certificate{
		Nonce: nonce, Key: key, CertType: ssh.UserCert, KeyId: keyIDPrefix + g.Session.String(),
		ValidPrincipals: []string{g.Login},
		ValidAfter:      uint64(notBefore.Unix()), ValidBefore: uint64(notAfter.Unix()),
		Permissions:  ssh.Permissions{CriticalOptions: map[string]string{GrantOption: string(opt)}},
		SignatureKey: ca,
	}
	bare := unsigned(c)
	if n := len(bare) + signatureSize; n > MaxPass {
		return nil, fmt.Errorf("pass: %d bytes, at most %d: a shorter reason, ticket or name would fit", n, MaxPass)
	}
	return &Pass{Cert: c, Grant: g, Scope: scope, Hash: Sum(bare)}, nil
}

// signatureSize is what an Ed25519 signature adds to a certificate: LP(LP("ssh-ed25519") | LP(64 bytes)).
const signatureSize = 4 + 4 + len(ssh.KeyAlgoED25519) + 4 + 64

// Sign completes the pass and returns its wire form.
func (p *Pass) Sign(ca ssh.Signer) ([]byte, error) {
	sig, err := ca.Sign(rand.Reader, unsigned(p.Cert))
	if err != nil {
		return nil, fmt.Errorf("sign pass: %w", err)
	}
	p.Cert.Signature = sig
	return p.Cert.Marshal(), nil
}

// unsigned is the part of a certificate that the CA signs.
func unsigned(c *ssh.Certificate) []byte {
	bare := *c
	bare.Signature = nil
	raw := bare.Marshal()
	return raw[:len(raw)-4] // without the length of the absent signature
}

// ParsePass checks everything about a pass but time and device: x/crypto's CertChecker accepts a missing or
// garbled critical option, empty principals, infinite validity and extensions, so nothing is left to it.
func ParsePass(raw []byte, ca []ssh.PublicKey) (*Pass, error) {
	c, err := parseCertificate(raw)
	if err != nil {
		return nil, err
	}
	if !signedByOne(c, ca) {
		return nil, errors.New("pass: not signed by a session CA of the bundle")
	}
	return readPass(c)
}

// ReadPass is ParsePass without a look at the signature: for a gateway, which has the pass from its own signer.
func ReadPass(raw []byte) (*Pass, error) {
	c, err := parseCertificate(raw)
	if err != nil {
		return nil, err
	}
	return readPass(c)
}

func parseCertificate(raw []byte) (*ssh.Certificate, error) {
	if len(raw) > MaxPass {
		return nil, fmt.Errorf("pass: longer than %d bytes", MaxPass)
	}
	k, err := ssh.ParsePublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("pass: %w", err)
	}
	c, ok := k.(*ssh.Certificate)
	if !ok || !bytes.Equal(c.Marshal(), raw) {
		return nil, errors.New("pass: not a certificate in canonical form")
	}
	return c, checkShape(c)
}

func readPass(c *ssh.Certificate) (*Pass, error) {
	p := &Pass{Cert: c, Hash: Sum(unsigned(c))}
	err := UnmarshalCBOR([]byte(c.CriticalOptions[GrantOption]), &p.Grant)
	if err != nil {
		return nil, fmt.Errorf("pass: grant: %w", err)
	}
	if p.Scope, err = p.Grant.check(); err != nil {
		return nil, err
	}
	if c.ValidPrincipals[0] != p.Grant.Login || c.KeyId != keyIDPrefix+p.Grant.Session.String() {
		return nil, errors.New("pass: certificate and grant name different sessions or logins")
	}
	return p, nil
}

func checkShape(c *ssh.Certificate) error {
	_, hasGrant := c.CriticalOptions[GrantOption]
	switch {
	case c.Type() != ssh.CertAlgoED25519v01 || c.CertType != ssh.UserCert:
		return errors.New("pass: want an ssh-ed25519 user certificate")
	case len(c.ValidPrincipals) != 1 || c.ValidPrincipals[0] == "":
		return errors.New("pass: want exactly one principal")
	case !hasGrant || len(c.CriticalOptions) != 1:
		return errors.New("pass: want exactly the critical option " + GrantOption)
	case len(c.Extensions) != 0:
		return errors.New("pass: extensions are not allowed")
	case c.ValidBefore <= c.ValidAfter || c.ValidBefore-c.ValidAfter > uint64(MaxPassTime/time.Second) ||
		c.ValidBefore > math.MaxInt64: // no time has such seconds, and the largest of them means no end
		return fmt.Errorf("pass: want a finite window of at most %s", MaxPassTime)
	}
	return nil
}

func signedByOne(c *ssh.Certificate, ca []ssh.PublicKey) bool {
	if c.Signature == nil || c.SignatureKey == nil {
		return false
	}
	for _, k := range ca {
		if bytes.Equal(k.Marshal(), c.SignatureKey.Marshal()) && k.Verify(unsigned(c), c.Signature) == nil {
			return true
		}
	}
	return false
}

// CheckTime tests the window against a device's idea of the time: not-before at its low end, not-after at its high
// end, so that uncertainty never lengthens a pass.
func (p *Pass) CheckTime(low, high time.Time) error {
	if low.Unix() < int64(p.Cert.ValidAfter) {
		return errors.New("pass: not valid yet")
	}
	if high.Unix() >= int64(p.Cert.ValidBefore) {
		return errors.New("pass: no longer valid")
	}
	return nil
}

// Until is the hard stop.
func (p *Pass) Until() time.Time { return time.Unix(int64(p.Cert.ValidBefore), 0) }
