package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flynn/noise"
)

// HandshakeTime bounds a whole Noise handshake.
const HandshakeTime = 10 * time.Second

const (
	prologue   = "sallyport/v1/control"
	rekeyEvery = 1 << 16
)

// MessageConn carries whole messages: a WebSocket in the product.
type MessageConn interface {
	ReadMessage() ([]byte, error)
	WriteMessage([]byte) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Close() error
}

// NoiseKey is a static X25519 key pair.
type NoiseKey struct{ Private, Public Hash }

// NewNoiseKey makes a key pair.
func NewNoiseKey() (NoiseKey, error) {
	k, err := noise.DH25519.GenerateKeypair(rand.Reader)
	if err != nil {
		return NoiseKey{}, fmt.Errorf("make noise key: %w", err)
	}
	return NoiseKey{Private: Hash(k.Private), Public: Hash(k.Public)}, nil
}

func (k NoiseKey) dh() noise.DHKey {
	return noise.DHKey{Private: bytes.Clone(k.Private[:]), Public: bytes.Clone(k.Public[:])}
}

// Line is a control line after its handshake (Noise_IK_25519_ChaChaPoly_SHA256, device = initiator).
// One goroutine may read; any number may write.
type Line struct {
	conn MessageConn
	peer Hash
	hash []byte

	recv  *noise.CipherState
	nRecv uint64

	mu    sync.Mutex // guards send, nSend and writes to conn
	send  *noise.CipherState
	nSend uint64
}

// Initiate runs the device's side: it sends hello, and returns the gateway's payload. The gateway must
// hold the private half of gateway, or nothing but noise comes back.
func Initiate(ctx context.Context, conn MessageConn, own NoiseKey, gateway Hash, hello []byte) (*Line, []byte, error) {
	defer deadline(ctx, conn)()
	static, err := parseKey(own.Private[:])
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	suite, forget := newSuite(static)
	defer forget()
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeIK, Initiator: true, Prologue: []byte(prologue),
		StaticKeypair: own.dh(), PeerStatic: gateway[:],
	})
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	first, _, _, err := hs.WriteMessage(nil, hello)
	if err == nil && len(first) > MaxControl {
		err = errors.New("first message too long")
	}
	if err == nil {
		err = conn.WriteMessage(first)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	second, err := conn.ReadMessage()
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: %w", err)
	}
	reply, send, recv, err := hs.ReadMessage(nil, second)
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: the gateway's answer does not hold: %w", err)
	}
	return &Line{conn: conn, peer: gateway, hash: hs.ChannelBinding(), send: send, recv: recv}, reply, nil
}

// Responder runs the gateway's side of handshakes. It has parsed its key.
type Responder struct {
	own    NoiseKey
	static *parsedKey
}

// NewResponder makes one for a key pair.
func NewResponder(own NoiseKey) (*Responder, error) {
	static, err := parseKey(own.Private[:])
	return &Responder{own: own, static: static}, err
}

// Respond runs one handshake. judge sees the device's proven Noise key and its payload and returns the
// answer, or an error: then nothing is sent and the caller closes.
func (r *Responder) Respond(ctx context.Context, conn MessageConn, judge func(peer Hash, hello []byte) ([]byte, error)) (*Line, error) {
	defer deadline(ctx, conn)()
	suite, forget := newSuite(r.static)
	defer forget()
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeIK, Prologue: []byte(prologue), StaticKeypair: r.own.dh(),
	})
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	first, err := conn.ReadMessage()
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	hello, _, _, err := hs.ReadMessage(nil, first)
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	peer := Hash(hs.PeerStatic())
	reply, err := judge(peer, hello)
	if err != nil {
		return nil, err
	}
	second, recv, send, err := hs.WriteMessage(nil, reply)
	if err == nil {
		err = conn.WriteMessage(second)
	}
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return &Line{conn: conn, peer: peer, hash: hs.ChannelBinding(), send: send, recv: recv}, nil
}

func deadline(ctx context.Context, conn MessageConn) func() {
	end := time.Now().Add(HandshakeTime)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	conn.SetReadDeadline(end)
	conn.SetWriteDeadline(end)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	return func() {
		stop()
		conn.SetReadDeadline(time.Time{})
		conn.SetWriteDeadline(time.Time{})
	}
}

// Peer is the other side's proven static key.
func (l *Line) Peer() Hash { return l.peer }

// Binding is the handshake hash: equal at both ends, and of this line only.
func (l *Line) Binding() []byte { return l.hash }

// Send encrypts and writes one message within the given time.
func (l *Line) Send(msg []byte, within time.Duration) error {
	if len(msg) > MaxControl-64 {
		return fmt.Errorf("control message of %d bytes, at most %d", len(msg), MaxControl-64)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	out, err := l.send.Encrypt(nil, nil, msg)
	if err != nil {
		return fmt.Errorf("control line: %w", err)
	}
	if l.nSend++; l.nSend%rekeyEvery == 0 {
		l.send.Rekey()
	}
	l.conn.SetWriteDeadline(time.Now().Add(within))
	return l.conn.WriteMessage(out)
}

// SendMsg encodes and sends a control message.
func (l *Line) SendMsg(msg any, within time.Duration) error {
	raw, err := Encode(msg)
	if err != nil {
		return err
	}
	return l.Send(raw, within)
}

// Receive reads one message; a message that was altered, repeated, left out or reordered is an error and the
// line is dead after it. A zero time waits for ever.
func (l *Line) Receive(until time.Time) ([]byte, error) {
	l.conn.SetReadDeadline(until)
	raw, err := l.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	msg, err := l.recv.Decrypt(nil, nil, raw)
	if err != nil {
		l.conn.Close()
		return nil, fmt.Errorf("control line: %w", err)
	}
	if l.nRecv++; l.nRecv%rekeyEvery == 0 {
		l.recv.Rekey()
	}
	return msg, nil
}

// Close closes the connection below.
func (l *Line) Close() error { return l.conn.Close() }
