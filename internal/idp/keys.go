package idp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/sallyport/sallyport/internal/readfile"
)

// keys are the signing keys: files named by the time they were made, so that the last one signs. All are published, so
// a token outlives a rotation; a file that is removed takes its tokens with it.
type keys struct {
	dir string
	now func() time.Time

	mu  sync.RWMutex // guards all
	all []jose.JSONWebKey
}

func openKeys(dir string, now func() time.Time) (*keys, error) {
	k := &keys{dir: dir, now: now}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("provider keys: %w", err)
	}
	if err := k.load(); err != nil {
		return nil, err
	}
	if len(k.all) == 0 {
		return k, k.rotate()
	}
	return k, nil
}

// rotate makes a new key, which signs from now on.
func (k *keys) rotate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s.pem", k.now().UTC().Format("20060102T150405.000000000"))
	if err := replaceFile(filepath.Join(k.dir, name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return fmt.Errorf("provider key: %w", err)
	}
	return k.load()
}

func (k *keys) load() error {
	files, err := filepath.Glob(filepath.Join(k.dir, "*.pem"))
	if err != nil {
		return err
	}
	slices.Sort(files)
	var all []jose.JSONWebKey
	for _, f := range files {
		key, err := loadKey(f)
		if err != nil {
			return fmt.Errorf("provider key %s: %w", f, err)
		}
		all = append(all, key)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = all
	return nil
}

func loadKey(file string) (jose.JSONWebKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return jose.JSONWebKey{}, fmt.Errorf("others may read it (mode %o); chmod 600", info.Mode().Perm())
	}
	raw, err := readfile.Regular(file, readfile.Most)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return jose.JSONWebKey{}, fmt.Errorf("no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return jose.JSONWebKey{}, fmt.Errorf("not a P-256 key")
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	sum := sha256.Sum256(pub)
	return jose.JSONWebKey{Key: key, KeyID: base64.RawURLEncoding.EncodeToString(sum[:12]), Algorithm: string(jose.ES256), Use: "sig"}, nil
}

// public is the set as published, newest first.
func (k *keys) public() jose.JSONWebKeySet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var set jose.JSONWebKeySet
	for _, key := range slices.Backward(k.all) {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// sign makes a token of claims. The type keeps one kind of token from passing as another.
func (k *keys) sign(typ string, claims any) (string, error) {
	k.mu.RLock()
	newest := k.all[len(k.all)-1]
	k.mu.RUnlock()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: newest}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", err
	}
	return jwt.Signed(s).Claims(claims).Serialize()
}

// verify reads a token of ours, however old.
func (k *keys) verify(raw string, into any) error {
	t, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	return t.Claims(k.public(), into)
}
