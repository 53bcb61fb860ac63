package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/web/apitype"
)

// Terminal is a live session, seen from the technician's side. Its methods may be called by several goroutines.
type Terminal struct {
	conn   *websocket.Conn
	client *Client
	window *window
	Ready  apitype.TerminalControl // names the session and its hard stop

	mu sync.Mutex // guards writes
}

// maxTyped bounds one message of typed bytes.
const maxTyped = 16 << 10

// maxShown is a usual stretch of output in a flood.
const maxShown = 33 << 10

// openTime bounds the way from the ticket to the prompt. An owner may be asked meanwhile.
const openTime = 10 * time.Minute

// Open asks for a session.
func (c *Client) Open(ctx context.Context, ask apitype.SessionNew) (apitype.SessionTicket, error) {
	var t apitype.SessionTicket
	return t, c.Post(ctx, "/api/v1/sessions", ask, &t)
}

// OpenChannel asks for one more channel in a session that this sign-in or token has opened.
func (c *Client) OpenChannel(ctx context.Context, session id.Session, p apitype.Program) (apitype.ChannelTicket, error) {
	var t apitype.ChannelTicket
	return t, c.Post(ctx, "/api/v1/sessions/"+session.String()+"/channels", p, &t)
}

// Terminal connects a session that Open gave a ticket for, and returns once its program runs.
func (c *Client) Terminal(ctx context.Context, ticket apitype.SessionTicket) (*Terminal, error) {
	return c.connect(ctx, ticket.Ticket)
}

// Channel connects a channel that OpenChannel gave a ticket for, and returns once its program runs.
func (c *Client) Channel(ctx context.Context, ticket apitype.ChannelTicket) (*Terminal, error) {
	return c.connect(ctx, ticket.Ticket)
}

func (c *Client) connect(ctx context.Context, ticket string) (*Terminal, error) {
	conn, err := c.socket(ctx)
	if err != nil {
		return nil, err
	}
	t := &Terminal{conn: conn, client: c, window: newWindow(apitype.TerminalWindow)}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := t.begin(ticket); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

// socket opens the terminal socket.
func (c *Client) socket(ctx context.Context) (*websocket.Conn, error) {
	d := websocket.Dialer{
		NetDialContext:   c.dial.DialContext,
		TLSClientConfig:  reach.WebSocketTLS(c.tls),
		HandshakeTimeout: 20 * time.Second,
		Subprotocols:     []string{apitype.TerminalSubprotocol},
		ReadBufferSize:   maxShown,
		WriteBufferSize:  maxTyped + 64,
	}
	u := *c.base
	u.Path = apitype.TerminalPath
	u.Scheme = map[string]string{"https": "wss", "http": "ws"}[u.Scheme]
	conn, resp, err := d.DialContext(ctx, u.String(), http.Header{"Authorization": {"Bearer " + c.bearer}})
	if err != nil {
		if resp != nil {
			defer resp.Body.Close()
			return nil, c.refusal(resp, true)
		}
		return nil, reach.Explain(c.base.Host, err)
	}
	conn.SetReadLimit(apitype.MaxTerminalMessage + 1)
	return conn, nil
}

// TryTerminal opens the terminal socket and closes it again, for `sallyport doctor`: a proxy may pass requests but not
// WebSockets. The error is one for people, classified by package reach.
func (c *Client) TryTerminal(ctx context.Context) error {
	conn, err := c.socket(ctx)
	if err != nil {
		return err
	}
	conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""),
		time.Now().Add(time.Second))
	return conn.Close()
}

func (t *Terminal) begin(ticket string) error {
	if err := t.text(apitype.TerminalHello{Ticket: ticket}); err != nil {
		return t.lost(err)
	}
	t.conn.SetReadDeadline(time.Now().Add(openTime))
	for {
		kind, msg, err := t.conn.ReadMessage()
		if err != nil {
			return t.lost(err)
		}
		var c apitype.TerminalControl
		if kind != websocket.TextMessage || json.Unmarshal(msg, &c) != nil {
			return t.lost(errors.New("received bytes before the session was ready"))
		}
		switch c.T {
		case apitype.TermReady:
			t.Ready = c
			t.conn.SetReadDeadline(time.Time{})
			return nil
		case apitype.TermError:
			return told(c)
		}
	}
}

// told makes an error of an error message.
func told(c apitype.TerminalControl) error {
	kind := errkind.FromWord(c.Reason)
	if kind == errkind.Internal {
		kind = errkind.Unavailable
	}
	return errkind.New(kind, c.Text).WithHint(c.Hint)
}

// Run shows the session until it ends, and says how. Notices are the gateway's, never the device's.
func (t *Terminal) Run(stdout, stderr io.Writer, notice func(kind, text string)) (apitype.TerminalControl, error) {
	defer t.Close()
	var buf []byte
	for {
		kind, msg, err := t.next(buf)
		if err != nil {
			return apitype.TerminalControl{}, t.lost(err)
		}
		buf = msg[:0]
		if kind == websocket.BinaryMessage {
			if err := show(msg, stdout, stderr); err != nil {
				return apitype.TerminalControl{}, err
			}
			continue
		}
		var c apitype.TerminalControl
		if err := json.Unmarshal(msg, &c); err != nil {
			return c, t.lost(err)
		}
		switch c.T {
		case apitype.TermAck:
			t.window.give(c.Bytes)
		case apitype.TermNotice:
			notice(c.Kind, c.Text)
		case apitype.TermExit:
			return c, nil
		case apitype.TermError:
			return c, told(c)
		}
	}
}

// next reads one message into buf, which grows as it has to: a flood should not make a new slice for each.
func (t *Terminal) next(buf []byte) (kind int, msg []byte, err error) {
	kind, r, err := t.conn.NextReader()
	if err != nil {
		return 0, nil, err
	}
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, max(512, cap(buf)))
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return kind, buf, nil
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

func show(msg []byte, stdout, stderr io.Writer) error {
	if len(msg) == 0 {
		return nil
	}
	to := stdout
	if msg[0] == apitype.StreamErr {
		to = stderr
	}
	if _, err := to.Write(msg[1:]); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// Write sends typed bytes. It blocks while the device does not take them, which Run must be running to learn of. The
// other methods do not wait for it.
func (t *Terminal) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		part := p[:t.window.take(min(len(p), maxTyped))]
		if len(part) == 0 {
			return n, io.ErrClosedPipe
		}
		if err := t.message(websocket.BinaryMessage, append([]byte{apitype.StreamIn}, part...)); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

// CloseInput says that nothing more is typed.
func (t *Terminal) CloseInput() error { return t.text(apitype.TerminalControl{T: apitype.TermEOF}) }

// Resize says how large the terminal is now.
func (t *Terminal) Resize(cols, rows int) error {
	return t.text(apitype.TerminalControl{T: apitype.TermResize, Cols: cols, Rows: rows})
}

// Signal sends a signal to the program; the name has no SIG.
func (t *Terminal) Signal(name string) error {
	return t.text(apitype.TerminalControl{T: apitype.TermSignal, Signal: name})
}

// End ends the session.
func (t *Terminal) End() error { return t.text(apitype.TerminalControl{T: apitype.TermEnd}) }

// Close hangs up, which ends the session.
func (t *Terminal) Close() error {
	t.window.close()
	return t.conn.Close()
}

func (t *Terminal) text(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("terminal message: %w", err)
	}
	return t.message(websocket.TextMessage, raw)
}

func (t *Terminal) message(kind int, msg []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.conn.WriteMessage(kind, msg)
}
