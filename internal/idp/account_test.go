package idp

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

func (s *site) account(client, secret, sub string) (status int, known bool) {
	s.t.Helper()
	res, err := http.PostForm(s.issuer+"/account", url.Values{"client_id": {client}, "client_secret": {secret}, "sub": {sub}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var said struct{ Known bool }
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, said.Known
}

func TestOnlyAClientWithASecretHearsWhoHasLeft(t *testing.T) {
	s := newSite(t)
	anna, _ := s.users.byName("anna")
	for name, c := range map[string]struct {
		client, secret, sub string
		status              int
		known               bool
	}{
		"anna":                 {"web", "shared", anna.Subject, 200, true},
		"nobody":               {"web", "shared", "nobody", 200, false},
		"her name, not her":    {"web", "shared", "anna", 200, false},
		"nothing":              {"web", "shared", "", 200, false},
		"a wrong secret":       {"web", "guess", anna.Subject, 401, false},
		"no secret":            {"web", "", anna.Subject, 401, false},
		"a public client":      {"tool", "", anna.Subject, 401, false},
		"a client that is not": {"evil", "", anna.Subject, 401, false},
	} {
		if status, known := s.account(c.client, c.secret, c.sub); status != c.status || known != c.known {
			t.Errorf("%s: got %d %t, want %d %t", name, status, known, c.status, c.known)
		}
	}
	if err := s.users.Change("anna", func(u *User) error { u.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, known := s.account("web", "shared", anna.Subject); known {
		t.Error("somebody who was disabled is still known")
	}
}
