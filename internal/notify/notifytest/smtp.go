// Package notifytest has the receiving ends of notifications for tests: a mail server that speaks SMTP over a real socket, with
// STARTTLS or with TLS from the first byte and a certificate that is made for the test.
//
// It keeps what it accepts, and can refuse, be away, or drop the connection after it has accepted a mail. It checks
// nothing that a test does not look at, so it is not for anything but tests.
package notifytest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mail is one mail as it was received.
type Mail struct {
	From, To string // of the envelope
	Raw      string // header and body; lines end with \n
	TLS      bool
	Login    string // what AUTH PLAIN brought
}

// Server is a mail server on 127.0.0.1.
type Server struct {
	Addr string
	CA   string // file with its certificate, PEM

	tls      *tls.Config
	implicit bool
	listener net.Listener

	mu    sync.Mutex // guards what follows
	mails []Mail
	says  map[string]string // by command: the answer instead of the usual one
	drops bool
}

// New starts a server. implicit: TLS from the first byte; otherwise it offers STARTTLS.
func New(t testing.TB, implicit bool) *Server {
	t.Helper()
	s := &Server{implicit: implicit, says: map[string]string{}, CA: filepath.Join(t.TempDir(), "ca.pem")}
	cert, der := certificate(t)
	s.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
	if err := os.WriteFile(s.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = l.Addr().String()
	s.serve(l)
	t.Cleanup(s.Away)
	return s
}

func certificate(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	as := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, as, as, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, der
}

// Away stops listening: connections are refused.
func (s *Server) Away() { s.listener.Close() }

// Back listens at the same address again.
func (s *Server) Back(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(l)
}

// Answer sets the answer to a command, such as "550 no such person" to RCPT. An empty answer restores the usual one.
func (s *Server) Answer(command, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[command] = answer
}

// DropAfterData closes connections right after a mail was accepted, as a server that restarts does.
func (s *Server) DropAfterData(drops bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops = drops
}

// Mails gives what was accepted so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

func (s *Server) serve(l net.Listener) {
	s.listener = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(c)
		}
	}()
}

// conversation is one connection. mail is the one that is being received.
type conversation struct {
	*Server
	conn net.Conn
	in   *textproto.Reader
	mail Mail
}

func (s *Server) talk(raw net.Conn) {
	c := &conversation{Server: s}
	defer func() { c.conn.Close() }()
	_ = raw.SetDeadline(time.Now().Add(30 * time.Second))
	c.use(raw)
	if s.implicit {
		c.secure()
	}
	c.say("220 test")
	for {
		line, err := c.in.ReadLine()
		if err != nil {
			return
		}
		word, rest, _ := strings.Cut(line, " ")
		word = strings.ToUpper(word)
		if answer := s.set(word); answer != "" {
			c.say(answer)
		} else if !c.answer(word, rest) {
			return
		}
	}
}

func (c *conversation) use(conn net.Conn) {
	c.conn, c.in = conn, textproto.NewReader(bufio.NewReader(conn))
}

func (c *conversation) secure() {
	c.use(tls.Server(c.conn, c.tls))
	c.mail.TLS = true
}

func (c *conversation) say(line string) { fmt.Fprint(c.conn, line+"\r\n") }

// answer answers one command, and reports whether the conversation goes on.
func (c *conversation) answer(word, rest string) bool {
	switch word {
	case "EHLO":
		c.say("250-test\r\n250-8BITMIME\r\n250 " + map[bool]string{true: "AUTH PLAIN", false: "STARTTLS"}[c.mail.TLS])
	case "STARTTLS":
		c.say("220 go on")
		c.secure()
	case "AUTH":
		c.mail.Login = strings.TrimPrefix(rest, "PLAIN ")
		c.say("235 welcome")
	case "MAIL", "RCPT":
		to := map[string]*string{"MAIL": &c.mail.From, "RCPT": &c.mail.To}[word]
		*to += rest[strings.Index(rest, "<")+1 : strings.Index(rest, ">")]
		c.say("250 yes")
	case "DATA":
		return c.data()
	case "QUIT":
		c.say("221 bye")
		return false
	default:
		c.say("250 yes")
	}
	return true
}

func (c *conversation) data() bool {
	c.say("354 go on")
	raw, err := c.in.ReadDotBytes()
	if err != nil {
		return false
	}
	c.mail.Raw = string(raw)
	drops := c.keep(c.mail)
	c.say("250 taken")
	c.mail = Mail{TLS: c.mail.TLS, Login: c.mail.Login}
	return !drops
}

func (s *Server) set(command string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.says[command]
}

func (s *Server) keep(m Mail) (drops bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	return s.drops
}
