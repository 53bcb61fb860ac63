package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// written gives the data file of a log of n entries, and the file's size after each of them.
func written(t *testing.T, n int) (raw []byte, sizes []int64, s note.Signer, v string) {
	t.Helper()
	l, dir, s, v := newLog(t)
	sizes = append(sizes, l.end)
	for range n {
		add(t, l, entry("viewed", "something"))
		sizes = append(sizes, l.end)
	}
	l.Close()
	raw, err := os.ReadFile(filepath.Join(dir, dataFile))
	if err != nil {
		t.Fatal(err)
	}
	return raw, sizes, s, v
}

// reopen opens a log whose data file is raw, with nothing published beside it.
func reopen(t *testing.T, raw []byte, s note.Signer) (*Log, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, dataFile), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return Open(dir, s)
}

func TestACrashAtAnyByteOfTheTailLosesOnlyWhatWasNeverSigned(t *testing.T) {
	raw, sizes, s, _ := written(t, 3)
	for cut := sizes[2]; cut < sizes[3]; cut++ {
		l, err := reopen(t, raw[:cut], s)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if l.Head().Size != 2 {
			t.Fatalf("cut at %d: got size %d, want 2", cut, l.Head().Size)
		}
		if r := add(t, l, entry("viewed", "next")); r.Index != 2 {
			t.Fatalf("cut at %d: the next entry got index %d, want 2", cut, r.Index)
		}
		l.Close()
	}
}

func TestATailThatTheDiskGarbledIsCutOff(t *testing.T) {
	raw, sizes, s, _ := written(t, 3)
	for at := sizes[2]; at < sizes[3]; at += 7 {
		bad := bytes.Clone(raw)
		bad[at] ^= 0x55
		l, err := reopen(t, bad, s)
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		if l.Head().Size != 2 {
			t.Fatalf("byte %d: got size %d, want 2", at, l.Head().Size)
		}
		l.Close()
	}
}

func TestDamageBeforeSignedEntriesIsRefusedAndNothingIsCutOff(t *testing.T) {
	raw, sizes, s, v := written(t, 4)
	for at := int64(0); at < sizes[2]; at += 3 {
		bad := bytes.Clone(raw)
		bad[at] ^= 0x01
		dir := t.TempDir()
		path := filepath.Join(dir, dataFile)
		os.WriteFile(path, bad, 0o600)
		if l, err := Open(dir, s); err == nil {
			t.Fatalf("byte %d is changed and the log of size %d opens", at, l.Head().Size)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, bad) {
			t.Fatalf("byte %d: the file was changed", at)
		}
		if c, err := OpenCopy(dir, v); err == nil && c.Head.Size == 4 {
			t.Fatalf("byte %d is changed and a reader takes all entries", at)
		}
	}
}

func TestALogThatWasRolledBackIsRefused(t *testing.T) {
	second := t.TempDir()
	l, dir, s, _ := newLog(t, second)
	add(t, l, entry("viewed", "a"))
	short, _ := os.ReadFile(filepath.Join(dir, dataFile))
	add(t, l, entry("viewed", "b"))
	l.Close()
	os.WriteFile(filepath.Join(dir, dataFile), short, 0o600)
	if _, err := Open(dir, s); err == nil || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("got %v, want a refusal: the directory has shown more", err)
	}
	os.RemoveAll(filepath.Join(dir, "tile"))
	os.Remove(filepath.Join(dir, "checkpoint"))
	if _, err := Open(dir, s, second); err == nil || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("got %v, want a refusal: the second copy has more", err)
	}
	forked, err := Open(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	add(t, forked, entry("viewed", "c"))
	forked.Close()
	if _, err := Open(dir, s, second); err == nil || !strings.Contains(err.Error(), "another tree") {
		t.Errorf("got %v, want a refusal: the second copy has another tree", err)
	}
}

func TestAnotherKeyDoesNotOpenALog(t *testing.T) {
	raw, _, _, _ := written(t, 1)
	other, _ := newKey(t)
	if _, err := reopen(t, raw, other); err == nil {
		t.Error("a log was opened under a key that never signed it")
	}
}

func TestAnOutsiderFindsARewrittenAShrunkenAndAForkedLog(t *testing.T) {
	s, v := newKey(t)
	make := func(texts ...string) (string, Checkpoint) {
		dir := filepath.Join(t.TempDir(), "log")
		l, err := Create(dir, origin, s)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, text := range texts {
			e := Entry{Body: []byte(text)}
			e.Leaf = Leaf{Type: "viewed", Commit: Commit(e.Nonce, e.Body)}
			add(t, l, e)
		}
		return dir, l.Head()
	}
	_, held := make("a", "b", "c")
	for name, c := range map[string]struct {
		texts []string
		want  string
	}{"the same": {[]string{"a", "b", "c"}, ""}, "grown": {[]string{"a", "b", "c", "d"}, ""},
		"shrunken":  {[]string{"a", "b"}, "shrank"},
		"rewritten": {[]string{"a", "x", "c"}, "rewritten"}, "forked": {[]string{"a", "b", "x", "d"}, "forked"}} {
		dir, head := make(c.texts...)
		os.Remove(filepath.Join(dir, dataFile)) // tiles alone
		copied, err := OpenCopy(dir, v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = copied.Extends(held)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if c.want != "" && head.Size >= held.Size && CheckConsistency(held.Size, held.Root, head.Size, head.Root,
			nil) == nil {
			t.Errorf("%s: a consistency check without a proof passes", name)
		}
	}
}

func TestATileThatWasChangedIsFound(t *testing.T) {
	l, dir, _, v := newLog(t)
	for range 5 {
		add(t, l, entry("viewed", "x"))
	}
	l.Close()
	os.Remove(filepath.Join(dir, dataFile))
	path := filepath.Join(dir, "tile/entries/000.p/5")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range raw {
		bad := bytes.Clone(raw)
		bad[at] ^= 0x04
		os.WriteFile(path, bad, 0o600)
		if _, err := OpenCopy(dir, v); err == nil {
			t.Fatalf("byte %d of the entries is changed and nobody notices", at)
		}
	}
}
