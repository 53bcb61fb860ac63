package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/recorder/format"
)

// TestAPasswordTypedAtAPromptIsSealed types passwords at the prompts of real programs, right and wrong ones, and looks for
// them in everything that the product gives and keeps.
func TestAPasswordTypedAtAPromptIsSealed(t *testing.T) {
	w := words(8)
	read, wilma, nobody, wrong, fresh := w[0], w[1], w[2], w[3], w[4]
	keys, stars, inner := w[5], w[6], w[7]
	d := secretDemo(t, map[string]string{"nobody": nobody, "wilma": wilma})
	x := newDialog(t, d)
	x.run("read -s -p 'read''s: ' P; echo; echo length ${#P}.")
	x.answer("reads: ", read)
	x.expect(fmt.Sprintf("length %d.", len(read)))
	x.run("read -s -n 40 -p 'key''s: ' P; echo; echo length ${#P}.")
	x.answer("keys: ", keys)
	x.expect(fmt.Sprintf("length %d.", len(keys)))
	x.run(`printf 'star''s: '; while IFS= read -rsn1 c && [ "$c" ]; do P=$P$c; printf '*'; done; echo; echo length ${#P}.`)
	x.expect("stars: ")
	x.keys(stars + "\r")
	x.expect(fmt.Sprintf("%s\r\nlength %d.", strings.Repeat("*", len(stars)), len(keys)+len(stars)))
	x.run(`D=$(mktemp -d); cp "$(command -v script)" $D/passage; ` + // it opens a terminal of its own
		`$D/passage -qc "bash -c 'read -s -p in''ner:\  P; echo; echo length \${#P}.'" /dev/null; rm -r $D`)
	x.answer("inner: ", inner)
	x.expect(fmt.Sprintf("length %d.", len(inner)))
	typed := []string{read, keys, stars, inner}
	if os.Getuid() == 0 {
		x.run("su wilma -c 'echo su i''s in'")
		x.answer("Password: ", wilma)
		x.expect("su is in")
		x.run("sudo -k; sudo echo sudo i''s in")
		x.answer("password for nobody: ", wrong)
		x.answer("password for nobody: ", nobody)
		x.expect("sudo is in")
		x.run("sudo -k -u wilma echo feedback i''s in")
		x.expect("password for nobody: ")
		x.keys(nobody + "\r") // pwfeedback: raw mode, and an asterisk for each key
		x.expect("**")
		x.expect("feedback is in")
		x.run("passwd")
		x.answer("urrent password: ", nobody)
		x.answer("ew password: ", fresh)
		x.answer("ew password: ", fresh)
		x.expect("successfully")
		typed = append(typed, wilma, wrong, nobody, nobody, nobody, fresh, fresh)
	}
	x.end()
	sid := last(t, d)
	nowhere(t, d, sid, x.out.text(), w)
	archiveCannot(t, d, sid, w)
	officerCan(t, d, sid, typed)
}

// nowhere looks for passwords in every answer and every file.
func nowhere(t *testing.T, d *testenv.Demo, sid, screen string, secrets []string) {
	t.Helper()
	places := map[string]string{"the technician's screen": screen}
	for _, args := range [][]string{{"sessions", "replay", sid}, {"sessions", "replay", "--input", sid}, {"sessions", "replay", "--raw", "--speed", "1000", sid},
		{"sessions", "show", sid, "--json"}, {"sessions", "list", "--json"}, {"audit", "tail", "--json"}} {
		got := d.Run(t, "officer", args...)
		if got.Status != 0 {
			t.Errorf("sallyport %v: %+v", args, got)
		}
		places["sallyport "+strings.Join(args, " ")] = got.Out + got.Err
	}
	if input := places["sallyport sessions replay --input "+sid]; !strings.Contains(input, "[hidden]") || !strings.Contains(input, "exit") {
		t.Errorf("what was typed: got %q, want [hidden] and what was typed in the open", input)
	}
	for _, path := range []string{"", "/transcript", "/input", "/timeline", "/cast", "/cast?version=3", "/replay/index.json", "/replay/0.json", "/export"} {
		for _, role := range []string{"officer", "technician"} {
			if path != "/export" || role == "officer" {
				places[role+" GET "+path] = get(t, d, role, "/api/v1/sessions/"+sid+path)
			}
		}
	}
	for name, text := range places {
		for i, s := range secrets {
			if holds([]byte(text), s) {
				t.Errorf("password %d stands in %s", i, name)
			}
		}
	}
	inFiles(t, secrets, d.Dir, d.Dir+".out", d.Dir+".ready")
}

func inFiles(t *testing.T, secrets []string, roots ...string) {
	t.Helper()
	files := 0
	for _, root := range roots {
		filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil // a session's own, gone by now
			}
			files++
			for i, s := range secrets {
				if holds(raw, s) {
					t.Errorf("password %d lies in the clear in %s", i, path)
				}
			}
			return nil
		})
	}
	t.Logf("%d files searched for %d passwords", files, len(secrets))
}

// holds looks for a text as it is and in the forms that programs keep bytes in.
func holds(raw []byte, text string) bool {
	forms := [][]byte{[]byte(text), []byte(hex.EncodeToString([]byte(text))), bytes.Join(bytes.Split([]byte(text), nil), []byte{0})}
	for skip := range 3 { // base64 of something that holds it, at each of its three places
		s := base64.RawStdEncoding.EncodeToString(append(make([]byte, skip), text...))
		forms = append(forms, []byte(s[4:len(s)-4]))
	}
	return slices.ContainsFunc(forms, func(f []byte) bool { return bytes.Contains(raw, f) })
}

// recordingOf finds a session's container.
func recordingOf(t *testing.T, d *testenv.Demo, sid string) string {
	t.Helper()
	path, err := testenv.RecordingOf(filepath.Join(d.DataDir, "recordings"), sid)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// archiveCannot: neither a reader nor any key that the gateway keeps opens what was sealed.
func archiveCannot(t *testing.T, d *testenv.Demo, sid string, secrets []string) {
	t.Helper()
	path := recordingOf(t, d, sid)
	k, err := testenv.Keep(path, d.Identities["reader"])
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.Trim(k.Typed, "\x00")) != 0 || len(k.Revealed) == 0 {
		t.Error("a reader's key opens what was sealed")
	}
	for i, s := range secrets {
		if bytes.Contains(k.Revealed, []byte(s)) || bytes.Contains(k.Shown, []byte(s)) {
			t.Errorf("a reader reads password %d", i)
		}
	}
	keys := 0
	filepath.WalkDir(d.DataDir, func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		raw, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(raw, []byte("AGE-SECRET-KEY")) {
			return nil
		}
		ids, err := age.ParseIdentities(bytes.NewReader(raw))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			return nil
		}
		keys++
		slot, err := os.Open(strings.TrimSuffix(path, ".srec") + ".sk.age")
		if err != nil {
			t.Fatal(err)
		}
		defer slot.Close()
		if _, err := format.Unlock(slot, ids...); err == nil {
			t.Errorf("%s, which the gateway has, opens what was sealed", file)
		}
		return nil
	})
	t.Logf("%d keys of the gateway's own tried on the sealed input", keys)
}

// officerCan: who has the duty and the key reads them, in person and not unnoticed; nobody else does.
func officerCan(t *testing.T, d *testenv.Demo, sid string, typed []string) {
	t.Helper()
	unseal := []string{"sessions", "unseal", sid, "--identity", d.Identities["unsealer"]}
	if got := d.Run(t, "officer", unseal...); got.Status != 77 || got.Out != "" {
		t.Errorf("by token: got %+v, want 77 and nothing", got)
	}
	tess, ola := testenv.NewPerson(t, d.URL), testenv.NewPerson(t, d.URL)
	for role, p := range map[string]*testenv.Person{"technician": tess, "officer": ola} {
		if got := p.Login(signInAs(t, d, role), "allow"); got.Status != 0 {
			t.Fatalf("login: %+v", got)
		}
	}
	if got := tess.Run(unseal...); got.Status != 77 || got.Out != "" {
		t.Errorf("the technician: got %+v, want 77 and nothing", got)
	}
	if got := ola.Run("sessions", "unseal", sid, "--identity", d.Identities["reader"]); got.Status != 77 || got.Out != "" {
		t.Errorf("with a reader's key: got %+v, want 77 and nothing", got)
	}
	if got := hiddenLines(t, ola, d, sid, typed, "--reason", "case 7"); !slices.Equal(got, typed) {
		t.Errorf("unsealed: got %q, want %q", got, typed)
	}
	if text := ola.Must(unseal...); !strings.Contains(text, typed[0]+"^M\n") {
		t.Errorf("unsealed, for people: got %q", text)
	}
	var events []struct {
		Subject string
		Fields  map[string]string
	}
	raw := get(t, d, "officer", "/api/v1/audit?type=unsealed")
	if err := json.Unmarshal([]byte(raw), &events); err != nil || len(events) != 3 || events[1].Subject != sid || events[1].Fields["reason"] != "case 7" {
		t.Errorf("events: %v, got %s, want three of the session, the second with its reason", err, raw)
	}
	if temps, _ := filepath.Glob(filepath.Join(os.TempDir(), "sallyport-unseal-*")); len(temps) != 0 {
		t.Errorf("left behind: %v", temps)
	}
}

// TestAPasswordInThePasteIsSealed pastes 200 lines, with a hidden prompt and its answer in the middle, and types answers
// before they are asked for.
func TestAPasswordInThePasteIsSealed(t *testing.T) {
	w := words(4)
	read, nobody, fresh, ahead := w[0], w[1], w[2], w[3]
	d := secretDemo(t, map[string]string{"nobody": nobody, "wilma": words(1)[0]})
	x := newDialog(t, d)
	x.expect(prompt)
	var paste strings.Builder
	for i := range 200 {
		if i == 99 {
			paste.WriteString("read -s P\r" + read + "\r")
		} else {
			fmt.Fprintf(&paste, "echo n%d\r", i)
		}
	}
	paste.WriteString("echo length ${#P}.\r")
	took := x.paste(paste.String(), fmt.Sprintf("length %d.", len(read)))
	x.expect(prompt)
	t.Logf("200 lines with a hidden prompt in the middle: %s", took.Round(time.Millisecond))
	typed := []string{read}
	if os.Getuid() == 0 {
		took := x.paste("passwd\r"+nobody+"\r"+fresh+"\r"+fresh+"\recho changed $?.\r", "changed 0.")
		x.expect(prompt)
		t.Logf("passwd with its three answers in one paste: %s", took.Round(time.Millisecond))
		typed = append(typed, nobody, fresh, fresh)
	}
	took = x.paste("sleep 0.5; read -s P\r"+ahead+"\recho length ${#P}.\r", fmt.Sprintf("length %d.", len(ahead)))
	t.Logf("an answer half a second ahead of its prompt: %s", took.Round(time.Millisecond))
	typed = append(typed, ahead)
	x.end()
	sid := last(t, d)
	nowhere(t, d, sid, x.out.text(), w)
	ola := testenv.NewPerson(t, d.URL)
	if got := ola.Login(signInAs(t, d, "officer"), "allow"); got.Status != 0 {
		t.Fatalf("login: %+v", got)
	}
	if got := hiddenLines(t, ola, d, sid, typed); !slices.Equal(got, typed) {
		t.Errorf("unsealed: got %q, want %q", got, typed)
	}
}

// hiddenLines gives what an unsealing officer reads, without the lines that were typed at a visible prompt: on a busy
// machine the device's verdict on such a line may come too late, and then it stays sealed and is marked as without a
// verdict. A password may have that mark too.
func hiddenLines(
	t *testing.T, p *testenv.Person, d *testenv.Demo, sid string, passwords []string, more ...string,
) []string {
	t.Helper()
	var lines []struct {
		Bytes     []byte
		NoVerdict int `json:"no_verdict"`
	}
	out := p.Must(append([]string{"sessions", "unseal", sid, "--json", "--identity", d.Identities["unsealer"]}, more...)...)
	if err := json.Unmarshal([]byte(out), &lines); err != nil {
		t.Fatal(err)
	}
	var got []string
	late := 0
	for _, l := range lines {
		text := strings.TrimSuffix(string(l.Bytes), "\r")
		if l.NoVerdict == len(l.Bytes) && !slices.Contains(passwords, text) {
			late++
			continue
		}
		got = append(got, text)
	}
	t.Logf("%d lines typed in the open got no verdict in time", late)
	return got
}
