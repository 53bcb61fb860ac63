package node

import (
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOnlyTrustedProxiesSayWhereARequestIsFrom(t *testing.T) {
	addr := forwarded([]string{"127.0.0.0/8", "10.0.0.0/24"})
	for name, c := range map[string]struct {
		peer string
		hops []string
		want string
	}{
		"no proxy":                              {"203.0.113.7:1000", nil, "203.0.113.7"},
		"a stranger who claims to be one":       {"203.0.113.7:1000", []string{"192.0.2.1"}, "203.0.113.7"},
		"a trusted proxy":                       {"127.0.0.1:1000", []string{"203.0.113.7"}, "203.0.113.7"},
		"what the client wrote itself":          {"127.0.0.1:1000", []string{"192.0.2.1, 203.0.113.7"}, "203.0.113.7"},
		"what the client wrote in its own line": {"127.0.0.1:1000", []string{"192.0.2.1", "203.0.113.7"}, "203.0.113.7"},
		"two trusted proxies":                   {"127.0.0.1:1000", []string{"192.0.2.1, 203.0.113.7, 10.0.0.4"}, "203.0.113.7"},
		"a trusted proxy that says nothing":     {"127.0.0.1:1000", nil, "127.0.0.1"},
		"a trusted proxy that writes rubbish":   {"127.0.0.1:1000", []string{"203.0.113.7, unknown"}, "127.0.0.1"},
		"an address of version 6":               {"127.0.0.1:1000", []string{"2001:db8::7"}, "2001:db8::7"},
		"an address with its port":              {"127.0.0.1:1000", []string{"192.0.2.1, 203.0.113.7:41000"}, "203.0.113.7"},
		"an address of version 6 with its port": {"127.0.0.1:1000", []string{"[2001:db8::7]:41000"}, "2001:db8::7"},
		"an address of version 6 in brackets":   {"127.0.0.1:1000", []string{"[2001:db8::7]"}, "2001:db8::7"},
		"an old address in a new form":          {"[::ffff:127.0.0.1]:1000", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.peer
			for _, h := range c.hops {
				r.Header.Add("X-Forwarded-For", h)
			}
			if got := addr(r).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestTheProviderApartHearsOfBrowsersFromTheGatewayAlone: it slows down whoever guesses passwords, by address. One address
// for all would let one guesser lock everybody out; an address of the browser's own choice would slow nobody.
func TestTheProviderApartHearsOfBrowsersFromTheGatewayAlone(t *testing.T) {
	dir, err := os.MkdirTemp("", "n") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		heard <- fromGateway(r).String() + r.Header.Get("X-Forwarded-For") + r.Header.Get("Forwarded")
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	r := httptest.NewRequest("GET", "https://access.example/idp/authorize", nil)
	r.RemoteAddr = "127.0.0.1:1000"
	r.Header.Set(clientHeader, "192.0.2.1")
	r.Header.Set("X-Forwarded-For", "192.0.2.2, 203.0.113.7")
	r.Header.Set("Forwarded", "for=192.0.2.3")
	w := httptest.NewRecorder()
	newApart(l.Addr().String()).provider(forwarded([]string{"127.0.0.0/8"}), slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	if got := <-heard; got != "203.0.113.7" || w.Code != http.StatusOK {
		t.Errorf("got %q and %d, want 203.0.113.7 and 200", got, w.Code)
	}
}

func TestAClockAt1970StartsNothing(t *testing.T) {
	if err := clockStands(time.Unix(0, 0)); err == nil || !strings.Contains(err.Error(), "1970-01-01 00:00 UTC") {
		t.Errorf("got %v", err)
	}
	if err := clockStands(time.Now()); err != nil {
		t.Error(err)
	}
}

func TestAgentsAreGivenEachHostOnce(t *testing.T) {
	got := agentHosts("access.example:443",
		[]string{"ACCESS.example:443", "10.0.0.1:443", "access.example:8443", "10.0.0.1:443"})
	want := []string{"access.example:443", "10.0.0.1:443", "access.example:8443"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRareVersionsAreCountedTogether(t *testing.T) {
	got := commonest(map[string]int{"1.2": 5, "x": 1, "1.1": 7, "a": 1, "b": 2}, 3)
	want := map[string]int{"1.1": 7, "1.2": 5, "b": 2, "other": 2}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
