package oidc

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/login"
)

// nowhere takes evidence and keeps none.
type nowhere struct{}

func (nowhere) Record(context.Context, audit.Event) error { return nil }

// front is the gateway's sign-in alone, which asks the provider far more often than a gateway does.
type front struct {
	*login.Service
	t      *testing.T
	url    string
	issuer string
	run    *program
	ended  chan string
}

func newFront(t *testing.T, edit ...func(*foreign, *oidcauth.Config)) *front {
	t.Helper()
	s := &front{t: t, ended: make(chan string, 8)}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	f := foreign{Client: "sallyport", Secret: clientSecret, Redirect: s.url + "/callback/acme", AfterLogout: s.url + "/signin", BackChannel: s.url + "/backchannel/acme",
		Alg: "ES256", People: map[string]person{"tess": {"Tess T.", []string{"service", "night"}}}}
	c := oidcauth.Config{Name: "acme", ClientID: "sallyport", ClientSecret: clientSecret, RedirectURL: f.Redirect,
		Groups: map[string]string{"service": "technicians", "night": "night-shift"}}
	for _, e := range edit {
		e(&f, &c)
	}
	s.run, s.issuer = f.start(t)
	c.Issuer = s.issuer
	p, err := oidcauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	set, err := oidcauth.NewSet(p)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.Service, err = login.New(login.Config{URL: s.url, Providers: set, Store: db, Audit: nowhere{}, Refresh: time.Second, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		OnSignedOut: func(_, why string) { s.ended <- why }})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "app") })
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return s
}

// groups are those of a browser's person, and false when nobody is signed in.
func (s *front) groups(b *testenv.Browser) ([]string, bool) {
	r := httptest.NewRequest(http.MethodGet, s.url+"/", nil)
	for _, c := range b.Jar.Cookies(b.At) {
		r.AddCookie(c)
	}
	who, err := s.Who(r)
	return who.Person.Groups, err == nil
}

// tell changes the provider's people.
func (s *front) tell(people map[string]person) {
	s.t.Helper()
	s.run.tell(people)
	var taken struct{ People []string }
	s.run.next(&taken)
}

func TestWhatAForeignProviderSaysLaterHoldsHere(t *testing.T) {
	s := newFront(t)
	b := testenv.NewBrowser(t).Open(s.url + "/login/acme")
	as("tess")(b)
	if got, _ := s.groups(b); !slices.Equal(got, []string{"night-shift", "technicians"}) {
		t.Fatalf("got %v at %s (%d)", got, b.At, b.Status)
	}
	s.tell(map[string]person{"tess": {"Tess T.", []string{"service"}}})
	began := time.Now()
	eventually(t, "a group that was taken away is gone here", func() bool {
		got, _ := s.groups(b)
		return slices.Equal(got, []string{"technicians"})
	})
	t.Logf("gone after %s, asked every second", time.Since(began).Round(time.Millisecond))
	s.tell(map[string]person{})
	eventually(t, "somebody who was removed is signed out", func() bool { _, in := s.groups(b); return !in })
	if got := <-s.ended; got != "the provider no longer confirms it" {
		t.Errorf("ended: got %q", got)
	}
}
