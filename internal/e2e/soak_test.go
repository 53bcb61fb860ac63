//go:build soak

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// The size of the site that soaks.
const (
	soakDevices     = 120
	soakTypists     = 40
	soakTechnicians = 8 // one person may ask for 120 sessions in a minute
)

// TestSoakStaysFlat runs a site for as long as SOAK says (default 30m): every device is an agent of its own, people
// type, short sessions come and go, officers look and policies change. Memory, descriptors and goroutines of gateway
// and signer must be the same in the last third of it as in the first.
func TestSoakStaysFlat(t *testing.T) {
	length := 30 * time.Minute
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("SOAK=%s: %v", text, err)
		}
	}
	s := newSoak(t)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range soakTypists {
		all.Go(func() { s.types(ctx, i) })
	}
	s.waitFor(soakTypists)
	all.Go(func() { s.churns(ctx) })
	all.Go(func() { s.officers(ctx) })
	all.Go(func() { s.policies(ctx) })
	samples := s.sample(length)
	stop()
	all.Wait()
	t.Logf("%d devices, %d people typing %d lines, %d short sessions, %d looks of officers, "+
		"%d versions of the policy, in %s\n%s",
		soakDevices, soakTypists, s.typed.Load(), s.churned.Load(), s.looked.Load(), s.applied.Load(), length,
		table(samples))
	for what, n := range map[string]int64{"typed lines": s.typed.Load(), "short sessions": s.churned.Load(),
		"looks of officers": s.looked.Load(), "policies": s.applied.Load()} {
		if n == 0 {
			t.Errorf("no %s: the soak has not done its work", what)
		}
	}
	verdict(t, samples)
}

// soak is a site at work. The counters say what has been done.
type soak struct {
	*apart
	dir         string // where programs write what they use
	admin       *testenv.Person
	officer     *testenv.Person
	technicians []*testenv.Person

	live, typed, churned, looked, applied atomic.Int64
}

func newSoak(t *testing.T) *soak {
	s := &soak{apart: newApart(t), dir: t.TempDir()}
	os.Chmod(s.dir, 0o777) // gateway and signer are users of their own
	for dir := s.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o777)
	}
	t.Setenv("SALLYPORT_SOAK_DIR", s.dir)
	s.startSigner()
	s.gateway = s.Serve(s.as(gatewayUID))
	s.AddUser("ada", "administrators")
	s.AddUser("olga", "compliance")
	s.admin, s.officer = s.Person("ada"), s.Person("olga")
	for i := range soakTechnicians {
		name := fmt.Sprintf("tess-%d", i)
		s.AddUser(name, "technicians")
		s.technicians = append(s.technicians, s.Person(name))
	}
	s.join()
	return s
}

// join lets four devices in at a time.
func (s *soak) join() {
	var all sync.WaitGroup
	for first := range 4 {
		all.Go(func() {
			for i := first; i < soakDevices; i += 4 {
				s.Join(s.admin, device(i), "--ca", s.CA())
			}
		})
	}
	all.Wait()
}

func device(i int) string { return fmt.Sprintf("press-%d", i%soakDevices) }

func (s *soak) technician(i int) *testenv.Person { return s.technicians[i%soakTechnicians] }

// waitFor waits until so many people type.
func (s *soak) waitFor(n int64) {
	s.Eventually(fmt.Sprintf("%d people type", n), s.gateway, func() error {
		if got := s.live.Load(); got < n {
			return fmt.Errorf("%d do", got)
		}
		return nil
	})
}
