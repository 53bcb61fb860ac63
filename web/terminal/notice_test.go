package terminal

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// fullLine is a line whose client takes nothing more, with no output on its way.
func fullLine(t *testing.T) *line {
	t.Helper()
	ours, theirs := net.Pipe() // without a buffer, so that it is always full
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go func() {
		r, err := http.ReadRequest(bufio.NewReader(theirs))
		if err != nil {
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 section 1.3
		io.WriteString(theirs, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	}()
	d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return ours, nil }}
	conn, _, err := d.DialContext(t.Context(), "ws://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return newLine(newSocket(conn), New(Config{}).cfg)
}

// What concerns everybody is told to one after the other. A client that reads nothing must not keep the rest from hearing it, and the
// gateway from going on.
func TestANoticeWaitsForNobody(t *testing.T) {
	l, told := fullLine(t), make(chan struct{})
	go func() { l.Notice("frozen", "wait"); close(told) }()
	select {
	case <-told:
	case <-time.After(controlTime / 2):
		t.Error("whoever gives a notice waits for its reader")
	}
}
