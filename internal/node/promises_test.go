package node

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/config"
)

func TestHiddenInputThatTheArchiveCouldOpenIsSaid(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		archive   string
		unsealers string // file
		want      string
	}{
		"another key":        {classic.String(), write("other", hybrid.Recipient().String()), OK},
		"the same key":       {classic.String(), write("same", classic.Recipient().String()), Weak},
		"the same pq key":    {hybrid.String(), write("pq", hybrid.Recipient().String()), Weak},
		"an unreadable file": {classic.String(), filepath.Join(dir, "missing"), Weak},
	} {
		conf := &config.Config{}
		conf.Recording.ArchiveKey = write("archive", c.archive)
		conf.Recording.UnsealersFiles = config.Words{c.unsealers}
		if got := unsealed(conf); got.State != c.want {
			t.Errorf("%s: got %+v, want %s", what, got, c.want)
		}
	}
}

func TestAnArchiveOfEitherKindIsAReader(t *testing.T) {
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "archive.txt")
	if err := os.WriteFile(own, []byte(hybrid.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	readers, _, _, err := recipients(&config.Config{}, own)
	if err != nil || len(readers) != 1 {
		t.Errorf("got %d readers, %v, want the archive itself", len(readers), err)
	}
}
