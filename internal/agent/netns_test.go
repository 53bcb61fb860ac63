package agent_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
)

// site is a network of its own: a device in a network namespace, joined to the gateway's by a cable that tests can
// pull. It takes root.
type site struct {
	t       *testing.T
	ns      string
	gateway string // address of the gateway's end
	device  string // of the device's
	other   string // one that the device can move to
	near    string // interface at the gateway
	far     string // in the namespace
}

func newSite(t *testing.T) *site {
	t.Helper()
	n := rand.IntN(1 << 14)
	net := fmt.Sprintf("10.%d.%d.", 192+n>>8, n&255)
	id := fmt.Sprintf("sp%d-%d", os.Getpid()%100000, n)
	s := &site{t: t, ns: id, gateway: net + "1", device: net + "2", other: net + "3", near: id + "n", far: id + "f"}
	t.Cleanup(func() {
		exec.Command("ip", "link", "del", s.near).Run()
		exec.Command("ip", "netns", "del", s.ns).Run()
	})
	s.ip("netns add " + s.ns)
	s.ip("link add " + s.near + " type veth peer name " + s.far + " netns " + s.ns)
	s.ip("addr add " + s.gateway + "/24 dev " + s.near)
	s.ip("link set " + s.near + " up")
	s.inside("link set lo up")
	s.inside("addr add " + s.device + "/24 dev " + s.far)
	s.inside("link set " + s.far + " up")
	return s
}

func (s *site) ip(args string) {
	s.t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		s.t.Fatalf("ip %s: %v %s (network namespaces take root)", args, err, out)
	}
}

func (s *site) inside(args string) { s.t.Helper(); s.ip("-n " + s.ns + " " + args) }

// deviceAt enrols a device of the site at a gateway that listens on the site's side, and starts it.
func (s *site) deviceAt(args ...string) (*gate, *device) {
	s.t.Helper()
	g, ca := newTLSGate(s.t, s.gateway, s.gateway, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	d := newDevice(s.t)
	d.wrap = []string{"nsenter", "--net=/run/netns/" + s.ns}
	return g, d.enrol(g, "open", append(args, "--ca", ca)...)
}

// promise bounds a wait at ten times the promised time, and logs the measured time.
func promise(t *testing.T, began time.Time, what string, promised time.Duration, ok func() bool) {
	t.Helper()
	for !ok() {
		if time.Since(began) > 10*promised {
			t.Fatalf("%s: not within %s, promised within %s", what, 10*promised, promised)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%s after %s, promised within %s", what, time.Since(began).Round(100*time.Millisecond), promised)
}

// agentSays reports whether the running agent says that it is online.
func (d *device) agentSays(online bool) func() bool {
	return func() bool { st := d.status(); return st.Line != nil && st.Line.Online == online }
}

func (g *gate) newLine(before *wire.Line) func() bool {
	return func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.line != nil && g.line != before
	}
}

// The device gets another address and loses the old one: packets from the old address get no answer.
func TestANewAddressMakesANewLineAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, d := s.deviceAt()
	before := g.online()
	s.inside("addr del " + s.device + "/24 dev " + s.far)
	s.inside("addr add " + s.other + "/24 dev " + s.far)
	promise(t, time.Now(), "a line from the new address", 3*time.Second, g.newLine(before))
	if !strings.Contains(d.log.String(), "no longer has the address "+s.device) {
		t.Error("the agent's log does not say why")
	}
}

// Two devices lose their gateway. One loses it without any sign: no carrier, address or route changes. The other's
// cable is pulled, which triggers a ping, and may be put back in time.
func TestDeadPathAndPulledCableAreNoticedAndTheirReturnToo(t *testing.T) {
	t.Parallel()
	dead, pulled := newSite(t), newSite(t)
	g1, d1 := dead.deviceAt()
	g2, d2 := pulled.deviceAt()
	before1, before2 := g1.online(), g2.online()
	prog := g2.start(wish{}).channel()
	prog.exec("while read -r line; do echo \"got $line\"; done")

	began := time.Now()
	dead.ip("addr del " + dead.gateway + "/24 dev " + dead.near)
	pulled.ip("link set " + pulled.near + " down")
	promise(t, began, "cable pulled: offline", 16*time.Second, d2.agentSays(false))
	promise(t, began, "path dead: offline", 20*time.Second, d1.agentSays(false)) // an interval of 5 s and 15 s
	time.Sleep(time.Second)                                                      // some tries fail

	began = time.Now()
	dead.ip("addr add " + dead.gateway + "/24 dev " + dead.near)
	pulled.ip("link set " + pulled.near + " up")
	promise(t, began, "cable put back: new line", 15*time.Second, g2.newLine(before2)) // a dial may be under way
	promise(t, began, "path back: new line", 30*time.Second, g1.newLine(before1))
	prog.ch.Write([]byte("it\n"))
	prog.expect(t, "got it") // the session has a connection of its own, which waits for 40 s
}
