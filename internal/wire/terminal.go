package wire

import (
	"fmt"
	"slices"
	"strings"
)

// What a session has where the technician's side names none, or one that does not fit.
const (
	DefaultTerm   = "xterm-256color"
	DefaultLocale = "C.UTF-8"
)

// MaxShape bounds a terminal type and the value of a locale variable, in bytes.
const MaxShape = 64

// letters of a terminal type and of a locale. None of them steers a terminal, ends a line or means something to a
// shell.
const (
	alphanumeric  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	termLetters   = alphanumeric + "._+-"
	localeLetters = alphanumeric + "._@-"
)

// Variable is one environment variable of a session.
type Variable struct{ Name, Value string }

// String gives the variable as a process has it: NAME=value.
func (v Variable) String() string { return v.Name + "=" + v.Value }

// LocaleNames gives the only variables that a session passes on: LANG and the categories of POSIX (XBD 8.2). Any other
// variable could make a program do anything.
func LocaleNames() []string {
	return []string{"LANG", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"}
}

// CheckTerm returns an error that says what a terminal type must be, and nil if term is one.
func CheckTerm(term string) error {
	if !shaped(term, termLetters) {
		return fmt.Errorf("a terminal type has 1 to %d characters of A-Z a-z 0-9 . _ + -", MaxShape)
	}
	return nil
}

// CheckLocale returns an error that says what the environment of a session may have, and nil if env keeps to it:
// names of LocaleNames, each at most once, so their number is bounded, and values of letters that locales have.
func CheckLocale(env []Variable) error {
	names := LocaleNames()
	for i, v := range env {
		switch {
		case !slices.Contains(names, v.Name):
			return fmt.Errorf("the environment of a session has only %s", strings.Join(names, ", "))
		case slices.ContainsFunc(env[:i], func(o Variable) bool { return o.Name == v.Name }):
			return fmt.Errorf("%s is given twice", v.Name)
		case !shaped(v.Value, localeLetters):
			return fmt.Errorf("%s has 1 to %d characters of A-Z a-z 0-9 . _ @ -", v.Name, MaxShape)
		}
	}
	return nil
}

func shaped(text, letters string) bool {
	return text != "" && len(text) <= MaxShape && strings.Trim(text, letters) == "" // Trim stops at the first other byte
}

// FitTerminal gives what a client sends of its own environment: the terminal type, DefaultTerm if TERM is not set,
// and the locale variables that are set. A value that does not fit is replaced by the default; replaced names these
// variables.
func FitTerminal(getenv func(string) string, terminal bool) (term string, env []Variable, replaced []Variable) {
	if terminal {
		if term = getenv("TERM"); term == "" {
			term = DefaultTerm
		}
		if CheckTerm(term) != nil {
			term = DefaultTerm
			replaced = append(replaced, Variable{"TERM", term})
		}
	}
	for _, name := range LocaleNames() {
		v := Variable{name, getenv(name)}
		if v.Value == "" { // POSIX takes it for one that is not set
			continue
		}
		if !shaped(v.Value, localeLetters) {
			v.Value = DefaultLocale
			replaced = append(replaced, v)
		}
		env = append(env, v)
	}
	return term, env, replaced
}
