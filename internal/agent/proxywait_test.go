package agent

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/internal/reach"
)

var (
	errRefused = reach.Explain("gw:443", &reach.ProxyError{Proxy: "p:3128", Status: 407, Credentials: true,
		Schemes: []string{"Basic"}, Err: fmt.Errorf("407")})
	errNoProxy = reach.Explain("gw:443", &reach.ProxyError{Proxy: "p:3128", Dial: true, Err: fmt.Errorf("refused")})
)

// behindProxy is an agent with two hosts and the proxy of a file. No connection is made.
type behindProxy struct {
	*Agent
	t     *testing.T
	tries tries
}

func newBehindProxy(t *testing.T) *behindProxy {
	b := &behindProxy{t: t, Agent: &Agent{changed: make(chan bool, 1), cfg: Config{Log: slog.New(slog.DiscardHandler),
		ProxyFile: filepath.Join(t.TempDir(), "proxy")}}}
	b.write("http://plant:wrong@p:3128\n")
	return b
}

func (b *behindProxy) write(text string) {
	b.t.Helper()
	if err := os.WriteFile(b.cfg.ProxyFile, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// next waits until a host may be dialled, ends the try with an error, and gives the time since the last call.
func (b *behindProxy) next(err error) time.Duration {
	b.t.Helper()
	began := time.Now()
	host := ""
	for come := false; !come; {
		var at time.Time
		host, at = b.tries.next([]string{"a", "b"})
		come = b.waitFor(b.t.Context(), &b.tries, at)
	}
	p, perr := b.cfg.proxy()
	if perr != nil {
		b.t.Fatal(perr)
	}
	waited := time.Since(began)
	b.tries.end(host, ended{err: err, good: err == errLost, lasted: time.Hour, proxy: p.URL}, time.Now())
	return waited
}

// TestAWrongProxyPasswordIsTriedRarely: accounts are locked after a few wrong passwords. The wait is for all hosts.
func TestAWrongProxyPasswordIsTriedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindProxy(t)
		var waits []time.Duration
		for range 6 {
			waits = append(waits, b.next(errRefused).Round(time.Second))
		}
		want := []time.Duration{0, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute}
		if !slices.Equal(waits, want) {
			t.Errorf("got tries after %v, want %v", waits, want)
		}
		if got := b.next(errNoProxy); got != longestRefused {
			t.Errorf("got a try after %s, want %s", got, longestRefused)
		}
		for range 20 {
			if got := b.next(errNoProxy); got > longestWait {
				t.Errorf("a proxy that is down: got a try after %s, want at most %s", got, longestWait)
			}
		}
		b.next(errRefused)
		if got := b.next(errLost); got != longestRefused {
			t.Errorf("after a fault of the network: got a try after %s, want %s", got, longestRefused)
		}
		b.next(errRefused)
		if got := b.next(errRefused); got != firstRefused {
			t.Errorf("after a good line: got a try after %s, want %s", got, firstRefused)
		}
	})
}

// TestAnotherProxySettingIsTriedAtOnce, and so is the old one if the owner asks. Neither a file that cannot be used nor
// a change of the network makes the agent send the password again.
func TestAnotherProxySettingIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindProxy(t)
		for range 5 {
			b.next(errRefused)
		}
		go func() {
			time.Sleep(time.Minute)
			b.write("half a U")
			b.changed <- false
			time.Sleep(time.Minute)
			b.write("http://plant:right@p:3128")
		}()
		if got := b.next(errRefused); got < 2*time.Minute || got > 2*time.Minute+proxyLook {
			t.Errorf("got a try after %s, want within %s of the change after 2 min", got, proxyLook)
		}
		if got := b.next(errRefused); got != firstRefused {
			t.Errorf("the new password is wrong as well: got a try after %s, want %s", got, firstRefused)
		}
		b.changed <- true
		if got := b.next(errRefused); got > changeWait {
			t.Errorf("the owner asked: got a try after %s, want within %s", got, changeWait)
		}
	})
}

// TestARefusedProxyKeepsNoHostBackThatNeedsNone: NO_PROXY names one of the hosts.
func TestARefusedProxyKeepsNoHostBackThatNeedsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindProxy(t)
		b.tries.direct = func(host string) bool { return host == "b" }
		b.tries.last = "a"
		b.next(errRefused)
		for range 3 {
			if got := b.next(errNoProxy); got > longestWait {
				t.Errorf("got a try of the other host after %s", got)
			}
		}
	})
}
