package agent_test

import (
	"net"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// Two of three hosts are down, by refusing and by not answering the WebSocket: the third is reached without a wait
// between, at the start and after the line was lost.
func TestOfSeveralHostsTheOneThatAnswersIsReachedWithoutAWait(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	closer, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and closes them
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	go func() {
		for {
			c, err := closer.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	d := newDevice(t).enrol(g, "open")
	g.mu.Lock()
	g.serial = 2
	next := g.makeBundle(func(b *wire.Bundle) { b.Hosts = []string{"127.0.0.1:1", closer.Addr().String(), g.host} })
	g.bundle = next
	g.mu.Unlock()
	before := g.online()
	before.SendMsg(wire.BundleMsg{T: wire.TypeBundle, Bundle: next}, time.Second)
	g.cut()
	promise(t, time.Now(), "a new line after one was lost", 3*time.Second, g.newLine(before))
	eventually(t, "the bundle is stored", func() bool { return stored(d) == 2 })
	before = g.online()
	d.kill(9)
	d.start()
	promise(t, time.Now(), "a line after a start", 3*time.Second, g.newLine(before))
}

// A bundle names two keys while a gateway changes its own: the device tries both on one host before it waits.
func TestTheSecondKeyOfTheGatewayIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	other, err := wire.NewNoiseKey()
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.serial = 2
	next := g.makeBundle(func(b *wire.Bundle) { b.Gateway = []wire.Hash{other.Public, g.noise.Public} })
	g.mu.Unlock()
	before := g.online()
	before.SendMsg(wire.BundleMsg{T: wire.TypeBundle, Bundle: next}, time.Second)
	eventually(t, "the bundle is stored", func() bool { return stored(d) == 2 })
	before = g.online()
	d.kill(9)
	d.start()
	promise(t, time.Now(), "a line by the second key", 3*time.Second, g.newLine(before))
}

func stored(d *device) uint64 {
	b, err := state.At(d.dir).Bundle()
	if err != nil {
		return 0
	}
	return b.Serial
}
