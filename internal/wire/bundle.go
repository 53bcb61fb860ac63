package wire

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// MaxBundle bounds a trust bundle's text.
const MaxBundle = 8 << 10

// PublicKey is an SSH public key that reads and writes as base64url of its wire form.
type PublicKey struct{ ssh.PublicKey }

// MarshalText writes base64url of the wire form.
func (k PublicKey) MarshalText() ([]byte, error) {
	if k.PublicKey == nil {
		return nil, errors.New("no key")
	}
	return []byte(B64.EncodeToString(k.Marshal())), nil
}

// UnmarshalText reads what MarshalText writes.
func (k *PublicKey) UnmarshalText(text []byte) error {
	raw, err := decodeB64(text)
	if err != nil {
		return errors.New("want an SSH public key as base64url without padding")
	}
	k.PublicKey, err = ssh.ParsePublicKey(raw)
	return err
}

// LogIdentity names the append-only log a device trusts.
type LogIdentity struct {
	Origin string `json:"origin"`
	Key    string `json:"key"`            // verifier key in the form of golang.org/x/mod/sumdb/note
	Prev   string `json:"prev,omitempty"` // verifier key of the log this one follows
}

// Bundle is all that a device trusts: keys by role and the hosts it may dial.
type Bundle struct {
	V         int         `json:"v"`
	Serial    uint64      `json:"serial"`
	Root      PublicKey   `json:"root"`
	Gateway   []Hash      `json:"gateway"` // Noise static keys (X25519)
	SessionCA []PublicKey `json:"session_ca"`
	Log       LogIdentity `json:"log"`
	Hosts     []string    `json:"hosts"` // host:port; ws only for loopback literals, wss otherwise
}

// ParseBundle checks a signed bundle under the root key it names. The caller decides whether
// that root is the one it pinned.
func ParseBundle(s Signed) (*Bundle, error) {
	if len(s.Body) > MaxBundle {
		return nil, fmt.Errorf("bundle: longer than %d bytes", MaxBundle)
	}
	var b Bundle
	if err := SignedJSON(s.Body, &b); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if b.Root.PublicKey == nil {
		return nil, errors.New("bundle: no root key")
	}
	if err := Verify(b.Root, PurposeBundle, s.Body, s.Sig); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return &b, b.check()
}

func (b *Bundle) check() error {
	switch {
	case b.V != 1:
		return fmt.Errorf("bundle: version %d is not known here", b.V)
	case b.Serial == 0:
		return errors.New("bundle: no serial")
	case len(b.Gateway) < 1 || len(b.Gateway) > 2 || len(b.SessionCA) < 1 || len(b.SessionCA) > 2:
		return errors.New("bundle: want one or two keys a role")
	case b.Log.Origin == "" || !strings.HasPrefix(b.Log.Key, b.Log.Origin+"+"):
		return errors.New("bundle: no log, or a key of another log")
	case len(b.Hosts) < 1 || len(b.Hosts) > 32:
		return errors.New("bundle: want 1 to 32 hosts")
	}
	for _, k := range append([]PublicKey{b.Root}, b.SessionCA...) {
		if k.PublicKey == nil || k.Type() != ssh.KeyAlgoED25519 {
			return errors.New("bundle: root and session CA must be Ed25519 keys")
		}
	}
	for _, h := range b.Hosts {
		if _, _, err := SplitHost(h); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
	}
	return nil
}

// Follows reports why next may not replace b, or nil.
func (b *Bundle) Follows(next *Bundle) error {
	if Fingerprint(next.Root) != Fingerprint(b.Root) {
		return errors.New("bundle: another root key")
	}
	if next.Serial <= b.Serial {
		return fmt.Errorf("bundle: serial %d does not follow %d", next.Serial, b.Serial)
	}
	return nil
}

// CAKeys returns the session CA keys.
func (b *Bundle) CAKeys() []ssh.PublicKey {
	out := make([]ssh.PublicKey, len(b.SessionCA))
	for i, k := range b.SessionCA {
		out[i] = k.PublicKey
	}
	return out
}

// HasHost reports whether host, exactly as written, is one of the bundle's.
func (b *Bundle) HasHost(host string) bool {
	for _, h := range b.Hosts {
		if h == host {
			return true
		}
	}
	return false
}

// SplitHost checks host:port as bundles and open messages name it: no path, no user, a numeric port.
func SplitHost(hostport string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(hostport)
	if err == nil {
		port, err = strconv.Atoi(p)
	}
	if err != nil || port < 1 || port > 65535 || host == "" || strings.ContainsAny(host, "/@?# \t\r\n%\\") || strconv.Itoa(port) != p {
		return "", 0, fmt.Errorf("host %.80q: want name:port", hostport)
	}
	return host, port, nil
}

// Scheme says how a host of the bundle is dialled: plain ws only where the address itself says loopback.
func Scheme(hostport string) string {
	host, _, err := SplitHost(hostport)
	if err != nil {
		return "wss"
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return "ws"
	}
	return "wss"
}
