package backup

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/internal/config"
)

func TestEachFileHasOneClass(t *testing.T) {
	apart := config.Config{}
	apart.Signer.Socket, apart.Signer.Dir, apart.Site.DataDir = "/run/s", "/s", "/d"
	one := config.Config{}
	one.Site.DataDir = "/d"
	for name, c := range map[string]struct {
		p    place
		want map[string]Class
	}{
		"the gateway": {gatewayPlace(&apart), map[string]Class{"keys/noise.key": Sealed, "keys/archive.txt": Sealed,
			"gateway.db": Database, "gateway.db-wal": Never,
			"recordings/journal": Never, "recordings/a.srec": Recording, "recordings/2026/11/29/a.1.srec": Recording,
			"recordings/2026/11/29/a.rk.age": Recording,
			"recordings/a.sk.age.new":        Never, "recordings/ballast": Never, "last-backup.json": Never, "tls/ca.pem": Sealed,
			"signer/keys/root.key": "",
			"keys/x":               "", "other": ""}},
		"the signer": {signerPlace(&apart), map[string]Class{"keys/root.key": Sealed, "state/devices/x.json": Sealed,
			"state/policy-000001.json": Sealed, "state/signins/x.json": Never, "state/requests/x.json": Sealed,
			"state/proposals/x.json": Sealed, "state/administrators.json": Sealed, "state/mappings.json": Sealed,
			"log/log.data":   Never,
			"log/tile/0/000": Never, "log.short-1/log.data": Never, "idp/users.json": Sealed,
			"idp/sessions.json": Never,
			"idp/keys/x.pem":    Sealed, "idp/keys/.new-1": Never, "gateway.db": ""}},
		"the gateway of one process": {gatewayPlace(&one), map[string]Class{"keys/idp-client.key": Sealed,
			"signer/keys/root.key": Elsewhere, "idp/users.json": Elsewhere,
			"signer/log/log.data": Never, "gateway.db": Database}},
		"the signer of one process": {signerPlace(&one), map[string]Class{"keys/noise.key": Elsewhere,
			"signer/keys/root.key": Sealed, "idp/users.json": Sealed,
			"gateway.db": Elsewhere, "recordings/a.srec": Elsewhere}},
	} {
		for file, want := range c.want {
			if got, ok := c.p.classify(file); got.Class != want || ok != (want != "") {
				t.Errorf("%s: %s: got %q, want %q", name, file, got.Class, want)
			}
		}
	}
}

// unnamed lists the files of a directory that no rule names.
func unnamed(t *testing.T, p place) (files int, without []string) {
	t.Helper()
	without, err := p.walk(func(found) error { files++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return files, without
}

func TestAFileThatNoRuleNamesIsReported(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]fs.FileMode{"keys": fs.ModeDir, "recordings": fs.ModeDir, "keys/noise.key": 0,
		"keys/new-secret": 0, "recordings/index.db": 0} {
		path := filepath.Join(dir, name)
		if mode.IsDir() {
			os.MkdirAll(path, 0o700)
			continue
		}
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n, without := unnamed(t, place{Gateway, dir, true})
	if n != 1 || len(without) != 2 {
		t.Errorf("got %d named, %v without", n, without)
	}
}
