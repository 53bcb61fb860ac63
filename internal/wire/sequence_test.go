package wire

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
)

// TestANextPassFollowsTheOneBefore: same session, device, person and login, another key, and never wider.
func TestANextPassFollowsTheOneBefore(t *testing.T) {
	key := func(b byte) ssh.PublicKey {
		seed := [32]byte{b}
		k, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := Grant{V: GrantVersion, Session: id.Session{1}, Device: Hash{2}, Login: "svc", Actions: []string{"run:svc /bin/x", "shell:svc"},
		Subject: Subject{Pseudonym: []byte{3}, Display: "Jana"}, Approvers: []string{}, Epoch: 7, IdleS: 60, RecordBytes: 0,
		MaxConcurrent: 2, Attended: true, Emergency: true}
	pass := func(g Grant, k ssh.PublicKey) *Pass {
		p, err := NewPass(g, k, key(9), time.Unix(1000, 0), time.Unix(2000, 0))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := pass(base, key(1))
	for what, c := range map[string]struct {
		change func(g *Grant)
		good   bool
	}{
		"the same":                  {func(*Grant) {}, true},
		"fewer actions":             {func(g *Grant) { g.Actions = g.Actions[1:] }, true},
		"stricter limits":           {func(g *Grant) { g.IdleS, g.RecordBytes, g.MaxConcurrent = 30, 1<<20, 1 }, true},
		"a later epoch":             {func(g *Grant) { g.Epoch++ }, true},
		"another session":           {func(g *Grant) { g.Session = id.Session{2} }, false},
		"another device":            {func(g *Grant) { g.Device = Hash{3} }, false},
		"another login":             {func(g *Grant) { g.Login, g.Actions = "root", []string{"shell:root"} }, false},
		"another person":            {func(g *Grant) { g.Subject.Pseudonym = []byte{4} }, false},
		"another name":              {func(g *Grant) { g.Subject.Display = "Ada" }, false},
		"an action more":            {func(g *Grant) { g.Actions = append(slices.Clone(g.Actions), "web:x") }, false},
		"another action":            {func(g *Grant) { g.Actions = []string{"run:svc /bin/y"} }, false},
		"an earlier epoch":          {func(g *Grant) { g.Epoch-- }, false},
		"a longer idle time":        {func(g *Grant) { g.IdleS++ }, false},
		"no idle limit":             {func(g *Grant) { g.IdleS = 0 }, false},
		"more sessions at once":     {func(g *Grant) { g.MaxConcurrent++ }, false},
		"no limit of sessions":      {func(g *Grant) { g.MaxConcurrent = 0 }, false},
		"nobody beside the device":  {func(g *Grant) { g.Attended = false }, false},
		"no mark of an emergency":   {func(g *Grant) { g.Emergency = false }, false},
		"a limit where none was":    {func(g *Grant) { g.RecordBytes = 1 }, true},
		"a reason and ticket anew":  {func(g *Grant) { g.Reason, g.Ticket = "again", "T-2" }, true},
		"another policy in between": {func(g *Grant) { g.PolicySHA256 = Hash{8} }, true},
	} {
		g := base
		c.change(&g)
		if err := pass(g, key(2)).Follows(before); (err == nil) != c.good {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if err := pass(base, key(1)).Follows(before); err == nil {
		t.Error("the key of the pass before was taken")
	}
}

func TestStricterTakesNoLimitForTheWidest(t *testing.T) {
	for _, c := range [][3]uint64{{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {3, 5, 3}, {5, 3, 3}} {
		if got := Stricter(c[0], c[1]); got != c[2] {
			t.Errorf("of %d and %d: got %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
