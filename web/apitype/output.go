package apitype

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Written is a stretch of what a channel wrote, byte for byte. In an answer it is At as a 64-bit and Stream as an 8-bit
// number, the length as a 32-bit number, all big-endian, and the bytes.
type Written struct {
	At     uint64 // microseconds since the session began
	Stream uint8  // 1 standard output and terminal, 2 standard error, 0 the gateway's own text to whoever watches
	Data   []byte
}

// GatewayStream is the stream of the gateway's own text in a watched session: why the watching ends. An empty text
// only keeps the connection alive.
const GatewayStream = 0

const (
	writtenHead = 8 + 1 + 4
	// MaxWritten bounds the bytes of one stretch.
	MaxWritten = 16 << 20
)

// WriteWritten writes one stretch.
func WriteWritten(w io.Writer, s Written) error {
	head := binary.BigEndian.AppendUint64(make([]byte, 0, writtenHead), s.At)
	head = binary.BigEndian.AppendUint32(append(head, s.Stream), uint32(len(s.Data)))
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(s.Data)
	return err
}

// ReadWritten reads one stretch. At the end of the answer it returns io.EOF, and io.ErrUnexpectedEOF if the answer breaks
// off within a stretch.
func ReadWritten(r io.Reader) (Written, error) {
	var head [writtenHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Written{}, err
	}
	n := binary.BigEndian.Uint32(head[9:])
	if n > MaxWritten {
		return Written{}, fmt.Errorf("a stretch of %d bytes, at most %d", n, MaxWritten)
	}
	s := Written{At: binary.BigEndian.Uint64(head[:]), Stream: head[8], Data: make([]byte, n)}
	if _, err := io.ReadFull(r, s.Data); err != nil {
		return Written{}, io.ErrUnexpectedEOF
	}
	return s, nil
}
