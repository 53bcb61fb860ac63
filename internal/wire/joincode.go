package wire

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// JoinPrefix begins every join code.
const JoinPrefix = "sp1-"

// JoinCode is what an administrator gives a device: where the gateway is, one-time proof that the
// device was invited, and the pins that make the first contact as safe as every later one.
type JoinCode struct {
	URL    string   // base URL of the gateway: https, or http for a loopback literal
	ID     [16]byte // names the join token
	Secret [32]byte
	Bundle Hash // H of the trust bundle's text
	Noise  Hash // the gateway's Noise static key
}

var joinText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const joinFixed = 16 + 32 + 32 + 32

// String gives the code: sp1- and base32 of 16 id | 32 secret | 32 bundle | 32 noise | URL | 4 check,
// where check is the start of SHA-256 over all before it.
func (c JoinCode) String() string {
	raw := make([]byte, 0, joinFixed+len(c.URL)+4)
	raw = append(raw, c.ID[:]...)
	raw = append(raw, c.Secret[:]...)
	raw = append(raw, c.Bundle[:]...)
	raw = append(raw, c.Noise[:]...)
	raw = append(raw, c.URL...)
	sum := sha256.Sum256(raw)
	return JoinPrefix + joinText.EncodeToString(append(raw, sum[:4]...))
}

// ErrJoinCode says what a join code looks like.
var ErrJoinCode = errors.New("this is not a whole join code: it begins with sp1- and was made by `sallyport enroll-token create`; copy it again")

// ParseJoinCode reads a code; spaces and line breaks from copying are forgiven, a wrong letter is not.
func ParseJoinCode(text string) (JoinCode, error) {
	var c JoinCode
	text = strings.Join(strings.Fields(text), "")
	rest, ok := strings.CutPrefix(text, JoinPrefix)
	if !ok || len(rest) > 1024 {
		return c, ErrJoinCode
	}
	raw, err := joinText.DecodeString(rest)
	if err != nil || len(raw) < joinFixed+4+8 || joinText.EncodeToString(raw) != rest {
		return c, ErrJoinCode
	}
	body, check := raw[:len(raw)-4], raw[len(raw)-4:]
	if sum := sha256.Sum256(body); string(sum[:4]) != string(check) {
		return c, ErrJoinCode
	}
	copy(c.ID[:], body)
	copy(c.Secret[:], body[16:])
	copy(c.Bundle[:], body[48:])
	copy(c.Noise[:], body[80:])
	c.URL = string(body[joinFixed:])
	return c, c.checkURL()
}

func (c JoinCode) checkURL() error {
	_, err := c.Host()
	return err
}

// Host gives the host:port to dial, with the scheme's own port written out.
func (c JoinCode) Host() (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" {
		return "", fmt.Errorf("join code: %.80q is not a gateway's address", c.URL)
	}
	host := u.Host
	if u.Port() == "" {
		host = u.Host + map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	}
	if _, _, err := SplitHost(host); err != nil {
		return "", fmt.Errorf("join code: %w", err)
	}
	if want := map[string]string{"wss": "https", "ws": "http"}[Scheme(host)]; u.Scheme != want {
		return "", fmt.Errorf("join code: %s must be reached by %s", host, want)
	}
	return host, nil
}
