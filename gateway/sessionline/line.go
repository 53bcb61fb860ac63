// Package sessionline is the only code of the gateway that can send anything into a session line.
//
// It does the SSH handshake itself and does not give out the connection or its channels. Everything that starts a
// program on a device or reaches one needs a receipt, and only the recording gives one: the environment, the terminal,
// the start of a shell or a command, input and its end, a new size, a signal. So there is no way to the device that is
// not recorded. A test checks this by reading the types of this package and of the gateway.
//
// # What needs no receipt
//
// Closing a channel or the line needs none, because an end must not wait for the disk. Opening a channel needs none,
// because it starts nothing yet. It overlaps with the recording of the start. Keepalives, and answers about how much
// output was taken, carry nothing that a person sent.
package sessionline

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// Recording records what is sent. Each method returns nil once its argument is durable. recorder.Recording implements
// it.
type Recording interface {
	Start(ch uint32, cols, rows uint16, text string) error
	Input(ctx context.Context, ch uint32, actor uint64, p []byte) error
	Resize(ch uint32, cols, rows uint16) error
	Note(n format.Note) error
}

// Peer is the identity that a session line must prove, and the pass that it is then shown.
type Peer struct {
	Name      string        // of the device, for errors
	Host      ssh.PublicKey // the enrolled host key
	Login     string
	Pass      ssh.Signer // its public key is the pass
	Recording Recording  // of the session that the line is for
}

// Line is the SSH connection inside a session line. The gateway is the client.
type Line struct {
	conn  ssh.Conn
	raw   *heardConn
	rec   Recording
	login string
	gone  chan struct{} // closed when the line has ended
}

// Handshake runs the SSH handshake on a connection that a device dialled, within the given time. The host key is
// checked before the pass is shown, so a stranger does not even see it. After an error the caller closes conn.
func Handshake(conn net.Conn, within time.Duration, p Peer) (*Line, error) {
	raw := &heardConn{Conn: conn}
	raw.SetDeadline(time.Now().Add(within))
	c, channels, requests, err := ssh.NewClientConn(raw, p.Name, p.config())
	if err != nil {
		return nil, err
	}
	raw.SetDeadline(time.Time{})
	go refuseChannels(channels)
	go ssh.DiscardRequests(requests)
	l := &Line{conn: c, raw: raw, rec: p.Recording, login: p.Login, gone: make(chan struct{})}
	go func() { c.Wait(); close(l.gone) }()
	return l, nil
}

// config pins everything: one host key, one login, one pass, two key exchanges, two ciphers.
func (p *Peer) config() *ssh.ClientConfig {
	return &ssh.ClientConfig{
		Config: ssh.Config{
			KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
			Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherChaCha20Poly1305},
		},
		User: p.Login, Auth: []ssh.AuthMethod{ssh.PublicKeys(p.Pass)},
		HostKeyCallback: ssh.FixedHostKey(p.Host), HostKeyAlgorithms: []string{p.Host.Type()},
		ClientVersion: "SSH-2.0-sallyport",
	}
}

// refuseChannels refuses all channels that a device opens. A gateway offers it none.
func refuseChannels(in <-chan ssh.NewChannel) {
	for c := range in {
		c.Reject(ssh.Prohibited, "the gateway accepts no channels")
	}
}

// OpenEvents opens the channel on which the device sends its events.
func (l *Line) OpenEvents() (Events, error) {
	ch, requests, err := l.conn.OpenChannel(wire.EventsChannel, nil)
	if err != nil {
		return Events{}, err
	}
	go ssh.DiscardRequests(requests)
	return Events{ch}, nil
}

// Events gives the device's events. It cannot send anything.
type Events struct{ ch ssh.Channel }

// Next waits for the next event. It returns io.EOF when the line has ended.
func (e Events) Next() (wire.Event, error) { return wire.ReadEvent(e.ch) }

// Close ends the line. Bytes that have already arrived on its channels can still be read.
func (l *Line) Close() { l.conn.Close() }

// Gone is closed when the line has ended, for any reason.
func (l *Line) Gone() <-chan struct{} { return l.gone }

// missed is how many keepalives in a row may remain unanswered.
const missed = 3

// Keep sends keepalives until the line ends. After each silence of this length it asks the device for an answer.
// After four times that length without a byte it closes the line. One request is pending at a time, because the
// transport below loses none.
func (l *Line) Keep(silence time.Duration) {
	tick := time.NewTicker(silence)
	defer tick.Stop()
	var answered chan struct{}
	for {
		select {
		case <-l.gone:
			return
		case <-answered:
			answered = nil
		case <-tick.C:
			silent := time.Since(time.Unix(0, l.raw.last.Load()))
			if silent >= (1+missed)*silence {
				l.raw.Close()
				<-l.gone
				return
			}
			if silent >= silence && answered == nil {
				answered = make(chan struct{})
				go l.alive(answered)
			}
		}
	}
}

func (l *Line) alive(answered chan<- struct{}) {
	l.conn.SendRequest("keepalive@sallyport", true, nil)
	close(answered)
}

// heardConn notes when something was last read.
type heardConn struct {
	net.Conn
	last atomic.Int64 // Unix nanoseconds
}

func (h *heardConn) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.last.Store(time.Now().UnixNano())
	}
	return n, err
}
