package wire

import (
	"slices"
	"strings"
	"testing"
)

// shapes are values of a terminal type and of a locale variable: which of the two takes each.
var shapes = []struct {
	value        string
	term, locale bool
}{
	{"xterm-256color", true, true},
	{"tmux.a_b-1", true, true},
	{"xterm+256color", true, false},
	{"de_DE.UTF-8@euro", false, true},
	{"C.UTF-8", true, true},
	{strings.Repeat("x", 64), true, true},
	{strings.Repeat("x", 65), false, false},
	{"", false, false},
	{"x\ny", false, false},
	{"\nx", false, false},
	{"x\n", false, false},
	{"x y", false, false},
	{"x\x00y", false, false},
	{"x\x1b[2J", false, false},
	{"../../etc/passwd", false, false},
	{"/tmp/x", false, false},
	{"$(id)", false, false},
	{"x;y", false, false},
	{"x=y", false, false},
	{"ünicode", false, false},
	{"a\u202eb", false, false},
	{"\xff", false, false},
}

func TestTerminalTypesAndLocalesHaveAStrictShape(t *testing.T) {
	for _, c := range shapes {
		if err := CheckTerm(c.value); (err == nil) != c.term {
			t.Errorf("terminal type %q: got %v, want it taken: %t", c.value, err, c.term)
		}
		for _, name := range LocaleNames() {
			if err := CheckLocale([]Variable{{name, c.value}}); (err == nil) != c.locale {
				t.Errorf("%s=%q: got %v, want it taken: %t", name, c.value, err, c.locale)
			}
		}
	}
}

func TestAnEnvironmentHasOnlyTheLocale(t *testing.T) {
	var all []Variable
	for _, name := range LocaleNames() {
		all = append(all, Variable{name, "C"})
	}
	if err := CheckLocale(all); err != nil {
		t.Errorf("all of the locale: %v", err)
	}
	for _, name := range []string{"", "lang", "LANGUAGE", "LC_", "LC_X", "LC_PAPER", "LC_ALL\n", "LANG=x", "LD_PRELOAD",
		"PATH", "TERM"} {
		if CheckLocale([]Variable{{name, "C"}}) == nil {
			t.Errorf("the variable %q was taken", name)
		}
		if CheckLocale(append(slices.Clone(all), Variable{name, "C"})) == nil {
			t.Errorf("%q was taken after others", name)
		}
	}
	if CheckLocale(append(all, Variable{"LANG", "C"})) == nil {
		t.Error("LANG was taken twice")
	}
}

// TestWhatAClientSendsIsTaken: whatever its own environment has, and with a name for each value that it replaced.
func TestWhatAClientSendsIsTaken(t *testing.T) {
	for _, c := range shapes {
		term, env, replaced := FitTerminal(func(string) string { return c.value }, true)
		if err := CheckTerm(term); err != nil {
			t.Errorf("of TERM=%q it sends %q: %v", c.value, term, err)
		}
		if err := CheckLocale(env); err != nil {
			t.Errorf("of %q it sends %v: %v", c.value, env, err)
		}
		want := 0 // an empty one is not set: nothing is replaced
		if c.value != "" && !c.term {
			want++
		}
		if c.value != "" && !c.locale {
			want += len(LocaleNames())
		}
		if len(replaced) != want {
			t.Errorf("of %q it says that it replaced %v, want %d", c.value, replaced, want)
		}
	}
	term, _, replaced := FitTerminal(func(string) string { return "x\ny" }, false)
	if term != "" || replaced[0].Name == "TERM" {
		t.Errorf("without a terminal it sends TERM=%q and says that it replaced %v", term, replaced)
	}
}
