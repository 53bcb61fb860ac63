package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/backup"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
)

// identities are the secrets and left-overs that parts hand to each other while a gateway is put together.
type identities struct {
	noise   wire.NoiseKey
	archive []age.Identity
	cut     []recorder.Interrupted
	office  *enroll.Office
}

// checkData makes a data directory, and keeps demos and real gateways out of each other's. The key is what the
// configuration calls it.
func checkData(dir, key string, demo bool) error {
	if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
		return errkind.New(errkind.Usage, fmt.Sprintf("%s: %s cannot be made or written: %v", key, dir, err)).
			WithHint("Make it for the user that this runs as: install -d -m 0700 -o USER " + dir)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return errkind.New(errkind.Usage, fmt.Sprintf("%s: others may read %s (mode %04o)", key, dir, info.Mode().Perm())).
			WithHint("Run chmod 0700 on it, and think about who read the keys in it.")
	}
	if err := backup.Unfinished(dir); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "DEMO")); err == nil && !demo {
		return errkind.New(errkind.Usage, fmt.Sprintf("%s: %s is a demo's data, whose keys and passwords lie open", key, dir)).
			WithHint("Name another directory. A demo does not become a real gateway; set that up anew.")
	}
	return nil
}

// secretFile reads a hex secret, or makes one of n bytes. A file that others may read is refused.
func secretFile(path string, n int) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, n)
		rand.Read(raw)
		return raw, writeSecret(path, hex.EncodeToString(raw)+"\n")
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read this key; set it to 0600 and think about who read it", path)
	}
	text, err := readfile.Regular(path, readfile.Most)
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != n {
		return nil, fmt.Errorf("%s: want %d bytes in hex", path, n)
	}
	return raw, nil
}

func writeSecret(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func recordKey(path string) (ed25519.PrivateKey, error) {
	seed, err := secretFile(path, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// noiseKey reads the gateway's static key: private half, public half.
func noiseKey(path string) (wire.NoiseKey, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		k, err := wire.NewNoiseKey()
		if err != nil {
			return k, err
		}
		return k, writeSecret(path, hex.EncodeToString(append(k.Private[:], k.Public[:]...))+"\n")
	}
	raw, err := secretFile(path, 64)
	if err != nil {
		return wire.NoiseKey{}, err
	}
	return wire.NoiseKey{Private: wire.Hash(raw[:32]), Public: wire.Hash(raw[32:])}, nil
}

// recipients reads who may open recordings. The archive's own identity is made where none is named; it is a reader.
func recipients(c *config.Config, own string) (readers, unsealers []age.Recipient, archive []age.Identity, err error) {
	if readers, err = recipientFiles("readers_files", c.Recording.ReadersFiles); err != nil {
		return nil, nil, nil, err
	}
	if unsealers, err = recipientFiles("unsealers_files", c.Recording.UnsealersFiles); err != nil {
		return nil, nil, nil, err
	}
	if c.Recording.ArchiveKey != "" {
		own = c.Recording.ArchiveKey
	} else if _, err := os.Stat(own); errors.Is(err, fs.ErrNotExist) {
		k, err := age.GenerateX25519Identity()
		if err != nil {
			return nil, nil, nil, err
		}
		if err := writeSecret(own, k.String()+"\n"); err != nil {
			return nil, nil, nil, err
		}
	}
	text, err := readfile.Regular(own, readfile.Most)
	if err != nil {
		return nil, nil, nil, err
	}
	if archive, err = age.ParseIdentities(bytes.NewReader(text)); err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", own, err)
	}
	for _, i := range archive {
		if r := backup.PublicHalf(i); r != nil {
			readers = append(readers, r)
		}
	}
	return readers, unsealers, archive, nil
}

func recipientFiles(key string, paths []string) ([]age.Recipient, error) {
	var out []age.Recipient
	for _, path := range paths {
		text, err := readfile.Regular(path, readfile.Most)
		if err != nil {
			return nil, err
		}
		rs, err := age.ParseRecipients(bytes.NewReader(text))
		if err != nil {
			return nil, errkind.New(errkind.Usage, fmt.Sprintf("[recording] %s: %s: want age public keys, one a line: %v", key, path, err)).
				WithHint("`age-keygen -o key.txt` makes a pair and prints the public half; key.txt stays with its person.")
		}
		out = append(out, rs...)
	}
	return out, nil
}

// PolicyFiles reads the configured policy.
func PolicyFiles(c *config.Config) ([]signer.PolicyFile, error) {
	var out []signer.PolicyFile
	for _, pattern := range c.Policy.Files {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			return nil, fmt.Errorf("[policy] files: nothing matches %q", pattern)
		}
		for _, path := range paths {
			text, err := readfile.Regular(path, readfile.Most)
			if err != nil {
				return nil, err
			}
			out = append(out, signer.PolicyFile{Name: filepath.Base(path), Text: string(text)})
		}
	}
	return out, nil
}
