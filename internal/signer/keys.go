package signer

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport/sallyport/internal/readfile"
)

// keys are the private halves. Files are 0600 in a 0700 directory of the signer's own user.
type keys struct {
	root, sessionCA ssh.Signer
	log             note.Signer
	logVerifier     string
	site            []byte // HMAC key of the device pseudonyms
}

func openKeys(dir, origin string) (*keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("signer keys: %w", err)
	}
	k := &keys{}
	var err error
	if k.root, err = sshKeyFile(filepath.Join(dir, "root.key")); err != nil {
		return nil, err
	}
	if k.sessionCA, err = sshKeyFile(filepath.Join(dir, "session-ca.key")); err != nil {
		return nil, err
	}
	if err := k.openLog(filepath.Join(dir, "log.key"), origin); err != nil {
		return nil, err
	}
	k.site, err = keyFile(filepath.Join(dir, "site.key"), func() ([]byte, error) {
		raw := make([]byte, 32)
		rand.Read(raw)
		return raw, nil
	})
	return k, err
}

func (k *keys) openLog(path, origin string) error {
	var verifier string
	text, err := keyFile(path, func() ([]byte, error) {
		s, v, err := note.GenerateKey(rand.Reader, origin)
		return []byte(s + "\n" + v + "\n"), err
	})
	if err != nil {
		return err
	}
	secret, verifier, ok := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if !ok {
		return fmt.Errorf("%s: want a signer key and a verifier key, a line each", path)
	}
	k.logVerifier = verifier
	if k.log, err = note.NewSigner(secret); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if k.log.Name() != origin {
		return fmt.Errorf("%s: this key is for the log %q, the configuration names %q; a log keeps its name for ever", path, k.log.Name(), origin)
	}
	return nil
}

func sshKeyFile(path string) (ssh.Signer, error) {
	text, err := keyFile(path, func() ([]byte, error) {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		block, err := ssh.MarshalPrivateKey(k, "")
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(block), nil
	})
	if err != nil {
		return nil, err
	}
	s, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// keyFile reads a key, or makes and durably stores it when there is none. A file that others may read is refused.
func keyFile(path string, make func() ([]byte, error)) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil {
		if info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("%s: others may read this key (mode %04o); set it to 0600 and think about who read it", path, info.Mode().Perm())
		}
		return readfile.Regular(path, readfile.Most)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text, err := make()
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	return text, writeDurable(path, text)
}

// writeDurable writes by rename, so that a crash leaves the old file or the new one, whole.
func writeDurable(path string, text []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
