package terminal

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/problem"
)

var writeBuffers = &sync.Pool{}

// ServeHTTP checks who calls from where and upgrades. The handler returns at once; a goroutine owns the connection, or
// the request and its stack would live as long as the session.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller, err := d.cfg.Who(r)
	if err == nil {
		err = d.admit(r, caller)
	}
	if err != nil {
		problem.Write(w, d.cfg.Log, err)
		return
	}
	up := websocket.Upgrader{
		HandshakeTimeout: d.cfg.HelloTime, ReadBufferSize: 512, WriteBufferSize: 4096, WriteBufferPool: writeBuffers,
		Subprotocols: []string{apitype.TerminalSubprotocol},
		Error: func(w http.ResponseWriter, _ *http.Request, _ int, reason error) {
			problem.Write(w, d.cfg.Log, upgradeLost.Because(reason))
		},
	}
	if caller.Cookie {
		up.CheckOrigin = d.ours
	} // else nil: a bearer needs no Origin, and one of another host is refused
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // answered by Error
	}
	ctx := context.WithoutCancel(r.Context())
	again := &http.Request{Header: r.Header, RemoteAddr: r.RemoteAddr} // as much of it as says who calls
	d.open.Go(func() { d.serve(ctx, newLine(newSocket(conn), d.cfg), again.WithContext(ctx), caller) })
}

// upgradeLost is for a request that names our subprotocol and is no WebSocket upgrade: the client sent one, and a proxy
// took the Upgrade header out, as proxies do by default.
var upgradeLost = errkind.New(errkind.Usage, "the request for a terminal arrived without its WebSocket headers").
	WithHint("The proxy in front of the gateway must pass WebSockets: the headers Upgrade and Connection.")

// admit refuses a cookie from a page that is not ours, before anything else is said.
func (d *Door) admit(r *http.Request, c Caller) error {
	if c.Cookie && !d.ours(r) {
		return errkind.New(errkind.Denied, "a terminal is opened by this gateway's own pages only").
			WithHint("Open the gateway's address itself; a proxy before it must leave the Origin header as it is.")
	}
	if !slices.Contains(websocket.Subprotocols(r), apitype.TerminalSubprotocol) {
		return errkind.New(errkind.Usage, "this address speaks "+apitype.TerminalSubprotocol+" only").
			WithHint("Install the version of `sallyport` that the gateway has; in a browser load the page again.")
	}
	return nil
}

// ours reports whether the one Origin is exactly one of ours.
func (d *Door) ours(r *http.Request) bool {
	o := r.Header.Values("Origin")
	return len(o) == 1 && slices.Contains(d.cfg.Origins, o[0])
}

// socket is one upgraded connection.
type socket struct {
	conn  *websocket.Conn
	heard atomic.Int64 // unix ns of the last sign of life
	pongs atomic.Bool  // an answer to a ping is being written
}

func newSocket(conn *websocket.Conn) *socket {
	s := &socket{conn: conn}
	s.alive()
	conn.SetReadLimit(apitype.MaxTerminalMessage)
	conn.SetPongHandler(func(string) error { s.alive(); return nil })
	conn.SetPingHandler(func(data string) error { s.pong(data); return nil })
	conn.SetCloseHandler(func(int, string) error { return nil }) // farewell answers
	return s
}

// pong answers a ping apart from the reader, which must not wait for a write that is stuck. The newest ping alone has
// to be answered (RFC 6455 section 5.5.3), so one that comes meanwhile is not.
func (s *socket) pong(data string) {
	if s.pongs.CompareAndSwap(false, true) {
		go func() {
			s.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
			s.pongs.Store(false)
		}()
	}
}

func (s *socket) alive() { s.heard.Store(time.Now().UnixNano()) }

// silence says how long the client has not been heard.
func (s *socket) silence() time.Duration { return time.Since(time.Unix(0, s.heard.Load())) }

// read waits for a message and calls use with it. use must not keep the message, because the buffer is used again for
// the next message of any client. So a long input leaves no garbage, and an idle client has no buffer.
func (s *socket) read(use func(text bool, msg []byte)) error {
	kind, r, err := s.conn.NextReader()
	s.alive()
	if err != nil {
		return err
	}
	buf := arrived.Get().(*bytes.Buffer)
	defer func() {
		clear(buf.Bytes()) // there may be a password in it
		buf.Reset()
		arrived.Put(buf)
	}()
	if _, err := buf.ReadFrom(r); err != nil {
		return err
	}
	s.alive()
	use(kind == websocket.TextMessage, buf.Bytes())
	return nil
}

var arrived = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readBy bounds reads; the zero time lifts the bound.
func (s *socket) readBy(t time.Time) { s.conn.SetReadDeadline(t) }

// bytes writes one stretch of a stream, and waits as long as patience for the client to take it.
func (s *socket) bytes(stream uint8, p []byte, patience time.Duration) error {
	s.conn.SetWriteDeadline(time.Now().Add(patience))
	m := messages.Get().(*[]byte)
	defer messages.Put(m)
	*m = append(append((*m)[:0], stream), p...)
	return s.conn.WriteMessage(websocket.BinaryMessage, *m) // whole, it is one frame and one system call
}

// messages are where a stretch of output is put behind the name of its stream.
var messages = sync.Pool{New: func() any { return new([]byte) }}

func (s *socket) text(msg []byte, patience time.Duration) error {
	s.conn.SetWriteDeadline(time.Now().Add(patience))
	return s.conn.WriteMessage(websocket.TextMessage, msg)
}

func (s *socket) ping() {
	s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second))
}

// farewell ends the connection with a close code of RFC 6455 section 7.4.1 and a text.
func (s *socket) farewell(code int, text string) {
	s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(time.Second))
	s.conn.Close()
}

func (s *socket) cut() { s.conn.Close() }
