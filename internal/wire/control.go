package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/internal/id"
)

// Fixed addresses and limits of the tunnel.
const (
	ControlPath        = "/agent/v1"
	ControlSubprotocol = "sallyport.agent.v1"
	SessionPath        = "/agent/v1/session"
	SessionSubprotocol = "sallyport.session.v1"
	TicketHeader       = "Sallyport-Ticket"
	MaxControl         = 16 << 10 // bytes of one message on a control line
	CloseUnknown       = 4401     // WebSocket close code: unknown or revoked device, no detail
	CloseReplaced      = 4409     // WebSocket close code: another line of the device took over
)

// TreeHead is the log as a device last accepted it.
type TreeHead struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   Hash   `json:"root"`
}

// Hello is the device's first payload, inside the first Noise message. Enrol is set only on the line that
// redeems a join code.
type Hello struct {
	V      []int      `json:"v"`   // see OfferedVersions
	Device Hash       `json:"dev"` // fp of the SSH host key
	Gen    uint32     `json:"gen"`
	TLS    []byte     `json:"tls"` // exporter value; empty where TLS does not end at the agent
	Bundle uint64     `json:"bundle"`
	Epoch  uint64     `json:"epoch"`
	Log    TreeHead   `json:"log"`
	Boot   string     `json:"boot"`
	Agent  string     `json:"agent"`
	Nonce  []byte     `json:"nonce"`         // for the status in the answer
	Wall   int64      `json:"wall,omitzero"` // ms since 1970 by the machine's own clock: shown to people, decides nothing
	Enrol  *EnrolPart `json:"enrol,omitempty"`
}

// EnrolPart redeems a join code. Only the holder of the pinned gateway key can read the secret.
type EnrolPart struct {
	ID      []byte    `json:"id"`
	Secret  []byte    `json:"secret"`
	HostKey PublicKey `json:"host_key"`
	Name    string    `json:"name"`   // the host's own name: a suggestion
	Serial  string    `json:"serial"` // of the machine, if it knows one
	OS      string    `json:"os"`
	Proof   []byte    `json:"proof"` // by the host key over its own public Noise key | secret hash, see EnrolProof
}

// EnrolProof is what the SSH host key signs to show that host key and Noise key belong together.
// The handshake binds the Noise key; the first message cannot hold a signature over its own hash.
func EnrolProof(noiseStatic, joinID, secret []byte) []byte {
	sum := Sum(secret)
	out := LP(nil, noiseStatic)
	out = LP(out, joinID)
	return LP(out, sum[:])
}

// HelloReply is the gateway's payload in the second Noise message.
type HelloReply struct {
	V      int     `json:"v"` // version of the gateway, which the device must speak
	Node   string  `json:"node"`
	TLS    []byte  `json:"tls"`           // exporter value; empty where TLS does not end at the gateway
	NoTLS  bool    `json:"none"`          // the gateway is configured without TLS: unterminated, no alarm
	Status *Signed `json:"status"`        // absent only while enrolling
	Bundle *Signed `json:"bundle"`        // when the device's is older
	Name   string  `json:"name"`          // what people call the device
	Error  string  `json:"error"`         // enrolment refused: why, for the person at the device
	Ping   int     `json:"ping,omitzero"` // seconds between pings
}

// Types of control messages.
const (
	TypeOpen       = "open"
	TypeRenew      = "renew"
	TypeEnd        = "end"
	TypeFreeze     = "freeze"
	TypeStatus     = "status"
	TypeBundle     = "bundle"
	TypeCheckpoint = "checkpoint"
	TypeAck        = "ack"
	TypePong       = "pong"
	TypeAccepted   = "accepted"
	TypeAsking     = "asking"
	TypeRefuse     = "refuse"
	TypeStatement  = "statement"
	TypeReport     = "report"
	TypePing       = "ping"
)

// Open asks the device for a session. Every field is checked by the supervisor that will run it.
type Open struct {
	T           string     `json:"t"`
	Session     id.Session `json:"sid"`
	Ticket      []byte     `json:"ticket"` // 32 bytes, single use
	Host        string     `json:"host"`   // of the bundle: where to dial back
	Pass        []byte     `json:"pass"`
	Status      Signed     `json:"status"`
	H0          Hash       `json:"h0"`
	Leaf        []byte     `json:"leaf"`
	Nonce       []byte     `json:"nonce16"`
	Body        []byte     `json:"body"`
	Index       uint64     `json:"index"`
	Proof       []Hash     `json:"proof"`
	Consistency []Hash     `json:"consistency"`
	Checkpoint  []byte     `json:"checkpoint"`
}

// Accepted says that every check passed: the supervisor dials, or the session runs under its next pass.
type Accepted struct {
	T       string     `json:"t"`
	Session id.Session `json:"sid"`
	N       uint32     `json:"n,omitzero"` // of the renewal that it answers; 0: of the open
}

// Asking says that a person at the device is asked, until a time in Unix milliseconds.
type Asking struct {
	T       string     `json:"t"`
	Session id.Session `json:"sid"`
	Until   int64      `json:"until"`
}

// Refuse says which check failed. Clause is a stable word, Text is for people.
type Refuse struct {
	T       string     `json:"t"`
	Session id.Session `json:"sid"`
	N       uint32     `json:"n,omitzero"` // of the renewal that it answers; 0: of the open
	Clause  string     `json:"clause"`
	Text    string     `json:"text"`
}

// End ends a session at once.
type End struct {
	T       string     `json:"t"`
	Session id.Session `json:"sid"`
	Reason  string     `json:"reason"`
}

// Ping carries the nonce that the next status answers and the log size the device has accepted. The device sends its
// first one right after the handshake, whose first message could be a replay: the line counts from this one. A
// gateway's ping, which is the type alone, asks for the next one now.
type Ping struct {
	T      string `json:"t"`
	Nonce  []byte `json:"n"`
	Size   uint64 `json:"size"`   // log size accepted
	Root   Hash   `json:"root"`   // and its root
	Frozen bool   `json:"frozen"` // the owner has frozen the device
}

// Pong answers a ping with a fresh status. Without a status the gateway is reachable, but its signer gives none now.
type Pong struct {
	T      string `json:"t"`
	Status Signed `json:"status,omitzero"`
}

// BundleMsg brings a newer trust bundle.
type BundleMsg struct {
	T      string `json:"t"`
	Bundle Signed `json:"bundle"`
}

// CheckpointMsg brings a later head of the log with the proof that it extends what the device holds.
type CheckpointMsg struct {
	T          string `json:"t"`
	Checkpoint []byte `json:"checkpoint"`
	Proof      []Hash `json:"proof"`
}

// Kinds of reports. A device may send others, which go to the gateway's own log.
const (
	ReportCheckpoint = "checkpoint" // a checkpoint does not continue the log that the device has seen
	ReportSurvivors  = "survivors"  // processes that SIGKILL did not end at a session's end
	ReportOrphans    = "orphans"    // processes that a dead supervisor left, and that the agent has ended
)

// Report tells the gateway what the device wants known: a word and a text.
type Report struct {
	T       string     `json:"t"`
	Session id.Session `json:"sid"`
	Kind    string     `json:"kind"`
	Text    string     `json:"text"`
}

// Encode writes a control message and checks its size.
func Encode(msg any) ([]byte, error) {
	out, err := json.Marshal(msg)
	if err == nil && len(out) > MaxControl-64 {
		err = fmt.Errorf("control message of %d bytes, at most %d", len(out), MaxControl-64)
	}
	return out, err
}

// Message is a control message whose names were checked and whose type was read.
type Message struct {
	T   string
	raw []byte
}

// ReadMessage looks at a control message.
func ReadMessage(raw []byte) (Message, error) {
	m := Message{raw: raw}
	var head struct {
		T string `json:"t"`
	}
	if err := LooseJSON(raw, &head); err != nil {
		return m, err
	}
	if m.T = head.T; m.T == "" {
		return m, errors.New("control message without a type")
	}
	return m, nil
}

// As decodes a message of a known type.
func As[T any](m Message) (T, error) {
	var msg T
	err := json.Unmarshal(m.raw, &msg)
	return msg, err
}

// Kind reads the type of a control message.
func Kind(raw []byte) (string, error) {
	m, err := ReadMessage(raw)
	return m.T, err
}

// Decode reads a control message of a known type.
func Decode[T any](raw []byte) (T, error) {
	var msg T
	err := LooseJSON(raw, &msg)
	return msg, err
}
