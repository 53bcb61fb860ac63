package bundle

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/wire"
)

// TestThePassBeforeCoversWhatTheProductSaysItCovers compares the verifier's own reading with that of signer, gateway
// and device, on pairs of what two passes can permit.
func TestThePassBeforeCoversWhatTheProductSaysItCovers(t *testing.T) {
	actions := []string{"shell:svc", "run:svc /bin/x", "run:svc /bin/x a", "run:svc /bin/x 17",
		"run:svc /bin/x 'a b'", "run:svc /bin/x '{word}'",
		`run:svc /bin/x 'it'\''s'`, "run:svc /bin/x -a", "run:svc /bin/x ''", "files.read:/", "files.read:/var",
		"files.read:/var/log", "files.read:/variable",
		"files.write:/var", "ports:plc.local:102", "web:hmi", "desktop.view", "desktop.control"}
	templates := []authz.Template{
		{{Literal: "/bin/x"}, {Placeholder: authz.AnyWord}}, {{Literal: "/bin/x"}, {Placeholder: authz.AnyNumber}},
		{{Literal: "/bin/x"}, {Literal: "{word}"}, {Placeholder: authz.AnyWord}},
		{{Literal: "/bin/x"}, {Literal: "a b"}, {Placeholder: authz.AnyNumber}}}
	scope := func() authz.Scope {
		var words []string
		var some []authz.Template
		for len(words)+len(some) == 0 {
			words = slices.DeleteFunc(slices.Clone(actions), func(string) bool { return rand.IntN(4) > 0 })
			some = slices.DeleteFunc(slices.Clone(templates), func(authz.Template) bool { return rand.IntN(3) > 0 })
		}
		slices.Sort(words)
		for i, j := 0, 0; i < len(templates); i++ { // in the one order of a pass
			if s, err := authz.ParseScope("svc", words, some); err == nil {
				return s
			}
			j = (i + 1) % max(1, len(some))
			if len(some) > 1 {
				some[0], some[j] = some[j], some[0]
			}
		}
		s, err := authz.ParseScope("svc", []string{actions[rand.IntN(len(actions))]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	read := func(s authz.Scope) *grant {
		var g wire.Grant
		g.SetScope(s)
		return &grant{V: 2, Login: g.Login, Actions: g.Actions, Templates: g.Templates}
	}
	within := 0
	for range 20_000 {
		next, before := scope(), scope()
		if rand.IntN(2) == 0 {
			next = next.Narrow(before)
			if next.Size() == 0 {
				continue
			}
		}
		want := next.Within(before)
		if want {
			within++
		}
		if err := read(next).within(read(before)); (err == nil) != want {
			t.Fatalf("%q after %q: got %v, want within %v", next.Words(), before.Words(), err, want)
		}
	}
	if within < 1000 {
		t.Errorf("only %d of the pairs were within", within)
	}
}

func TestALimitThatIsLooserOrAMarkThatIsGoneIsFound(t *testing.T) {
	before := grant{V: 2, Login: "svc", Actions: []string{"shell:svc"}, Idle: 60, AtOnce: 2, Attended: true,
		Emergency: true}
	for what, c := range map[string]struct {
		change func(*grant)
		good   bool
	}{
		"the same":                {func(*grant) {}, true},
		"stricter":                {func(g *grant) { g.Idle, g.AtOnce, g.RecordBytes = 30, 1, 1<<20 }, true},
		"idle for longer":         {func(g *grant) { g.Idle = 61 }, false},
		"idle for ever":           {func(g *grant) { g.Idle = 0 }, false},
		"more at once":            {func(g *grant) { g.AtOnce = 3 }, false},
		"nobody beside it":        {func(g *grant) { g.Attended = false }, false},
		"no emergency":            {func(g *grant) { g.Emergency = false }, false},
		"a grant of version 1":    {func(g *grant) { g.V = 1 }, false},
		"a grant of no version":   {func(g *grant) { g.V = 3 }, false},
		"an action that is added": {func(g *grant) { g.Actions = append(g.Actions, "web:hmi") }, false},
	} {
		g := before
		g.Actions = slices.Clone(before.Actions)
		c.change(&g)
		if err := g.within(&before); (err == nil) != c.good {
			t.Errorf("%s: got %v", what, err)
		}
	}
}
