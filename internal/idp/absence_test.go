package idp

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAMissingFileOfPeopleEndsNothing(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"removed while it runs": os.Remove,
		"replaced by a FIFO": func(path string) error {
			return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600))
		},
		"replaced by an empty one": func(path string) error { return os.WriteFile(path, []byte("[]"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			first := s.redeem(s.signIn(s.browser()))
			if first.HTTP != 200 {
				t.Fatalf("got %+v", first)
			}
			raw, err := os.ReadFile(s.users.path)
			if err != nil {
				t.Fatal(err)
			}
			if err := lose(s.users.path); err != nil {
				t.Fatal(err)
			}
			s.sweep()
			if got := s.heard(); len(got) != 0 {
				t.Errorf("%d sign-ins were ended", len(got))
			}
			if r := s.renew(first.Refresh); r.HTTP == 400 {
				t.Errorf("the refresh is refused for good: %+v", r)
			} else if r.HTTP == 200 {
				first = r
			}
			os.Remove(s.users.path) // what was put in its place
			if err := os.WriteFile(s.users.path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			if r := s.renew(first.Refresh); r.HTTP != 200 {
				t.Errorf("once the file is back: got %+v", r)
			}
		})
	}
}

func TestARemovedUserHasLeftAndTheNameIsFree(t *testing.T) {
	s := newSite(t)
	anna, _ := s.users.byName("anna")
	if err := s.users.Remove("anna"); err != nil {
		t.Fatal(err)
	}
	again, err := OpenUsers(filepath.Dir(s.users.path)) // as after a restart
	if err != nil {
		t.Fatal(err)
	}
	gone, ok := again.bySubject(anna.Subject)
	if !ok || !gone.left() || gone.Name != "" || gone.Password != "" || gone.Email != "" {
		t.Errorf("got %+v, %t: want the subject alone, as removed", gone, ok)
	}
	if _, ok := again.byName("anna"); ok {
		t.Error("the removed user is still found by name")
	}
	if all, err := again.All(); err != nil || len(all) != 0 && all[0].Name == "anna" {
		t.Errorf("the removed user is listed: %+v, %v", all, err)
	}
	if next, err := again.Add(User{Name: "anna", Groups: []string{}}, password); err != nil ||
		next.Subject == anna.Subject {
		t.Errorf("another anna: got %+v, %v", next, err)
	}
}
