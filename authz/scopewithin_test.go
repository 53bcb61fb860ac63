package authz

import (
	"slices"
	"testing"
)

func TestAScopeIsWithinAnotherOnlyIfThatHasEachEntry(t *testing.T) {
	word := Template{{Literal: "/bin/x"}, {Placeholder: AnyWord}}
	number := Template{{Literal: "/bin/x"}, {Placeholder: AnyNumber}}
	scope := func(login string, templates []Template, actions ...string) Scope {
		t.Helper()
		slices.Sort(actions)
		s, err := ParseScope(login, actions, templates)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	wide := scope("svc", []Template{word}, "shell:svc", "files.read:/var", "run:svc /bin/y")
	for what, c := range map[string]struct {
		s      Scope
		within bool
		narrow []string
	}{
		"itself":                  {wide, true, wide.Words()},
		"one action":              {scope("svc", nil, "shell:svc"), true, []string{"shell:svc"}},
		"a command of a template": {scope("svc", nil, "run:svc /bin/x a"), true, []string{"run:svc /bin/x a"}},
		"a narrower template": {scope("svc", []Template{number}, "shell:svc"), true,
			[]string{"shell:svc", "run:svc /bin/x {number}"}},
		"a directory below": {scope("svc", nil, "files.read:/var/log"), true,
			[]string{"files.read:/var/log"}},
		"the directory above":       {scope("svc", nil, "files.read:/"), false, []string{"files.read:/var"}},
		"to write what may be read": {scope("svc", nil, "files.write:/var"), false, []string{}},
		"another command": {scope("svc", nil, "run:svc /bin/z", "run:svc /bin/y"), false,
			[]string{"run:svc /bin/y"}},
		"a wider template": {scope("svc", []Template{{{Literal: "/bin/y"}, {Placeholder: AnyWord}}}),
			false, []string{}},
		"another login":               {scope("root", nil, "shell:root"), false, []string{}},
		"the same words, other login": {scope("root", []Template{word}), false, []string{}},
		"a literal in braces":         {scope("svc", nil, "run:svc /bin/x '{word}'"), false, []string{}},
	} {
		if got := c.s.Within(wide); got != c.within {
			t.Errorf("%s: within is %v, want %v", what, got, c.within)
		}
		both, other := c.s.Narrow(wide), wide.Narrow(c.s)
		if !slices.Equal(both.Words(), c.narrow) || !slices.Equal(other.Words(), c.narrow) {
			t.Errorf("%s: narrowed to %q and %q, want %q", what, both.Words(), other.Words(), c.narrow)
		}
		if both.Size() > 0 && (!both.Within(wide) || !both.Within(c.s)) {
			t.Errorf("%s: narrowed to more than there was", what)
		}
	}
	if (Scope{}).Narrow(wide).Size() != 0 || wide.Within(Scope{}) {
		t.Error("the empty scope has something")
	}
}
