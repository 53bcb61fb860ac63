package oidcauth

import (
	"net/http"
	"testing"
)

func TestNobodyHasLeftUnlessTheProviderSaysSo(t *testing.T) {
	l := newLiar(t)
	var status int
	var said any
	l.srv.Config.Handler.(*http.ServeMux).HandleFunc("POST /account", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("sub") != "u-1" || r.PostFormValue("client_secret") != "s" {
			t.Errorf("asked with %v", r.PostForm)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		writeJSON(w, said)
	})
	if left, err := l.party().Left(t.Context(), "u-1"); left || err != nil {
		t.Errorf("a provider that cannot be asked: got %t, %v", left, err)
	}
	l.meta = map[string]any{"sallyport_account_endpoint": l.srv.URL + "/account"}
	p := l.party()
	for name, c := range map[string]struct {
		status     int
		said       any
		left, fail bool
	}{
		"known":               {200, map[string]bool{"known": true}, false, false},
		"removed":             {200, map[string]bool{"known": false, "left": true}, true, false},
		"not known":           {200, map[string]bool{"known": false}, false, true},
		"an error":            {500, map[string]bool{"known": false, "left": true}, false, true},
		"says nothing":        {200, map[string]bool{}, false, true},
		"says something else": {200, "no", false, true},
	} {
		status, said = c.status, c.said
		if left, err := p.Left(t.Context(), "u-1"); left != c.left || (err != nil) != c.fail {
			t.Errorf("%s: got %t, %v", name, left, err)
		}
	}
	l.srv.Close()
	if left, err := p.Left(t.Context(), "u-1"); left || err == nil {
		t.Errorf("a provider that is down: got %t, %v", left, err)
	}
}
