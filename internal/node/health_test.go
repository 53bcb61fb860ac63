package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/oidcauth"
)

// TestAProviderThatStopsIsNoticedWithMetadataAtHand: the relying party caches metadata for an hour, and the cache must
// not hide that the provider has stopped.
func TestAProviderThatStopsIsNoticedWithMetadataAtHand(t *testing.T) {
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":"%[1]s","authorization_endpoint":"%[1]s/a","token_endpoint":"%[1]s/t",
			"jwks_uri":"%[1]s/k"}`, srv.URL)
	})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	var all []*oidcauth.Provider
	for name, issuer := range map[string]string{"acme": srv.URL, "hangs": "http://" + silent.Addr().String()} {
		p, err := oidcauth.New(oidcauth.Config{Name: name, Issuer: issuer, ClientID: "c",
			RedirectURL: "https://gw.example/callback/" + name})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	set, err := oidcauth.NewSet(all...)
	if err != nil {
		t.Fatal(err)
	}
	acme, err := set.Named("acme")
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	p := newProviders(set, slog.New(slog.NewTextHandler(&said, nil)))
	p.wait = 200 * time.Millisecond
	if got := p.results(); len(got) != 0 {
		t.Errorf("before the first question: got %v", got)
	}
	p.ask(t.Context())
	if got := p.results(); got["acme"] != nil || got["hangs"] == nil {
		t.Errorf("one answers and one hangs: got %v", got)
	}
	if err := acme.Check(t.Context()); err != nil { // now its metadata is remembered
		t.Fatal(err)
	}
	srv.Close()
	for range 3 {
		p.ask(t.Context())
	}
	if err := p.results()["acme"]; err == nil || acme.Check(t.Context()) != nil {
		t.Errorf("it stopped: got %v, with metadata %v", err, acme.Check(t.Context()))
	}
	if n := strings.Count(said.String(), "provider=acme"); n != 1 {
		t.Errorf("that it stopped is logged %d times, want once:\n%s", n, said.String())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if p.ask(ended); p.results()["acme"] == nil {
		t.Error("the end of the gateway counts as an answer")
	}
}

// TestAProviderThatDoesNotAnswerIsAskedAgainSoon: it must not be reported long after it is back.
func TestAProviderThatDoesNotAnswerIsAskedAgainSoon(t *testing.T) {
	p := newProviders(nil, slog.New(slog.DiscardHandler))
	for _, s := range []struct {
		name string
		err  error
		want time.Duration
	}{
		{"acme", nil, providersEvery}, {"guests", errors.New("away"), failingEvery}, {"acme", nil, failingEvery}, {"guests", nil, providersEvery},
	} {
		p.keep(s.name, s.err)
		if got := p.pause(); got != s.want {
			t.Errorf("%s gives %v: asked again after %s, want %s", s.name, s.err, got, s.want)
		}
	}
}

// TestReadyAnswersWithinItsBound: a database that is locked does not heed the end of a context.
func TestReadyAnswersWithinItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locked, looks := make(chan struct{}), atomic.Int32{}
		g := &Gateway{opt: Options{Log: slog.New(slog.DiscardHandler)}, needs: []*condition{
			{name: "gateway", look: func(context.Context) error { return nil }},
			{name: "database", look: func(context.Context) error { looks.Add(1); <-locked; return nil }},
			{name: "recorder", look: func(context.Context) error {
				return errkind.New(errkind.Unavailable, "is full")
			}},
		}}
		for range 3 {
			began := time.Now()
			why, _ := g.unready(t.Context())
			got := strings.Join(why, "\n")
			if want := "database: does not answer within 2s\nrecorder: is full"; got != want ||
				time.Since(began) != readyTime {
				t.Errorf("got %q after %s, want %q after %s", got, time.Since(began), want, readyTime)
			}
		}
		if n := looks.Load(); n != 1 {
			t.Errorf("%d looks hang, want 1 that all callers share", n)
		}
		close(locked)
		synctest.Wait()
		if got, _ := g.unready(t.Context()); len(got) != 1 || looks.Load() != 2 {
			t.Errorf("afterwards: got %q after %d looks", got, looks.Load())
		}
	})
}

func TestWarningsAreNoReasonToBeUnready(t *testing.T) {
	a := answer{text: "database: does not answer\nwarning: certificate: it ended\n" +
		"warning: identity acme: it does not answer\nrecorder: is full"}
	if got := a.unready(); got != "database: does not answer; recorder: is full" {
		t.Errorf("got %q", got)
	}
	if a.warned("certificate") != "it ended" || a.warned("identity acme") != "it does not answer" ||
		a.warned("identity ac") != "" {
		t.Error("the warnings of a part are not found")
	}
	if got := (answer{err: errors.New("refused")}).warned("certificate"); got != "" {
		t.Errorf("a gateway that does not answer warns: %q", got)
	}
}

// TestAnUnclassifiedFaultIsLoggedOnceWhileItLasts: a load balancer asks every second. People see one reference, which
// is in the log.
func TestAnUnclassifiedFaultIsLoggedOnceWhileItLasts(t *testing.T) {
	var said strings.Builder
	var fault error
	g := &Gateway{opt: Options{Log: slog.New(slog.NewTextHandler(&said, nil))}, needs: []*condition{
		{name: "database", look: func(context.Context) error { return fault }}}}
	for _, s := range []struct {
		fault error
		want  string // in the log
	}{
		{errors.New("disk I/O error"), "disk I/O error"},
		{errors.New("database disk image is malformed"), "malformed"},
		{nil, "ready again"},
		{errors.New("disk I/O error"), "disk I/O error"},
	} {
		fault = s.fault
		said.Reset()
		shown := map[string]bool{}
		for range 5 {
			why, _ := g.unready(t.Context())
			shown[strings.Join(why, "\n")] = true
		}
		if n := strings.Count(said.String(), "\n"); n != 1 || !strings.Contains(said.String(), s.want) {
			t.Errorf("%v: logged %d lines, want one with %q:\n%s", s.fault, n, s.want, said.String())
		}
		for text := range shown {
			_, reference, internal := strings.Cut(text, "reference ")
			if len(shown) != 1 || internal != (s.fault != nil) || !strings.Contains(said.String(), reference) {
				t.Errorf("%v: shown %q, logged %s", s.fault, text, said.String())
			}
		}
	}
}
