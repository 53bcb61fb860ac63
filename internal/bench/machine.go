package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// machineKeys is a device of the fleet: its keys, and its line while one is up.
type machineKeys struct {
	fp    wire.Hash
	noise wire.NoiseKey

	mu   sync.Mutex // guards line
	line *wire.Line
	bare net.Conn // of a peer that speaks TLS only
	pong chan error
}

func newMachine() (m *machineKeys, host []byte, err error) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, nil, err
	}
	m = &machineKeys{fp: wire.Fingerprint(key)}
	m.noise, err = wire.NewNoiseKey()
	return m, key.Marshal(), err
}

// connect does what an agent does when it comes back, up to its first pong.
func (m *machineKeys) connect(g *fleetGateway) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, err := wire.DialWS(ctx, wire.Dial{Host: g.host, Path: wire.ControlPath, Subprotocol: wire.ControlSubprotocol, Limit: wire.MaxControl, TLS: clientTLS(g.roots),
		NetDial: loopback})
	if err != nil {
		return err
	}
	hello, err := wire.Encode(wire.Hello{V: wire.OfferedVersions(), Device: m.fp, TLS: ws.Exporter(), Bundle: 1 << 40, Boot: "bench", Agent: "bench", Nonce: nonce()})
	if err != nil {
		return err
	}
	line, _, err := wire.Initiate(ctx, ws, m.noise, g.noise, hello)
	if err != nil {
		ws.Close()
		return err
	}
	m.mu.Lock()
	m.line, m.pong = line, make(chan error, 1)
	m.mu.Unlock()
	if err := m.ping(); err != nil {
		return err
	}
	go read(line, m.pong)
	return <-m.pong
}

// read takes what comes until the line ends; the first message tells that the line counts.
func read(line *wire.Line, pong chan<- error) {
	for {
		_, err := line.Receive(time.Time{})
		select {
		case pong <- err:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (m *machineKeys) ping() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.line == nil {
		return fmt.Errorf("the line of %s is down", m.fp)
	}
	return m.line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: nonce()}, 10*time.Second)
}

func (m *machineKeys) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.line != nil {
		m.line.Close()
		m.line = nil
	}
	if m.bare != nil {
		m.bare.Close()
		m.bare = nil
	}
}

func nonce() []byte {
	n := make([]byte, 16)
	rand.Read(n)
	return n
}

// loopback dials the address that localhost would be, without asking a resolver ten thousand times.
func loopback(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}
