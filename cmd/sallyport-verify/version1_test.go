package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write anew what is said about the bundles of version 1; never the bundles")

const version1 = "testdata/version1"

// TestBundlesOfVersion1Verify reads bundles that a gateway and an agent wrote when recordings had header version 1. They
// are never written again: evidence that was exported once must verify with every later verifier. In shell somebody
// types in the open and out of sight and changes the size of the terminal. In exec a command writes to both streams
// and exits with 3. In interrupted the gateway was killed and its recording recovered from the journal.
func TestBundlesOfVersion1Verify(t *testing.T) {
	for _, name := range []string{"shell", "exec", "interrupted"} {
		t.Run(name, func(t *testing.T) {
			got := verify(t, allKeys(filepath.Join(version1, name+".slyb"))...)
			got.want(t, name, proven, "every sealed input opens", "Nothing is wrong")
			said := filepath.Join(version1, name+".txt")
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
}

// TestChangedBundlesOfVersion1Fail changes one byte in each of many places.
func TestChangedBundlesOfVersion1Fail(t *testing.T) {
	for _, name := range []string{"shell", "exec", "interrupted"} {
		raw, err := os.ReadFile(filepath.Join(version1, name+".slyb"))
		if err != nil {
			t.Fatal(err)
		}
		for at := 5; at < len(raw); at += len(raw) / 30 {
			bad := bytes.Clone(raw)
			bad[at] ^= 1
			got := verify(t, allKeys(file(t, "changed.slyb", bad))...)
			if got.code != wrong || !strings.Contains(got.errs, "offset") {
				t.Errorf("%s, byte %d changed: got exit %d, want %d and a place in %q", name, at, got.code, wrong, got.errs)
			}
		}
	}
}

func allKeys(path string) []string {
	key := func(name string) string { return filepath.Join(version1, name+".key") }
	return []string{"--log-key", key("log"), "--identity", key("reader"), "--identity", key("unsealer"), path}
}
