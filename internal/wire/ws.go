package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/reach"
)

// Dial says how to reach a gateway.
type Dial struct {
	Host        string // host:port of the bundle
	Path        string
	Subprotocol string
	Header      http.Header
	TLS         *tls.Config
	Proxy       func(*http.Request) (*url.URL, error)
	NetDial     func(ctx context.Context, network, addr string) (net.Conn, error)
	Limit       int64 // bytes of one message
}

// DialError is a handshake that got an HTTP answer other than 101.
type DialError = reach.Answer

// WS carries binary messages over a WebSocket.
type WS struct {
	conn *websocket.Conn
	mu   sync.Mutex // guards writes
}

// Buffers exist while something is written. A client masks what it sends and so copies it into its buffer: with a
// small one every SSH packet would leave in pieces, a system call each.
var (
	writeBuffers  = &sync.Pool{}
	streamBuffers = &sync.Pool{} // of another size, so not of the same pool
)

const (
	writeBuffer  = 4 << 10
	streamBuffer = 36 << 10 // an SSH packet of the largest size x/crypto sends
)

// buffers gives what a line of messages up to limit writes from.
func buffers(limit int64) (int, *sync.Pool) {
	if limit > MaxControl {
		return streamBuffer, streamBuffers
	}
	return writeBuffer, writeBuffers
}

// DialWS opens a WebSocket. It follows no redirect, so an answer cannot point the agent elsewhere. Errors are for
// reach.Explain.
func DialWS(ctx context.Context, d Dial) (*WS, error) {
	size, pool := buffers(d.Limit)
	out := reach.Dialer{Proxy: d.Proxy, Scheme: strings.Replace(Scheme(d.Host), "ws", "http", 1), Net: d.NetDial}
	dialer := websocket.Dialer{
		NetDialContext: out.DialContext, TLSClientConfig: reach.WebSocketTLS(d.TLS), HandshakeTimeout: HandshakeTime,
		Subprotocols: []string{d.Subprotocol}, ReadBufferSize: 4096, WriteBufferPool: pool, WriteBufferSize: size,
	}
	conn, resp, err := dialer.DialContext(ctx, Scheme(d.Host)+"://"+d.Host+d.Path, d.Header)
	if err != nil {
		if resp != nil {
			resp.Body.Close()
			return nil, reach.AnswerOf(resp, true)
		}
		return nil, fmt.Errorf("reach %s: %w", d.Host, err)
	}
	if conn.Subprotocol() != d.Subprotocol {
		conn.Close()
		return nil, &DialError{Status: http.StatusSwitchingProtocols, WebSocket: true}
	}
	conn.SetReadLimit(d.Limit)
	tune(conn.NetConn())
	return &WS{conn: conn}, nil
}

// UpgradeWS turns a request into a WebSocket. It is for doors that ignore cookies, so any Origin may call: a
// browser has nothing to offer there. After it the handler should return; a goroutine owns the line.
func UpgradeWS(w http.ResponseWriter, r *http.Request, subprotocol string, limit int64) (*WS, error) {
	read := 256 // a ping and its frame in one system call; ten thousand control lines are quiet
	if limit > MaxControl {
		read = streamBuffer // a packet and its frame in one system call
	}
	up := websocket.Upgrader{
		HandshakeTimeout: HandshakeTime, ReadBufferSize: read, WriteBufferSize: writeBuffer, WriteBufferPool: writeBuffers,
		Subprotocols: []string{subprotocol}, CheckOrigin: func(*http.Request) bool { return true },
	}
	if !offers(r, subprotocol) {
		http.Error(w, "this address speaks "+subprotocol, http.StatusBadRequest)
		return nil, errors.New("subprotocol not offered")
	}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	conn.SetReadLimit(limit)
	tune(conn.NetConn())
	return &WS{conn: conn}, nil
}

func offers(r *http.Request, want string) bool {
	for _, p := range websocket.Subprotocols(r) {
		if p == want {
			return true
		}
	}
	return false
}

// ReadMessage reads one binary message.
func (w *WS) ReadMessage() ([]byte, error) {
	kind, msg, err := w.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	if kind != websocket.BinaryMessage {
		return nil, errors.New("websocket: want binary messages only")
	}
	return msg, nil
}

// WriteMessage writes one binary message.
func (w *WS) WriteMessage(msg []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conn.WriteMessage(websocket.BinaryMessage, msg)
}

// SetReadDeadline bounds reads.
func (w *WS) SetReadDeadline(t time.Time) error { return w.conn.SetReadDeadline(t) }

// SetWriteDeadline bounds writes.
func (w *WS) SetWriteDeadline(t time.Time) error { return w.conn.SetWriteDeadline(t) }

// Close closes the connection without a farewell.
func (w *WS) Close() error { return w.conn.Close() }

// CloseWith says why with a close code (RFC 6455 section 7.4), then closes.
func (w *WS) CloseWith(code int, why string) error {
	w.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(time.Second))
	return w.conn.Close()
}

// CloseCode gives the close code that the other end sent, behind a read error, or 0. The library says 1006 of a
// connection that ended without one; that code is never sent (RFC 6455 section 7.4.1).
func CloseCode(err error) int {
	var c *websocket.CloseError
	if errors.As(err, &c) && c.Code != websocket.CloseAbnormalClosure {
		return c.Code
	}
	return 0
}

// CloseText gives the text beside the close code, or "".
func CloseText(err error) string {
	var c *websocket.CloseError
	if errors.As(err, &c) {
		return c.Text
	}
	return ""
}

// Exporter gives TLS keying material that only the two ends of this TLS connection share (RFC 9266 style), or nil
// where there is no TLS here. Behind an inspecting proxy the ends see different values.
func (w *WS) Exporter() []byte {
	c, ok := w.conn.NetConn().(*tls.Conn)
	if !ok {
		return nil
	}
	st := c.ConnectionState()
	x, err := st.ExportKeyingMaterial("EXPORTER-sallyport-cb", nil, 32)
	if err != nil {
		return nil
	}
	return x
}

// LocalAddr is the local address of the TCP connection. Through a proxy it is that of the connection to the proxy.
func (w *WS) LocalAddr() net.Addr { return w.conn.LocalAddr() }

// RemoteAddr is the other end's address.
func (w *WS) RemoteAddr() net.Addr { return w.conn.RemoteAddr() }

// MaxStream bounds one message of a session line.
const MaxStream = 64 << 10

// Stream makes a byte stream of w's messages: boundaries mean nothing.
func (w *WS) Stream() net.Conn { return &stream{WS: w} }

type stream struct {
	*WS
	rest io.Reader
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.rest != nil {
			n, err := s.rest.Read(p)
			if n > 0 || (err != nil && err != io.EOF) {
				return n, err
			}
			s.rest = nil
		}
		kind, r, err := s.conn.NextReader()
		if err != nil {
			if CloseCode(err) == websocket.CloseNormalClosure {
				err = io.EOF
			}
			return 0, err
		}
		if kind != websocket.BinaryMessage {
			return 0, errors.New("websocket: want binary messages only")
		}
		s.rest = r
	}
}

func (s *stream) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		part := p[:min(len(p), MaxStream)]
		if err := s.WriteMessage(part); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

func (s *stream) Close() error { return s.CloseWith(websocket.CloseNormalClosure, "") }
func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.conn.SetReadDeadline(t), s.conn.SetWriteDeadline(t))
}
