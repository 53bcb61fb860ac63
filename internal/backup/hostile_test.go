package backup

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
)

func TestADamagedBackupIsRefusedByName(t *testing.T) {
	h := newHouse(t)
	file, end := h.record("one")
	end()
	g, s := h.make(1)
	whole := filepath.Join(h.dir, "whole")
	must(t, os.CopyFS(whole, os.DirFS(h.to)))
	set := func(r *Result, name string) string {
		return filepath.Join(string(r.Kind), setsDir, r.Set, name)
	}
	recording := filepath.Join("gateway", recordingsDir, file)
	for name, c := range map[string]struct {
		spoil func(path string) error
		path  string
		want  string
	}{
		"a flipped byte in a recording":  {flip, recording, file + ": its bytes are not those that were written"},
		"a flipped byte in the database": {flip, set(g, databaseName), databaseName + ": its bytes"},
		"a flipped byte in the keys":     {flip, set(s, secretsName), secretsName + ": its bytes"},
		"a missing recording":            {os.Remove, recording, file + ": it is missing"},
		"a missing slot": {os.Remove, strings.TrimSuffix(recording, ".srec") + ".rk.age",
			".rk.age: it is missing"},
		"missing keys":                     {os.Remove, set(s, secretsName), secretsName + ": it is missing"},
		"a missing manifest":               {os.Remove, set(g, manifestName), manifestName},
		"half a manifest":                  {half, set(g, manifestName), manifestName},
		"a recording that became a link":   {link, recording, "is not a regular file"},
		"a directory that became a link":   {link, filepath.Join("gateway", recordingsDir), "escapes"},
		"a recording that became a longer": {grow, recording, "the manifest says"},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.RemoveAll(h.to))
			must(t, os.CopyFS(h.to, os.DirFS(whole)))
			must(t, c.spoil(filepath.Join(h.to, c.path)))
			data, err := h.restore(h.ids)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
			nothingIn(t, data)
		})
	}
}

func nothingIn(t *testing.T, dir string) {
	t.Helper()
	if dir == "" {
		return
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("something was put in place: %v, %v", left, err)
	}
}

func flip(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	return os.WriteFile(path, raw, 0o600)
}

func half(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()/2)
}

func grow(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString("more")
	return err
}

// link moves a file aside and leaves a link to it.
func link(path string) error {
	if err := os.Rename(path, path+".moved"); err != nil {
		return err
	}
	return os.Symlink(path+".moved", path)
}

func TestAWrongIdentityOpensNothing(t *testing.T) {
	h := newHouse(t)
	h.make(1)
	other, err := age.GenerateX25519Identity()
	must(t, err)
	data, err := h.restore([]age.Identity{other})
	if errkind.KindOf(err) != errkind.Denied {
		t.Errorf("got %v", err)
	}
	nothingIn(t, data)
}

func TestARestoreGoesIntoAnEmptyDirectoryOnly(t *testing.T) {
	h := newHouse(t)
	h.make(1)
	s, err := Open(h.to, Gateway, "")
	must(t, err)
	defer s.Close()
	_, err = Target{Config: h.Config}.Restore(t.Context(), h.ids, nil, s)
	if errkind.KindOf(err) != errkind.Conflict || !strings.Contains(err.Error(), "gateway.db") {
		t.Errorf("got %v, want the names of what is in the way", err)
	}
}

func TestALogThatIsOlderThanTheBackupIsNotPutInPlace(t *testing.T) {
	h := newHouse(t)
	h.grow(3)
	for end := time.Now().Add(time.Minute); h.sign.Behind() != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	h.sign.Close()
	older := filepath.Join(h.dir, "older")
	must(t, os.CopyFS(older, os.DirFS(h.Ledger.SecondCopy)))
	h.reopen()
	h.grow(3)
	h.make(1)
	h.Ledger.SecondCopy = older
	data, err := h.restore(h.ids)
	if err == nil || !strings.Contains(err.Error(), "it shrank") {
		t.Errorf("got %v", err)
	}
	nothingIn(t, data)
	h.Ledger.SecondCopy = ""
	if _, err := h.restore(h.ids); errkind.KindOf(err) != errkind.Usage ||
		!strings.Contains(err.Error(), "second_copy") {
		t.Errorf("without a copy: got %v", err)
	}
}

// TestASealedArchiveHoldsOnlyWhatARuleSeals uses archives that open: anyone who knows the public key can make them.
func TestASealedArchiveHoldsOnlyWhatARuleSeals(t *testing.T) {
	p := place{kind: Signer, apart: true}
	for _, h := range []tar.Header{
		{Name: "../../etc/cron.d/x"}, {Name: "/etc/passwd"}, {Name: "keys/../../x"}, {Name: "keys/./root.key"},
		{Name: "log/log.data"}, {Name: "idp/sessions.json"},
		{Name: "keys/root.key", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"},
		{Name: "keys", Typeflag: tar.TypeDir},
		{Name: "DEMO"}, {Name: "restored.json"},
		{Name: "state/devices/../../../x.json"}, {Name: "keys/a\\b.key"}, {Name: ""},
	} {
		var raw bytes.Buffer
		w := tar.NewWriter(&raw)
		h.Mode, h.Format = 0o777, tar.FormatPAX
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		must(t, w.Close())
		err := p.unpack(&raw, func(name string, _ []byte) error { t.Errorf("%q came out", name); return nil })
		if err == nil {
			t.Errorf("%q was taken", h.Name)
		}
	}
}

func TestASealedFileMustOpenToItsStatedLength(t *testing.T) {
	k, err := age.GenerateX25519Identity()
	must(t, err)
	root, err := os.OpenRoot(t.TempDir())
	must(t, err)
	defer root.Close()
	_, err = seal(root, "x.age", []age.Recipient{k.Recipient()}, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 32<<20)) // which packs to next to nothing
		return err
	})
	must(t, err)
	for _, plain := range []int64{0, 1 << 10, 32<<20 - 1, 32<<20 + 1, 32 << 20} {
		f, err := root.Open("x.age")
		must(t, err)
		read := int64(0)
		err = unseal(f, []age.Identity{k}, plain,
			func(r io.Reader) error { read, err = io.Copy(io.Discard, r); return err })
		f.Close()
		if (err == nil) != (plain == 32<<20) || read > plain+1 {
			t.Errorf("said %d: read %d, %v", plain, read, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	const set = "20261129T170000.000Z"
	hash := strings.Repeat("0", 64)
	good := Manifest{Format: 1, Kind: Gateway, Made: time.Date(2026, 11, 29, 17, 0, 0, 0, time.UTC), Files: []Entry{
		{Path: "sets/" + set + "/secrets.age", SHA256: hash}, {Path: "sets/" + set + "/database.age", SHA256: hash},
		{Path: "recordings/2026/11/29/a.srec", SHA256: hash}, {Path: "sets/" + set + "/open/recordings/a.srec",
			SHA256: hash}}}
	raw, err := json.Marshal(good)
	must(f, err)
	f.Add(raw)
	if err := good.check(set); err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{"../x", "/etc/passwd", "recordings/../../x.srec", "recordings/./a.srec",
		"recordings//a.srec", "sets/x/open/recordings/a.srec",
		"recordings/2026/11/29/a.srec" /* a second time */, "keys/noise.key", "gateway.db",
		"recordings/journal", "sets/" +
			set + "/open/../../x.srec"} {
		bad := good
		bad.Files = append(append([]Entry{}, good.Files...), Entry{Path: path, SHA256: hash})
		if err := bad.check(set); err == nil {
			f.Errorf("%q was taken", path)
		}
		raw, err := json.Marshal(bad)
		must(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m Manifest
		if json.Unmarshal(raw, &m) != nil || m.check(set) != nil {
			return
		}
		for _, e := range m.Files {
			name, ok := recordingName(set, e.Path)
			if ok && (!filepath.IsLocal(name) || !strings.HasPrefix(name, "recordings/")) || !filepath.IsLocal(e.Path) {
				t.Errorf("%q would be put at %q", e.Path, name)
			}
		}
	})
}

func FuzzUnpack(f *testing.F) {
	p := place{kind: Signer, apart: true}
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	must(f, w.WriteHeader(&tar.Header{Name: "keys/root.key", Mode: 0o600, Size: 3, Typeflag: tar.TypeReg}))
	w.Write([]byte("abc"))
	must(f, w.Close())
	f.Add(raw.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		p.unpack(bytes.NewReader(raw), func(name string, _ []byte) error {
			if rule, ok := p.classify(name); !ok || rule.Class != Sealed || !filepath.IsLocal(name) {
				t.Errorf("%q came out", name)
			}
			return nil
		})
	})
}

// A writer to the backup's disk joins an old database with a newer manifest. What was revoked between the two must not
// be skipped at the next start.
func TestAManifestCannotSkipEntriesThatTheDatabaseLacks(t *testing.T) {
	h := newHouse(t)
	h.grow(2000)
	g, _ := h.make(1)
	path := filepath.Join(archiveDir(h.to, Gateway), setsDir, g.Set, manifestName)
	raw, err := os.ReadFile(path)
	must(t, err)
	var m Manifest
	must(t, json.Unmarshal(raw, &m))
	m.Since = g.LogSize
	raw, err = json.Marshal(m)
	must(t, err)
	must(t, os.WriteFile(path, raw, 0o600))
	data, err := h.restore(h.ids)
	must(t, err)
	r, err := signer.ReadRestored(data)
	must(t, err)
	if r.Since != 0 { // the database of the test has no entry
		t.Errorf("the next start reads the log from entry %d on, want 0", r.Since)
	}
}
