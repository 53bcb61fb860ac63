package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write anew what is said about the bundles of earlier programs; never the bundles")

// bundled are the bundles in testdata. A gateway and an agent wrote them when recordings had that header version, and
// they are never written again: evidence that was exported once must verify with every later verifier. In shell
// a person types visible and hidden input and resizes the terminal. In exec a command writes to both streams and exits
// with 3. In interrupted the gateway was killed and its recording recovered from the journal. In renewed, of version 2,
// a session outlives its first pass.
func bundled(t *testing.T, each func(t *testing.T, dir, name string)) {
	for _, version := range []string{"version1", "version2"} {
		for _, name := range []string{"shell", "exec", "interrupted"} {
			t.Run(version+"/"+name, func(t *testing.T) { each(t, filepath.Join("testdata", version), name) })
		}
	}
	t.Run("renewed", func(t *testing.T) { each(t, filepath.Join("testdata", "renewed"), "renewed") })
}

func TestBundlesOfEveryVersionVerify(t *testing.T) {
	bundled(t, func(t *testing.T, dir, name string) {
		got := verify(t, allKeys(dir, filepath.Join(dir, name+".slyb"))...)
		got.want(t, name, proven, "every sealed input opens", "No fault was found")
		said := filepath.Join(dir, name+".txt")
		if *update {
			if err := os.WriteFile(said, []byte(got.out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		if got.out != string(want) {
			t.Errorf("got\n%s\nwant\n%s", got.out, want)
		}
	})
}

// TestChangedBundlesOfEveryVersionFail changes one byte in each of many places.
func TestChangedBundlesOfEveryVersionFail(t *testing.T) {
	bundled(t, func(t *testing.T, dir, name string) {
		raw, err := os.ReadFile(filepath.Join(dir, name+".slyb"))
		if err != nil {
			t.Fatal(err)
		}
		for at := 5; at < len(raw); at += len(raw) / 30 {
			bad := bytes.Clone(raw)
			bad[at] ^= 1
			got := verify(t, allKeys(dir, file(t, "changed.slyb", bad))...)
			if got.code != wrong || !strings.Contains(got.errs, "offset") {
				t.Errorf("byte %d changed: got exit %d, want %d and a place in %q", at, got.code, wrong, got.errs)
			}
		}
	})
}

func allKeys(dir, path string) []string {
	key := func(name string) string { return filepath.Join(dir, name+".key") }
	return []string{"--log-key", key("log"), "--identity", key("reader"), "--identity", key("unsealer"), path}
}
