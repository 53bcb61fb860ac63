package supervise

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// lined gives both ends of a session channel on an SSH connection.
func lined(t *testing.T) (device, gateway ssh.Channel, asked <-chan *ssh.Request) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours := make(chan ssh.Channel, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		cfg := &ssh.ServerConfig{NoClientAuth: true}
		cfg.AddHostKey(newSigner(t))
		_, chans, reqs, err := ssh.NewServerConn(c, cfg)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(reqs)
		for n := range chans {
			ch, reqs, err := n.Accept()
			if err != nil {
				return
			}
			go ssh.DiscardRequests(reqs)
			ours <- ch
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, chans, reqs, err := ssh.NewClientConn(c, "x", &ssh.ClientConfig{HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go ssh.DiscardRequests(reqs)
	go func() {
		for n := range chans {
			n.Reject(ssh.Prohibited, "none")
		}
	}()
	ch, asked, err := conn.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	return <-ours, ch, asked
}

// flood writes without end to both streams of a channel, and counts what arrives.
func flood(device, gateway ssh.Channel) (arrived *atomic.Uint64) {
	arrived = &atomic.Uint64{}
	flow := newOutflow(device)
	for _, stream := range []struct {
		to   io.Writer
		from io.Reader
	}{{device, gateway}, {device.Stderr(), gateway.Stderr()}} {
		to := flow.to(stream.to)
		go func() {
			for buf := make([]byte, 1000); ; {
				if _, err := to.Write(buf); err != nil {
					return
				}
			}
		}()
		go func() {
			buf := make([]byte, chunk)
			for {
				n, err := stream.from.Read(buf)
				arrived.Add(uint64(n))
				if err != nil {
					return
				}
			}
		}()
	}
	return arrived
}

func reach(t *testing.T, arrived *atomic.Uint64, n uint64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); arrived.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes arrived, want %d", arrived.Load(), n)
		}
	}
}

func TestADeviceSendsNoMoreThanAWindowBeyondWhatWasTaken(t *testing.T) {
	device, gateway, asked := lined(t)
	arrived := flood(device, gateway)
	const full = wire.OutputWindow / 1000 * 1000 // whole writes
	reach(t, arrived, full)
	time.Sleep(100 * time.Millisecond) // what must not come needs a while in which it could
	if got := arrived.Load(); got != full {
		t.Fatalf("%d bytes arrived before an answer, want %d", got, full)
	}
	r := <-asked
	var m struct{ Bytes uint64 }
	if err := ssh.Unmarshal(r.Payload, &m); err != nil || r.Type != wire.TakenRequest || !r.WantReply {
		t.Fatalf("got %s with %x, want a question how far the output was taken", r.Type, r.Payload)
	}
	if m.Bytes < askAfter || m.Bytes > full {
		t.Errorf("the question is about %d bytes of %d", m.Bytes, full)
	}
	r.Reply(true, nil)
	reach(t, arrived, (m.Bytes+wire.OutputWindow)/1000*1000)
}

func TestAGatewayThatDoesNotKnowTheQuestionGetsAllOutput(t *testing.T) {
	device, gateway, asked := lined(t)
	go ssh.DiscardRequests(asked) // refuses, as a gateway does with what it does not know
	reach(t, flood(device, gateway), 8*wire.OutputWindow)
}
