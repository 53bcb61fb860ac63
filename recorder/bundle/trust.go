package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// maxTrust bounds the text of a trust bundle.
const maxTrust = 8 << 10

// trust has the parts of a trust bundle that the verifier needs.
type trust struct {
	root ssh.PublicKey
	ca   []ssh.PublicKey
	key  string // of the log
}

func parseKey(text string) (ssh.PublicKey, error) {
	raw, err := decodeB64(text)
	if err != nil {
		return nil, err
	}
	k, err := ssh.ParsePublicKey(raw)
	if err == nil && k.Type() != ssh.KeyAlgoED25519 {
		err = fmt.Errorf("its type is %.40q, want %s", k.Type(), ssh.KeyAlgoED25519)
	}
	return k, err
}

// decodeB64 reads base64url in its one form. The decoder alone would skip line breaks.
func decodeB64(text string) ([]byte, error) {
	raw, err := b64.DecodeString(text)
	if err == nil && b64.EncodeToString(raw) != text {
		err = errors.New("base64url with line breaks")
	}
	return raw, err
}

// trustText is the text of a trust bundle, with all its names, because strictJSON refuses others.
type trustText struct {
	V         int      `json:"v"`
	Serial    uint64   `json:"serial"`
	Root      string   `json:"root"`
	Gateway   []string `json:"gateway"`
	SessionCA []string `json:"session_ca"`
	Log       struct {
		Origin string `json:"origin"`
		Key    string `json:"key"`
		Prev   string `json:"prev"`
	} `json:"log"`
	Hosts []string `json:"hosts"`
}

// parseTrust checks that a trust bundle is signed by the root that it names, and that a device would accept it.
func parseTrust(body, sig []byte) (*trust, error) {
	if len(body) > maxTrust {
		return nil, fmt.Errorf("%d bytes, at most %d", len(body), maxTrust)
	}
	var in trustText
	if err := strictJSON(body, &in); err != nil {
		return nil, err
	}
	if in.V != 1 {
		return nil, fmt.Errorf("version %d; this program reads version 1", in.V)
	}
	t := &trust{key: in.Log.Key}
	var err error
	if t.root, err = parseKey(in.Root); err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	var s ssh.Signature
	if ssh.Unmarshal(sig, &s) != nil || len(s.Rest) != 0 || !bytes.Equal(ssh.Marshal(s), sig) ||
		t.root.Verify(append([]byte("sallyport/v1/bundle\x00"), body...), &s) != nil {
		return nil, errSignature
	}
	for i, text := range in.SessionCA {
		k, err := parseKey(text)
		if err != nil {
			return nil, fmt.Errorf("session_ca %d: %w", i, err)
		}
		t.ca = append(t.ca, k)
	}
	return t, in.check()
}

// check checks the values that have limits.
func (in *trustText) check() error {
	switch {
	case in.Serial == 0:
		return errors.New("no serial")
	case len(in.Gateway) < 1 || len(in.Gateway) > 2:
		return fmt.Errorf("gateway: %d keys, want 1 or 2", len(in.Gateway))
	case len(in.SessionCA) < 1 || len(in.SessionCA) > 2:
		return fmt.Errorf("session_ca: %d keys, want 1 or 2", len(in.SessionCA))
	case in.Log.Origin == "" || !strings.HasPrefix(in.Log.Key, in.Log.Origin+"+"):
		return fmt.Errorf("log: its key is not one of the origin %.80q", in.Log.Origin)
	case len(in.Hosts) < 1 || len(in.Hosts) > 32:
		return fmt.Errorf("hosts: %d, want 1 to 32", len(in.Hosts))
	}
	for i, text := range in.Gateway {
		if raw, err := decodeB64(text); err != nil || len(raw) != 32 {
			return fmt.Errorf("gateway %d: not a key of 32 bytes", i)
		}
	}
	for i, h := range in.Hosts {
		if !isHost(h) {
			return fmt.Errorf("hosts %d: %.80q is not name:port", i, h)
		}
	}
	return nil
}

// isHost reports whether s is a host and port to dial: an IPv6 address is in brackets, and the port has one spelling.
func isHost(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 1 || !isPort(s[i+1:]) {
		return false
	}
	host := s[:i]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return false
		}
	} else if strings.Contains(host, ":") {
		return false
	}
	return host != "" && !strings.ContainsAny(host, "/@?# \t\r\n%\\[]")
}

// isPort accepts the one spelling of a port.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

var errSignature = errors.New("the signature of its root is not valid")
