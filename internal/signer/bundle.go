package signer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// makeBundle makes the trust bundle of this configuration. Its serial grows only when something in it changes, so that
// a restart sends nobody anything. A signer of its own process that has no bundle yet waits for Introduce.
func (s *Service) makeBundle() error {
	path := s.cfg.Dir + "/bundle.json"
	held, old, err := readBundle(path)
	if err != nil {
		return err
	}
	if s.cfg.NoiseKey.IsZero() {
		if old == nil {
			return nil
		}
		s.cfg.NoiseKey = old.Gateway[0]
	}
	next := wire.Bundle{V: 1, Serial: 1, Root: wire.PublicKey{PublicKey: s.keys.root.PublicKey()}, Gateway: []wire.Hash{s.cfg.NoiseKey},
		SessionCA: []wire.PublicKey{{PublicKey: s.keys.sessionCA.PublicKey()}},
		Log:       wire.LogIdentity{Origin: s.cfg.Origin, Key: s.keys.logVerifier}, Hosts: s.cfg.Hosts}
	if old != nil {
		next.Serial = old.Serial
	}
	body, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if old != nil && bytes.Equal(body, held.Body) {
		s.bundle, s.serial = held, old.Serial
		return nil
	}
	if old != nil {
		next.Serial++
		if body, err = json.Marshal(next); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
	}
	if s.bundle, err = wire.Make(s.keys.root, wire.PurposeBundle, body); err != nil {
		return err
	}
	if _, err := wire.ParseBundle(s.bundle); err != nil { // no device would take it
		return err
	}
	raw, err := json.Marshal(s.bundle)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	s.serial = next.Serial
	return writeDurable(path, raw)
}

// readBundle gives the bundle made last, or nil before there is one. One that cannot be read stops the signer: with a
// serial begun anew no device would ever take another bundle.
func readBundle(path string) (wire.Signed, *wire.Bundle, error) {
	var s wire.Signed
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return s, nil, fmt.Errorf("trust bundle %s: %w", path, err)
	}
	b, err := wire.ParseBundle(s)
	if err != nil {
		return s, nil, fmt.Errorf("trust bundle %s: %w", path, err)
	}
	return s, b, nil
}

// Bundle implements Signer.
func (s *Service) Bundle(context.Context) (wire.Signed, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.serial == 0 {
		return wire.Signed{}, errkind.New(errkind.Unavailable, "the signer has not met its gateway yet")
	}
	return s.bundle, nil
}

// Introduce tells a signer of its own process the gateway's Noise key, which the trust bundle names to every device. The
// first one counts for good: a taken data plane must not be able to put a stranger's gateway into the bundle. The same
// key again is no news.
func (s *Service) Introduce(_ context.Context, noise wire.Hash) error {
	if noise.IsZero() {
		return errkind.New(errkind.Usage, "a gateway introduces itself with its Noise key")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cfg.NoiseKey == noise && s.serial > 0:
		return nil
	case s.serial > 0:
		return errkind.New(errkind.Denied, "this gateway's Noise key is not the one that the signer knows, which every device trusts").
			WithHint("Empty the gateway's data_dir and put its backup back: " +
				"`sallyport restore --config FILE --from DIR --identity KEY`. " +
				"If keys/noise.key is lost, the devices must be enrolled again with a new signer directory.")
	}
	s.cfg.NoiseKey = noise
	return s.makeBundle()
}
