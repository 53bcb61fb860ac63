package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/sallyport/sallyport/internal/agent/dial"
	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// FD is the descriptor that a supervisor inherits: its end of a socket pair, the other is the agent's.
const FD = 3

// Order is what an agent tells a new supervisor. The supervisor need not believe any of it. Everything that it relies
// on, it reads from the state directory or asks the keeper.
type Order struct {
	State    state.Dir     `json:"state"`
	Open     []byte        `json:"open"` // the message, as it came
	Dial     dial.Dialer   `json:"dial"`
	Fallback proc.Fallback `json:"fallback"`
	Hold     time.Duration `json:"hold"` // how long what runs is kept after the line is lost
}

// Question is what a supervisor asks the keeper, one at a time.
type Question struct {
	Op         string       `json:"op"`
	Session    id.Session   `json:"sid"`
	Until      time.Time    `json:"until"`
	Nonce      []byte       `json:"nonce,omitempty"`
	Epoch      uint64       `json:"epoch,omitempty"`
	Time       int64        `json:"t,omitempty"`
	Most       uint64       `json:"most,omitempty"`
	N          uint32       `json:"n,omitempty"` // of the renewal that was accepted
	Checkpoint []byte       `json:"checkpoint,omitempty"`
	Proof      []wire.Hash  `json:"proof,omitempty"`
	Refuse     *wire.Refuse `json:"refuse,omitempty"`
}

// Operations that a supervisor asks for.
const (
	OpSession  = "sid"    // take this session id
	OpKeep     = "keep"   // remember the session id until a later time
	OpNonce    = "nonce"  // when was this nonce sent?
	OpEpoch    = "epoch"  // raise the epoch
	OpExtend   = "extend" // take this checkpoint
	OpHead     = "head"   // give the head of the log that the device holds
	OpAccepted = "accepted"
	OpRefuse   = "refuse"
)

// Answer is the keeper's.
type Answer struct {
	Refusal *state.Refusal `json:"refusal,omitempty"`
	Sent    time.Duration  `json:"sent,omitempty"`
	Head    wire.TreeHead  `json:"head"`
}

// keeper is the supervisor's end.
type keeper struct {
	conn net.Conn
	enc  *json.Encoder
	dec  *json.Decoder
}

// answerTime bounds one answer. The keeper may wait for a disk.
const answerTime = 15 * time.Second

func inherit() (*keeper, Order, error) {
	var o Order
	f := os.NewFile(FD, "keeper")
	if f == nil {
		return nil, o, errors.New("supervise is started by the agent, not by hand")
	}
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, o, errors.New("supervise is started by the agent, not by hand")
	}
	k := keeperOn(conn)
	conn.SetDeadline(time.Now().Add(answerTime))
	if err := k.dec.Decode(&o); err != nil {
		return nil, o, fmt.Errorf("read order: %w", err)
	}
	return k, o, nil
}

// keeperOn asks over a connection to the agent.
func keeperOn(conn net.Conn) *keeper {
	return &keeper{conn: conn, enc: json.NewEncoder(conn), dec: json.NewDecoder(conn)}
}

func (k *keeper) ask(q Question) (Answer, *state.Refusal) {
	var a Answer
	k.conn.SetDeadline(time.Now().Add(answerTime))
	err := k.enc.Encode(q)
	if err == nil {
		err = k.dec.Decode(&a)
	}
	if err != nil {
		return a, state.Refuse(state.ClauseFault, "the agent on this machine does not answer its supervisor")
	}
	return a, a.Refusal
}
