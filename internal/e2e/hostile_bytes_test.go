package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
)

func (s *siege) garbage() {
	from := s.source()
	for range 20 {
		c := s.dial(from)
		noise := make([]byte, 256<<10)
		rand.Read(noise)
		c.Write(append([]byte("\x16\x03\x01"), noise...))
		if got := s.over("garbage", c); got != "" && !strings.HasPrefix(got, "HTTP/1.1 400") {
			s.t.Errorf("garbage: got %.80q", got)
		}
	}
}

func (s *siege) giantHeaders() {
	from := s.source()
	for range 20 {
		c := s.dial(from)
		fmt.Fprintf(c, upgrade+"X-Giant: ", wire.ControlPath, s.host, wire.ControlSubprotocol)
		for range 64 {
			if _, err := c.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
				break
			}
		}
		if got := s.over("giant headers", c); got != "" && !strings.HasPrefix(got, "HTTP/1.1 431") {
			s.t.Errorf("giant headers: got %.80q", got)
		}
	}
}

// giantBodies sends as much as the gateway takes, with a right bearer and without one.
func (s *siege) giantBodies() {
	from := s.source()
	for _, path := range []string{"/api/v1/sessions", "/api/v1/policy", "/logout", "/idp/token", "/backchannel/demo", wire.ControlPath} {
		for _, bearer := range []string{"", "Authorization: Bearer " + s.d.Token("technician") + "\r\n"} {
			c := s.dial(from)
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: 1099511627776\r\n\r\n{\"device\":\"", path, s.host, bearer)
			sent := 0
			for part := bytes.Repeat([]byte("x"), 64<<10); sent < 64<<20; sent += len(part) {
				if _, err := c.Write(part); err != nil {
					break
				}
			}
			if sent >= 64<<20 {
				s.t.Errorf("%s takes a body of %d MiB", path, sent>>20)
			}
			s.over("a giant body", c)
		}
	}
}

// frame is the head of a masked WebSocket frame (RFC 6455 section 5.2) that announces so many bytes.
func frame(first byte, size uint64) []byte {
	b := []byte{first, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}
	for i := range 8 {
		b[2+i] = byte(size >> (56 - 8*i))
	}
	return b
}

func (s *siege) giantFrames() {
	from := s.source()
	for name, raw := range map[string][]byte{
		"2^62 bytes announced":    frame(0x82, 1<<62),
		"2^63 bytes announced":    frame(0x82, 1<<63),
		"one byte over the limit": append(frame(0x82, wire.MaxControl+1), make([]byte, wire.MaxControl+1)...),
		"a frame without a mask":  {0x82, 1, 0},
		"text":                    append(frame(0x81, 2), 'h', 'i'),
		"a reserved bit":          append(frame(0xC2, 2), 'h', 'i'),
		"no handshake in it":      append(frame(0x82, 200), make([]byte, 200)...),
	} {
		c, status := s.upgraded(from)
		if status != http.StatusSwitchingProtocols {
			s.t.Errorf("%s: got %d", name, status)
		}
		began := time.Now()
		c.Write(raw)
		s.over(name, c)
		if took := time.Since(began); took > 5*time.Second {
			s.t.Errorf("%s: the line was closed after %s only, as if it had been nothing", name, took)
		}
	}
}
