package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// Times of a session line.
const (
	firstChannel = 5 * time.Second  // in which the gateway must open the events
	silence      = 10 * time.Second // after which a keepalive is sent
	unanswered   = 3                // keepalives in a row without an answer after which the line is lost
	dialTries    = 3
)

// dial connects to the host of the order. A ticket is good for three tries.
func (s *session) dial() (net.Conn, error) {
	header := http.Header{wire.TicketHeader: {wire.B64.EncodeToString(s.open.Ticket)}}
	d := s.order.Dial
	d.Time, _ = s.time()
	var err error
	for try := range dialTries {
		var ws *wire.WS
		if ws, err = d.Dial(s.ctx, s.open.Host, wire.SessionPath, wire.SessionSubprotocol, wire.MaxStream, header); err == nil {
			return ws.Stream(), nil
		}
		select {
		case <-time.After(time.Duration(try+1) * 500 * time.Millisecond):
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		}
	}
	return nil, err
}

// sshConfig accepts two key exchanges, two ciphers, one login and one key: the pass, byte for byte. The content of
// the pass was checked before. Both ends offer strict key exchange, and the exchange hash covers the offer, so an
// attacker on the path cannot remove it.
func (s *session) sshConfig() *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		Config: ssh.Config{
			KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519},
			Ciphers:      []string{ssh.CipherAES128GCM, ssh.CipherChaCha20Poly1305},
		},
		MaxAuthTries:  3,
		ServerVersion: "SSH-2.0-sallyport-agent",
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if meta.User() != s.under().Grant.Login || !bytes.Equal(key.Marshal(), s.open.Pass) {
				return nil, errors.New("not the pass of this session")
			}
			return &ssh.Permissions{}, nil
		},
	}
	c.AddHostKey(s.keys.Host)
	return c
}

// heard notes when a byte was last read.
type heard struct {
	net.Conn
	last atomic.Int64
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.last.Store(int64(state.Boot()))
	}
	return n, err
}

// serveSSH runs the SSH server until the connection ends.
func (s *session) serveSSH(raw net.Conn) {
	line := &heard{Conn: raw}
	raw.SetDeadline(time.Now().Add(wire.HandshakeTime))
	conn, chans, reqs, err := ssh.NewServerConn(line, s.sshConfig())
	if err != nil {
		s.log.Warn("the gateway did not show the pass", slogError(err))
		return
	}
	raw.SetDeadline(time.Time{})
	line.last.Store(int64(state.Boot()))
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	go s.globalRequests(reqs)
	go s.keepAlive(conn, line)
	s.serveChannels(conn, chans)
	conn.Close()
	conn.Wait()
}

// globalRequests answers keepalives and refuses all other global requests, such as forwarding.
func (s *session) globalRequests(reqs <-chan *ssh.Request) {
	for r := range reqs {
		alive := r.Type == "keepalive@sallyport" || r.Type == "keepalive@openssh.com"
		if !alive && r.Type != "no-more-sessions@openssh.com" {
			s.refused(0, fmt.Sprintf("%.60q is not done on this machine", r.Type))
		}
		if r.WantReply {
			r.Reply(alive, nil)
		}
	}
}

// keepAlive closes a line that does not answer.
func (s *session) keepAlive(conn ssh.Conn, line *heard) {
	ended := make(chan struct{})
	go func() { conn.Wait(); close(ended) }()
	tick := time.NewTicker(silence)
	defer tick.Stop()
	asked := make(chan struct{}, 1)
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		quiet := state.Boot() - time.Duration(line.last.Load())
		switch {
		case quiet > (unanswered+1)*silence:
			line.Close()
			return
		case quiet >= silence:
			select {
			case asked <- struct{}{}:
				go func() { conn.SendRequest("keepalive@sallyport", true, nil); <-asked }()
			default: // one is pending
			}
		}
	}
}

// maxWaiting channels may be opened before the events are.
const maxWaiting = 4

// serveChannels opens the events channel first, in whatever order the channels arrive, and then the others. So
// nothing is done that could not be reported. It returns when the connection ends.
func (s *session) serveChannels(conn *ssh.ServerConn, chans <-chan ssh.NewChannel) {
	waiting, ok := s.awaitEvents(chans)
	if !ok {
		conn.Close()
		for c := range chans {
			c.Reject(ssh.Prohibited, "the first channel is "+wire.EventsChannel)
		}
		return
	}
	used := numbers{}
	for _, c := range waiting {
		s.openChannel(used, c)
	}
	for c := range chans {
		s.openChannel(used, c)
	}
}

// awaitEvents opens the events channel and gives the channels that came before it.
func (s *session) awaitEvents(chans <-chan ssh.NewChannel) (waiting []ssh.NewChannel, ok bool) {
	late := time.NewTimer(firstChannel)
	defer late.Stop()
	for len(waiting) <= maxWaiting {
		select {
		case c, open := <-chans:
			if !open {
				return nil, false
			}
			if c.ChannelType() == wire.EventsChannel {
				return waiting, s.openEvents(c)
			}
			waiting = append(waiting, c)
		case <-late.C:
			s.log.Warn("the gateway opened no events channel in time")
			return nil, false
		}
	}
	s.log.Warn("the gateway opened no events channel before others")
	return nil, false
}

func (s *session) openEvents(c ssh.NewChannel) bool {
	ch, reqs, err := c.Accept()
	if err != nil {
		return false
	}
	go ssh.DiscardRequests(reqs)
	s.eventsMu.Lock()
	s.events = ch
	s.eventsMu.Unlock()
	return true
}

// event sends an event to the gateway, which records it. Events are written whole and one after the other.
func (s *session) event(e wire.Event) {
	s.eventsMu.Lock()
	defer s.eventsMu.Unlock()
	if s.events == nil {
		return
	}
	if err := wire.WriteEvent(s.events, e); err != nil {
		s.events = nil // the line is gone
	}
}

func (s *session) refused(ch uint32, text string) { s.tellRefused(wire.Event{Channel: ch, Text: text}) }

func (s *session) tellRefused(e wire.Event) {
	e.Kind = wire.EventRefused
	if !wire.PlainText(e.Text, wire.MaxGrantText) {
		e.Text = "a request was refused"
	}
	s.log.Info("refused", slogText(e.Text))
	s.event(e)
}

// numbers has the numbers of the session's channels, closed ones too. A record could not tell two channels of the same
// number apart.
type numbers map[uint32]bool

// take gives the number of a channel that is being opened, or 0 with the reason why the channel is refused.
func (u numbers) take(c ssh.NewChannel) (n uint32, why string) {
	n, err := wire.ParseSessionChannel(c.ExtraData())
	switch {
	case err != nil:
		return 0, err.Error()
	case u[n]:
		return 0, fmt.Sprintf("the channel number %d was used before", n)
	}
	u[n] = true
	return n, ""
}

// openChannel accepts a session channel and refuses every other with a reason.
func (s *session) openChannel(used numbers, c ssh.NewChannel) {
	n, why := uint32(0), ""
	switch c.ChannelType() {
	case "session":
		n, why = used.take(c)
	case "direct-tcpip":
		why = "ports are not forwarded by this version of the agent"
	case wire.EventsChannel:
		why = "the events channel is open already"
	default:
		why = fmt.Sprintf("channels of type %.40q are not opened on this machine", c.ChannelType())
	}
	if why == "" && s.ctx.Err() != nil {
		why = "the session has ended"
	}
	if why != "" {
		s.refused(n, why)
		c.Reject(ssh.Prohibited, why)
		return
	}
	ch, reqs, err := c.Accept()
	if err != nil {
		return
	}
	s.channels.Add(1)
	s.opened.Add(1)
	go func() {
		defer s.channels.Done()
		defer func() { s.emptyAt.Store(int64(state.Boot())); s.opened.Add(-1) }()
		(&channel{s: s, n: n, ch: ch}).serve(reqs)
	}()
}
