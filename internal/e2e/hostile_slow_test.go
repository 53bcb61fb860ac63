package e2e

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
)

func (s *siege) many(n int, what string, one func(from *net.Dialer) net.Conn) {
	from := s.source()
	var all sync.WaitGroup
	for range n {
		all.Go(func() { s.over(what, one(from)) })
	}
	all.Wait()
}

func (s *siege) silence() {
	s.many(100, "silence", s.dial)
}

func (s *siege) slowHeaders() {
	s.many(200, "slow headers", func(from *net.Dialer) net.Conn {
		c := s.dial(from)
		fmt.Fprintf(c, upgrade+"X-Slow: ", wire.ControlPath, s.host, wire.ControlSubprotocol)
		go func() {
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		return c
	})
}

func (s *siege) slowBodies() {
	s.many(200, "a body that does not come", func(from *net.Dialer) net.Conn {
		c := s.dial(from)
		fmt.Fprintf(c, "POST /api/v1/sessions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", s.host)
		return c
	})
}

// unproven opens more lines than one address may have that have proven nothing.
func (s *siege) unproven() {
	from := s.source()
	var all sync.WaitGroup
	var open, turned atomic.Int32
	for range 400 {
		all.Go(func() {
			c, status := s.upgraded(from)
			switch status {
			case http.StatusSwitchingProtocols:
				open.Add(1)
			case http.StatusServiceUnavailable:
				turned.Add(1)
			default:
				s.t.Errorf("unproven: got status %d", status)
			}
			s.over("a line that proves nothing", c)
		})
	}
	all.Wait()
	if open.Load() > 256 || turned.Load() < 144 {
		s.t.Errorf("of 400 lines of one address that prove nothing %d were let in and %d turned away, want at most 256", open.Load(), turned.Load())
	}
}

func (s *siege) halfClosed() {
	s.many(20, "a half-closed line", func(from *net.Dialer) net.Conn {
		c, _ := s.upgraded(from)
		c.(*net.TCPConn).CloseWrite()
		return c
	})
	s.many(20, "half an upgrade", func(from *net.Dialer) net.Conn {
		c := s.dial(from)
		fmt.Fprintf(c, upgrade, wire.ControlPath, s.host, wire.ControlSubprotocol)
		c.(*net.TCPConn).CloseWrite()
		return c
	})
}
