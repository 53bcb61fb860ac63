package apitype

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// The terminal socket: /api/v1/terminal, WebSocket subprotocol sallyport.terminal.v2. docs/protocol.md, section 15,
// specifies it.
//
// The client's first message is a text message TerminalHello. The server answers with TerminalControl of type ready
// once the device's shell runs, or error. Then binary messages carry bytes: the first byte names the stream (0 typed,
// 1 stdout, 2 stderr), the rest is the bytes. Text messages are TerminalControl. The server's last text message is
// exit or error; then it closes.
//
// A client may send TerminalWindow typed bytes. Each ack returns bytes to this window, after the session took them.
const (
	TerminalPath        = "/api/v1/terminal"
	TerminalSubprotocol = "sallyport.terminal.v2"
	MaxTerminalMessage  = 64 << 10
	TerminalWindow      = 256 << 10 // typed bytes that were sent and not returned by an ack
	StreamIn            = 0
	StreamOut           = 1
	StreamErr           = 2
)

// TerminalHello redeems a ticket.
type TerminalHello struct {
	Ticket string `json:"ticket"`
}

// Types of TerminalControl.
const (
	TermReady  = "ready"  // server: Session, Until
	TermNotice = "notice" // server: Text, Kind; from the gateway, never from the device
	TermExit   = "exit"   // server: Status or Signal, Reason
	TermError  = "error"  // server: Reason (stable word), Text, Hint
	TermAck    = "ack"    // server: Bytes that return to the client's window
	TermResize = "resize" // client: Cols, Rows
	TermEOF    = "eof"    // client: no more input
	TermSignal = "signal" // client: Signal, without SIG
	TermEnd    = "end"    // client: end the session
)

// TerminalControl is a text message on the terminal socket.
type TerminalControl struct {
	T       string      `json:"t"`
	Session *id.Session `json:"session,omitempty"`
	Until   *time.Time  `json:"until,omitempty"`
	Kind    string      `json:"kind,omitempty"`
	Text    string      `json:"text,omitempty"`
	Hint    string      `json:"hint,omitempty"`
	Reason  string      `json:"reason,omitempty"`
	Status  *int        `json:"status,omitempty"`
	Signal  string      `json:"signal,omitempty"`
	Bytes   int         `json:"bytes,omitempty"`
	Cols    int         `json:"cols,omitempty"`
	Rows    int         `json:"rows,omitempty"`
}
