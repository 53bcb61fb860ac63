package oidc

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp"

	"github.com/sallyport/sallyport/internal/idp"
)

const password = "correct horse battery"

// TestAClientOfOthersSignsInWithTheBuiltInProvider runs npm openid-client against it.
func TestAClientOfOthersSignsInWithTheBuiltInProvider(t *testing.T) {
	var ahead atomic.Int64 // of the provider's clock
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	back, bye := srv.URL+"/rp/callback", srv.URL+"/rp/bye"
	p, err := idp.New(idp.Config{Issuer: srv.URL + "/idp", Dir: t.TempDir(), Now: now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Clients: []idp.Client{
		{ID: "web", Secret: "a secret & more", Redirects: []string{back}, AfterLogout: []string{bye}},
		{ID: "tool", Redirects: []string{"http://127.0.0.1/done"}, Device: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/idp/", p.Handler())
	mux.HandleFunc("/rp/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "client") })
	mux.HandleFunc("POST /clock", func(_ http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.URL.Query().Get("forward"))
		ahead.Add(int64(d))
	})
	run := start(t, "client.mjs", map[string]any{"issuer": srv.URL + "/idp", "secret": "a secret & more", "redirect": back, "afterLogout": bye,
		"control": srv.URL + "/clock", "password": password, "totp": people(t, p)})
	for done := 0; ; {
		var line struct {
			Check, Error string
			Done         int
		}
		switch ok := run.next(&line); {
		case !ok:
			t.Fatalf("the client ended after %d checks", done)
		case line.Done > 0:
			if line.Done != done {
				t.Errorf("got %d checks, want %d", done, line.Done)
			}
			return
		}
		done++
		t.Run(line.Check, func(t *testing.T) {
			if line.Error != "" {
				t.Error(line.Error)
			}
		})
	}
}

// people makes anna, and otto whose second factor's secret it gives.
func people(t *testing.T, p *idp.Provider) string {
	t.Helper()
	for _, u := range []idp.User{{Name: "anna", ShownAs: "A. Berg", Email: "anna@example.com", Groups: []string{"technicians"}}, {Name: "otto"}} {
		if _, err := p.Users().Add(u, password); err != nil {
			t.Fatal(err)
		}
	}
	address, err := p.Users().EnrolTOTP("otto", "Sallyport", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	key, err := otp.NewKeyFromURL(address)
	if err != nil {
		t.Fatal(err)
	}
	return key.Secret()
}
