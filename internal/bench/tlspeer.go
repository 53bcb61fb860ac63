package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tlsPeer is the argument that makes this program a server of TLS handshakes and nothing else: a process of its own, so that its
// processor time can be told.
const tlsPeer = "tls-peer"

// serveTLS answers each handshake with one byte, and holds the connection until the other end closes it.
func serveTLS(args []string) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(args[0], "cert.pem"), filepath.Join(args[0], "key.pem"))
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			if _, err := c.Write([]byte{1}); err == nil {
				io.Copy(io.Discard, c)
			}
		}()
	}
}

// peer is such a process.
type peer struct {
	pid   int
	addr  string
	roots *x509.CertPool
}

func (b *bench) tlsPeer(dir string) (*peer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, tlsPeer, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.stops = append(b.stops, func() { stop(cmd, time.Second) })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	p := &peer{pid: cmd.Process.Pid, addr: strings.TrimSpace(line), roots: x509.NewCertPool()}
	p.roots.AppendCertsFromPEM(ca)
	return p, nil
}

func (p *peer) connect(part []*machineKeys) error {
	return eachOf(part, func(m *machineKeys) error {
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", p.addr, clientTLS(p.roots))
		if err != nil {
			return err
		}
		m.mu.Lock()
		m.bare = c
		m.mu.Unlock()
		_, err = c.Read(make([]byte, 1))
		return err
	})
}
