package authz

import (
	"os"
	"strings"
	"testing"
	"time"
)

func ownerOf(t testing.TB, text string) *Owner {
	t.Helper()
	o, problems := LoadOwner(File{Name: "owner.toml", Text: []byte(text)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return o
}

func ownerAction(t testing.TB, text string) Action {
	t.Helper()
	a, err := ParseAction(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var (
	noon      = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) // a Tuesday
	lateNight = time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC)
)

func TestTheOwnersRulesAnswer(t *testing.T) {
	const hours = "[hours]\nzone = \"UTC\"\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\nfrom = " +
		"\"07:00\"\nto = \"17:00\"\n"
	for name, c := range map[string]struct {
		rules, action, login string
		at                   time.Time
		off                  bool // the switch
		answer               OwnerAnswer
		clause               string
	}{
		"locked denies": {`preset = "locked"`, "shell:svc", "svc", noon, false,
			OwnerDenies, "owner.shell"},
		"ask asks": {`preset = "ask"`, "run:svc /bin/x", "svc", noon, false,
			OwnerAsks, "owner.run"},
		"open allows, also at night": {`preset = "open"`, "shell:root", "root", lateNight, false,
			OwnerAllows, "owner.shell"},
		"office-hours allows inside": {"preset = \"office-hours\"\n" + hours, "shell:svc", "svc",
			noon, false, OwnerAllows, "owner.shell"},
		"office-hours denies outside": {"preset = \"office-hours\"\n" + hours, "shell:svc", "svc",
			lateNight, false, OwnerDenies, "owner.hours"},
		"a line refines a strict preset": {"preset = \"locked\"\nshell = \"allow\"", "shell:svc", "svc",
			noon, false, OwnerAllows, "owner.shell"},
		"a line refines an open preset": {"preset = \"open\"\nports = \"deny\"", "ports:plc:102", "svc",
			noon, false, OwnerDenies, "owner.ports"},
		"without a preset a missing line denies": {"logins = [\"svc\"]\nshell = \"allow\"", "run:svc /bin/x",
			"svc", noon, false, OwnerDenies, "owner.run"},
		"without a preset missing logins deny": {"shell = \"allow\"", "shell:svc", "svc", noon, false,
			OwnerDenies, "owner.logins"},
		"a login that is not named is denied": {"preset = \"open\"\nlogins = [\"svc\"]", "shell:root", "root",
			noon, false, OwnerDenies, "owner.logins"},
		"files read and write are two": {"preset = \"ask\"\nfiles = { read = \"allow\", write = " +
			"\"deny\" }", "files.write:/a", "svc", noon, false, OwnerDenies, "owner.files.write"},
		"one word for both files": {"preset = \"ask\"\nfiles = \"allow\"", "files.read:/a", "svc",
			noon, false, OwnerAllows, "owner.files.read"},
		"hours in any preset": {"preset = \"open\"\n" + hours, "shell:svc", "svc", lateNight,
			false, OwnerDenies, "owner.hours"},
		"outside may ask": {"preset = \"open\"\n" + hours + "outside = \"ask\"",
			"shell:svc", "svc", lateNight, false, OwnerAsks, "owner.hours"},
		"outside never makes a denial milder": {"preset = \"locked\"\n" + hours + "outside = \"ask\"",
			"shell:svc", "svc", lateNight, false, OwnerDenies, "owner.shell"},
		"a switch that is off denies": {"preset = \"open\"\n[switch]\nfile = \"/run/on\"", "shell:svc",
			"svc", noon, true, OwnerDenies, "owner.switch"},
		"a switch that is on changes nothing": {"preset = \"open\"\n[switch]\nfile = \"/run/on\"", "shell:svc",
			"svc", noon, false, OwnerAllows, "owner.shell"},
		"where there is no switch its state is moot": {"preset = \"open\"", "shell:svc", "svc", noon, true,
			OwnerAllows, "owner.shell"},
		"seeing a desktop and steering it are two": {"preset = \"open\"\ndesktop = { control = \"deny\" }",
			"desktop.control", "svc", noon, false, OwnerDenies, "owner.desktop.control"},
		"and the other of two keeps the preset": {"preset = \"open\"\ndesktop = { control = \"deny\" }",
			"desktop.view", "svc", noon, false, OwnerAllows, "owner.desktop.view"},
		"the first of equals is the clause": {"preset = \"locked\"\nlogins = [\"a\"]", "shell:svc", "svc",
			noon, false, OwnerDenies, "owner.shell"},
		"asking gives way to denying": {"preset = \"ask\"\nlogins = [\"a\"]", "shell:svc", "svc", noon,
			false, OwnerDenies, "owner.logins"},
	} {
		d := ownerOf(t, "format = 1\n"+c.rules+"\n").Decide(ownerAction(t, c.action), c.login, c.at, !c.off)
		if d.Answer != c.answer || d.Clause != c.clause || d.Text == "" {
			t.Errorf("%s: got %+v, want %s by %s", name, d, c.answer, c.clause)
		}
	}
}

func TestAnOwnersAllowanceEndsWithTheHours(t *testing.T) {
	o := ownerOf(t, "format = 1\npreset = \"open\"\n[hours]\nzone = \"UTC\"\ndays = [\"tue\"]\nfrom = \"07:00\"\n"+
		"to = \"17:00\"\n")
	if d := o.Decide(ownerAction(t, "shell:svc"), "svc", noon,
		true); !d.Until.Equal(time.Date(2026, 11, 24, 17, 0, 0, 0, time.UTC)) {
		t.Errorf("got until %s", d.Until)
	}
}

func TestOwnersFilesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"preset = \"open\"":                                  "format",
		"format = 2":                                         "format",
		"format = 1\npreset = \"opne\"":                      "preset",
		"format = 1\npreset = \"office-hours\"":              "[hours]",
		"format = 1\nshel = \"allow\"":                       "shell",
		"format = 1\nshell = \"allowed\"":                    "shell",
		"format = 1\nshell = true":                           "shell",
		"format = 1\nshell = { as = [\"x\"] }":               "shell",
		"format = 1\nlogins = []":                            "logins",
		"format = 1\nlogins = [\"a b\"]":                     "login",
		"format = 1\nfiles = { reed = \"allow\" }":           "reed",
		"format = 1\n[switch]\nunit = \"x\"":                 "file",
		"format = 1\n[switch]\nfile = \"on\"":                "absolute",
		"format = 1\n[hours]\nzone = \"UTC\"\n":              "days",
		"format = 1\n[ask]\nwho = [\"owner-page\"]":          "keys",
		"format = 1\n[ask]\nwait = \"soon\"":                 "wait",
		"format = 1\n[stop]\non_expiry = \"finish-command\"": "end",
		"format = 1\n[copy]\nkeep = true":                    "reader",
		"format = 1\n[copy]\nat_most = \"2 GB\"":             "size",
		"format = 1\nshell = \"allow\"\nshell = \"deny\"":    "TOML",
	} {
		_, problems := LoadOwner(File{Name: "owner.toml", Text: []byte(text)})
		if len(problems) == 0 || !strings.Contains(problems.Error(), want) || problems[0].Line < 1 {
			t.Errorf("%q: got %v, want a problem about %q", text, problems, want)
		}
	}
}

func TestTheExampleOfTheDesignIsRead(t *testing.T) {
	text, err := os.ReadFile("testdata/owner.toml")
	if err != nil {
		t.Fatal(err)
	}
	o := ownerOf(t, string(text))
	if o.Preset != "ask" || o.Switch != "/run/sallyport/remote-on" || o.Ask.Wait != 5*time.Minute || !o.Stop.Finish ||
		o.Copy.AtMost != 2<<30 {
		t.Errorf("got %+v", o)
	}
	if d := o.Decide(ownerAction(t, "run:svc /bin/x"), "root", noon, true); d.Clause != "owner.logins" {
		t.Errorf("root: got %+v", d)
	}
	other := ownerOf(t, string(text)+"\n# a word\n")
	if o.Hash() == other.Hash() {
		t.Error("the hash does not cover the whole file")
	}
}

func TestEveryPresetWritesAFileThatMeansIt(t *testing.T) {
	want := map[string]OwnerAnswer{"locked": OwnerDenies, "ask": OwnerAsks, "office-hours": OwnerAllows,
		"open": OwnerAllows}
	for _, p := range Presets {
		text, err := OwnerFile(p, "UTC")
		if err != nil {
			t.Fatal(err)
		}
		if d := ownerOf(t, string(text)).Decide(ownerAction(t, "shell:svc"), "svc", noon, true); d.Answer != want[p] {
			t.Errorf("%s: got %s, want %s", p, d.Answer, want[p])
		}
	}
	if _, err := OwnerFile("opne", "UTC"); err == nil {
		t.Error("an unknown preset was written")
	}
}

// FuzzOwner: whatever is read, more strictness never allows more, and neither switch nor hours ever widen.
func FuzzOwner(f *testing.F) {
	text, _ := os.ReadFile("testdata/owner.toml")
	f.Add(text, int64(1_795_000_000))
	f.Add([]byte("format = 1\npreset = \"open\"\n"), int64(0))
	f.Add([]byte("format = 1\nshell = \"allow\"\nlogins = [\"svc\"]\n[hours]\nzone = \"Europe/Berlin\"\ndays = "+
		"[\"sat\"]\nfrom = \"22:00\"\nto = \"06:00\"\n"), int64(1_795_000_000))
	f.Fuzz(func(t *testing.T, text []byte, at int64) {
		o, problems := LoadOwner(File{Name: "owner.toml", Text: text})
		if (o == nil) == (len(problems) == 0) {
			t.Fatal("want rules or problems")
		}
		if o == nil {
			return
		}
		now := time.Unix(at%4_000_000_000, 0)
		for _, w := range []string{"shell:svc", "run:svc /bin/x", "files.write:/a", "desktop.control"} {
			a := ownerAction(t, w)
			on, off := o.Decide(a, "svc", now, true), o.Decide(a, "svc", now, false)
			if on.Stricter(off).Answer != off.Answer {
				t.Fatalf("%s: the switch off allows more: %+v, %+v", w, on, off)
			}
			if on.Answer == OwnerAllows && o.line(a.Kind).Answer != OwnerAllows {
				t.Fatalf("%s: allowed beside its line", w)
			}
		}
	})
}

// Owners copy the example of docs/agent.md, so it must load and decide as its comments say.
func TestExampleForOwnersLoadsAndDecidesAsItSays(t *testing.T) {
	page, err := os.ReadFile("../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	if !found {
		t.Fatal("docs/agent.md has no example")
	}
	rules, problems := LoadOwner(File{Name: "docs/agent.md", Text: []byte(text)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	day, night := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC), time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		kind  Kind
		login string
		at    time.Time
		on    bool
		want  OwnerAnswer
	}{
		{Shell, "svc", day, true, OwnerAllows},
		{Shell, "root", day, true, OwnerDenies},
		{Shell, "svc", night, true, OwnerDenies},
		{Shell, "svc", day, false, OwnerDenies},
		{FilesRead, "svc", day, true, OwnerAllows},
		{FilesWrite, "svc", day, true, OwnerDenies},
		{DesktopControl, "svc", day, true, OwnerDenies},
	} {
		if got := rules.Decide(Action{Kind: c.kind}, c.login, c.at, c.on); got.Answer != c.want {
			t.Errorf("%v as %s at %s, switch %v: got %s (%s), want %s", c.kind, c.login, c.at, c.on, got.Answer,
				got.Text, c.want)
		}
	}
}

func TestAnOwnerMayLetProgramsReachTheWholeMachine(t *testing.T) {
	for text, whole := range map[string]bool{"": false, "processes = \"session\"\n": false, "processes = \"machine\"\n": true} {
		o, problems := LoadOwner(File{Name: "owner.toml", Text: []byte("format = 1\npreset = \"open\"\n" + text)})
		if len(problems) > 0 || o.Whole != whole {
			t.Errorf("%q: got %+v, %v, want %v", text, o, problems, whole)
		}
	}
	if _, problems := LoadOwner(File{Name: "owner.toml", Text: []byte("format = 1\npreset = \"open\"\nprocesses = \"all\"\n")}); len(problems) != 1 {
		t.Errorf("another word: got %v, want one problem", problems)
	}
}
