//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/backup"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestAFingerprintOfTheGatewaysSetSaysNothingOfTheSigners(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := &config.Config{}
	c.Site.DataDir, c.Ledger.Origin = t.TempDir(), "access.test/log"
	own, err := age.GenerateX25519Identity()
	must(err)
	c.Backup.Recipients = config.Words{filepath.Join(t.TempDir(), "backup.age")}
	must(os.WriteFile(c.Backup.Recipients[0], []byte(own.Recipient().String()+"\n"), 0o600))
	must(os.MkdirAll(filepath.Join(c.Site.DataDir, "keys"), 0o700))
	must(os.WriteFile(filepath.Join(c.Site.DataDir, "keys", "noise.key"), []byte("secret"), 0o600))
	db, err := sqlite.Open(t.Context(), filepath.Join(c.Site.DataDir, "gateway.db"), sqlite.Options{})
	must(err)
	defer db.Close()
	s, err := signer.New(signer.Config{Dir: filepath.Join(c.Site.DataDir, "signer"), Origin: c.Ledger.Origin,
		Hosts: []string{"access.test:443"}, NoiseKey: wire.Sum([]byte("noise")), PassTime: time.Hour})
	must(err)
	defer s.Close()
	to, kinds, prints := filepath.Join(t.TempDir(), "to"), []backup.Kind{backup.Gateway, backup.Signer}, []string{}
	for _, k := range kinds {
		r, err := backup.Make(t.Context(), c, k, backup.Options{To: to})
		must(err)
		prints = append(prints, r.Fingerprint)
	}
	for _, given := range [][]string{prints[:1], prints[1:], {"0"}} {
		sets, err := (&restoreCmd{From: to, Fingerprint: given}).open(kinds)
		if errkind.KindOf(err) != errkind.Conflict {
			t.Errorf("%v: got %v, want a refusal", given, err)
		}
		for _, s := range sets {
			s.Close()
		}
	}
	sets, err := (&restoreCmd{From: to, Fingerprint: prints}).open(kinds)
	if err != nil || len(sets) != 2 {
		t.Errorf("both: got %d sets, %v", len(sets), err)
	}
	for _, s := range sets {
		s.Close()
	}
}
