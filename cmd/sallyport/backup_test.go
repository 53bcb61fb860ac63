//go:build cgo && linux

package main

import (
	"testing"

	"github.com/sallyport/sallyport/internal/backup"
	"github.com/sallyport/sallyport/internal/errkind"
)

func TestASetWithAnotherFingerprintIsRefused(t *testing.T) {
	set := &backup.Set{Fingerprint: "aa", Manifest: &backup.Manifest{Kind: backup.Gateway}}
	for _, given := range [][]string{nil, {"aa"}, {"bb", "aa"}} {
		if err := hasFingerprint("/backup", set, given); err != nil {
			t.Errorf("%q: got %v", given, err)
		}
	}
	if err := hasFingerprint("/backup", set, []string{"bb"}); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("another: got %v, want a refusal", err)
	}
}

func TestABackupKeepsAtLeastTheSetThatItMakes(t *testing.T) {
	for _, keep := range []int{0, -1} {
		err := (&backupCmd{Config: "gateway.toml", To: t.TempDir(), Keep: keep}).Run(&app{})
		if errkind.KindOf(err) != errkind.Usage {
			t.Errorf("--keep %d: got %v, want a usage error", keep, err)
		}
	}
}
