package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/plain"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
)

// ran is what one call of the program said.
type ran struct {
	code      int
	out, errs string
}

func verify(t *testing.T, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, &out, &errs)
	return ran{code, out.String(), errs.String()}
}

func (r ran) want(t *testing.T, what string, code int, said ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("%s: got exit %d, want %d\n%s%s", what, r.code, code, r.out, r.errs)
	}
	for _, s := range said {
		if !strings.Contains(r.out+r.errs, s) {
			t.Errorf("%s: it does not say %q:\n%s%s", what, s, r.out, r.errs)
		}
	}
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func export(t *testing.T, h *bundletest.House, r bundletest.Ran) []byte {
	t.Helper()
	e := bundle.Export{Session: r.SID, Dir: h.Recordings(), HostKey: h.Host.Marshal()}
	for _, p := range r.Parts {
		e.Parts = append(e.Parts, bundle.Part(p))
	}
	var out bytes.Buffer
	if err := bundle.Write(t.Context(), &out, bundletest.Access{Service: h.Signer}, e); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestAnOutsiderChecksABundle(t *testing.T) {
	h := bundletest.New(t)
	before := file(t, "checkpoint", h.Head())
	sid := h.Run([]byte("hello\n"), 2)
	raw := export(t, h, sid)
	b := file(t, "s.slyb", raw)
	reader, officer := file(t, "reader", []byte("# a reader\n"+h.Reader.String()+"\n")), h.Officer.String()
	verify(t, b).want(t, "without a key", partly, "log not checked", "No fault was found",
		"so the exit status is 3", "no --root was given, so it is not proven whose key that is")
	root := bundle.Fingerprint(must(h.Signer.Keys(t.Context()))(t).Root)
	verify(t, b, "--root", root).want(t, "with the root", partly, "signed by the root key given, "+root)
	verify(t, b, "--root", file(t, "root", []byte(root+"\n"))).want(t, "with the root in a file", partly)
	verify(t, b, "--root", "SHA256:"+strings.Repeat("A", 43)).want(t, "with another root", wrong, "trust: ", "not by the one given")
	verify(t, b, "--log-key", h.LogKey).want(t, "with the log's key", proven, "signed under the log key given", "not read: no --identity")
	verify(t, "--log-key", h.LogKey, "--identity", reader, "--identity", officer, b).want(t, "with both identities", proven, "7 bytes of input hidden", "every sealed input opens")
	stranger := must(age.GenerateX25519Identity())(t).String()
	verify(t, "--log-key", h.LogKey, "--identity", stranger, b).want(t, "with an identity of somebody else", proven,
		"not read: none of the identities given opens it", "No fault was found")
	verify(t, "--log-key", file(t, "key", []byte(h.LogKey+"\n")), "--checkpoint", before, "--checkpoint", file(t, "now", h.Head()), b).
		want(t, "with checkpoints", proven, "extends checkpoint 1", "extends checkpoint 2")
	verify(t, "--log-key", h.LogKey, "--log", h.LogDir(), "--recordings", h.Recordings(), "--checkpoint", before).want(t, "without a bundle", proven, "2 recordings are there")
	out := filepath.Join(t.TempDir(), "out")
	verify(t, "--unpack", out, b).want(t, "unpacking", partly)
	verify(t, "--log-key", h.LogKey, out).want(t, "unpacked", proven, "in 2 parts")
	rec := filepath.Join(out, sid.SID.String()+".srec")
	verify(t, rec, "--identity", reader, "--identity", officer).want(t, "a recording alone", partly, "a recording alone", "every sealed input opens")
	verify(t, rec, "--log-key", h.LogKey).want(t, "a recording and the log's key", partly, "a recording alone")
	verify(t, rec, "--log-key", h.LogKey, "--log", h.CopyOf(true)).want(t, "a recording and leaves alone", partly)
	verify(t, rec, "--log-key", h.LogKey, "--log", h.LogDir()).want(t, "a recording and the log", proven, "announced as entry ")
	other := bundletest.New(t)
	foreign := other.Find(other.Run([]byte("hello\n"), 1).SID.String() + ".srec")
	verify(t, foreign, "--log-key", h.LogKey, "--log", h.LogDir()).want(t, "a recording of another log", wrong, "no entry of the log announced it")

	raw[len(raw)/2] ^= 1
	bad := verify(t, "--log-key", h.LogKey, file(t, "bad.slyb", raw))
	bad.want(t, "a changed byte", wrong, "WRONG: ", "offset ")
	if strings.Contains(bad.out, "No fault was found") {
		t.Error("it says that nothing is wrong")
	}
	os.Remove(h.Find(sid.SID.String() + ".1.srec"))
	verify(t, "--log-key", h.LogKey, "--log", h.LogDir(), "--recordings", h.Recordings()).want(t, "a removed recording", wrong, "recordings: the recording is missing")
}

// TestACopyThatIsBehindProvesNothingAndIsNoFault: a second copy of the log is written a moment after the log, so an export
// may be newer. That must not read as tampering, and not as proven either.
func TestACopyThatIsBehindProvesNothingAndIsNoFault(t *testing.T) {
	h := bundletest.New(t)
	h.Run([]byte("before\n"), 1)
	behind := h.CopyOf(false)
	b := file(t, "s.slyb", export(t, h, h.Run([]byte("after\n"), 1)))
	got := verify(t, "--log-key", h.LogKey, "--log", behind, b)
	got.want(t, "a copy from before the export", asked, "Make a newer copy")
	verify(t, "--log-key", h.LogKey, "--log", h.LogDir(), b).want(t, "the log itself", proven)
	other := bundletest.New(t)
	verify(t, "--log-key", other.LogKey, "--log", other.LogDir(), b).want(t, "another log", wrong)
	held := file(t, "held", h.Head())
	verify(t, "--log-key", h.LogKey, "--log", behind, "--checkpoint", held).
		want(t, "a copy shorter than what somebody else kept", wrong, "it shrank, or the copy was made before")
}

func TestTheVerdictIsAlsoJSON(t *testing.T) {
	h := bundletest.New(t)
	sid := h.Run([]byte("x"), 1)
	raw := export(t, h, sid)
	slot := bytes.Clone(raw)
	slot[bytes.Index(raw, []byte("age-encryption.org"))+30] ^= 1
	for name, c := range map[string]struct {
		raw     []byte
		ok      bool
		code    int
		checked bool
		where   string
	}{"good": {raw, true, proven, true, ""}, "cut": {raw[:len(raw)-1], false, wrong, false, ""}, "a slot of other bytes": {slot, false, wrong, true, ".rk.age"}} {
		got := verify(t, "--json", "--log-key", h.LogKey, file(t, "b", c.raw))
		var v verdict
		if err := json.Unmarshal([]byte(got.out), &v); err != nil || got.code != c.code || got.errs != "" {
			t.Fatalf("%s: got exit %d, %v\n%s%s", name, got.code, err, got.out, got.errs)
		}
		if v.OK != c.ok || (v.Fault == nil) != c.ok || v.LogChecked != c.checked || c.ok && (v.Session != sid.SID.String() || len(v.Lines) < 8) {
			t.Errorf("%s: got %+v", name, v)
		}
		if unsure := verify(t, "--json", file(t, "b", c.raw)); c.ok && (unsure.code != partly ||
			!strings.Contains(unsure.out, `"ok": true`) || !strings.Contains(unsure.out, `"log_checked": false`)) {
			t.Errorf("%s, without the key: got exit %d\n%s", name, unsure.code, unsure.out)
		}
		if c.where != "" && (!strings.HasSuffix(v.Fault.File, c.where) || v.Fault.Offset != 0 || v.Fault.Length < 100 || !strings.Contains(got.out, `"length"`)) {
			t.Errorf("%s: got the fault %+v", name, v.Fault)
		}
	}
}

func TestWhoAsksWronglyIsToldSo(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	b := file(t, "b", []byte("x"))
	key := bundletest.New(t).LogKey
	for what, args := range map[string][]string{"nothing": {}, "two bundles": {b, b}, "an unknown flag": {"--what", b}, "no such file": {none}, "a key that is none": {"--log-key", "x", b},
		"an identity that is none": {"--identity", "AGE-SECRET-KEY-1SECRET", b}, "a log without a key": {"--log", none}, "recordings without a log": {"--recordings", none, b},
		"no such checkpoint": {"--checkpoint", none, b}, "no such log": {"--log-key", key, "--log", none}, "unpacking nothing": {"--log-key", key, "--log", none, "--unpack", none},
		"a root that is none": {"--root", "SHA256:x", b}, "a root in another form": {"--root", strings.Repeat("A", 43), b}, "a root of no bundle": {"--root", "SHA256:" + strings.Repeat("A", 43), "--log-key", key, "--log", none},
		"a root of a recording alone": {"--root", "SHA256:" + strings.Repeat("A", 43), file(t, "r.srec", []byte("SLYREC1\nx"))}} {
		got := verify(t, args...)
		said, todo, _ := strings.Cut(got.errs, "\n")
		if got.code != asked || !strings.HasPrefix(said, "sallyport-verify: ") || todo != seeHelp+"\n" || strings.Contains(got.errs, "1SECRET") {
			t.Errorf("%s: got exit %d\n%s%s", what, got.code, got.out, got.errs)
		}
	}
	verify(t, "--help").want(t, "help", proven, "--log-key KEY")
	verify(t, b).want(t, "a file that is no bundle", wrong, "not a bundle")
}

func TestARecordingDoesNotSteerTheCheckersTerminal(t *testing.T) {
	if got := shown("a\x1b[2Jb\u202ec\u009bd\u2028e\u061cf é"); got != "a?[2Jb?c?d?e?f é" {
		t.Errorf("got %q", got)
	}
	steering := "b\x1b[2J\x7f\u009b1m\u2028\u202e\U000e0001é"
	got := verify(t, "--json", file(t, steering, []byte("x")))
	if strings.ContainsFunc(got.out, func(r rune) bool { return r != '\n' && plain.Steers(r) }) || !strings.Contains(got.out, `\u009b1m`) {
		t.Errorf("as JSON: got %q", got.out)
	}
	var v verdict
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || v.Fault == nil || filepath.Base(v.Fault.File) != steering {
		t.Errorf("read again: got %+v, %v", v.Fault, err)
	}
}

func TestItSaysItsVersion(t *testing.T) {
	got := verify(t, "--version")
	got.want(t, "--version", 0)
	if !strings.HasPrefix(got.out, "sallyport-verify ") || strings.Count(got.out, "\n") != 1 || got.errs != "" {
		t.Errorf("got %q and %q, want one line of its name and version", got.out, got.errs)
	}
}
