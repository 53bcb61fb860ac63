package login

import (
	"slices"
	"testing"
)

func TestABrowserSignsInAndIsKnown(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	who := s.who(b)
	if who.Person.Name != "technician" || !slices.Equal(who.Person.Groups, []string{"technicians"}) || who.Person.ID.Issuer != s.url+"/idp" {
		t.Errorf("got %+v", who.Person)
	}
	if who.Via != "web" || !who.Cookie || who.Evidence.IDToken == "" || who.Key == "" {
		t.Errorf("got %+v", who)
	}
	if !who.Person.SecondFactorAt.IsZero() {
		t.Errorf("a password alone counts as a second factor")
	}
}
