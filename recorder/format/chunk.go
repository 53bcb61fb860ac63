package format

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ChunkType is the upper four bits of a chunk's second word.
type ChunkType uint8

// Chunk types. Data and segment starts are sealed. Statements and the close are clear, because a verifier without a key
// must be able to check them.
const (
	ChunkData      ChunkType = 1
	ChunkSegment   ChunkType = 2
	ChunkStatement ChunkType = 3
	ChunkClose     ChunkType = 4
)

const (
	ChunkHeaderLen = 16 // bytes
	TagLen         = 16 // bytes of an AES-GCM tag, at the end of what is sealed
)

// Chunk is one chunk as it is in the file. Body is valid until the next chunk is read.
type Chunk struct {
	Type   ChunkType
	Seq    uint32
	T      uint64 // microseconds since the part began
	Offset int64
	Before [32]byte // h[seq-1]: associated data of a sealed chunk
	After  [32]byte // h[seq]
	Head   [ChunkHeaderLen]byte
	Body   []byte
}

// Sealed reports whether the body is sealed. It is for data and for the start of a segment.
func (c *Chunk) Sealed() bool { return c.Type == ChunkData || c.Type == ChunkSegment }

// Size gives the chunk's bytes in the file, header included.
func (c *Chunk) Size() int64 { return ChunkHeaderLen + int64(len(c.Body)) }

// PutChunkHeader writes the 16 bytes of a chunk's header into b. t is in microseconds since the part began.
func PutChunkHeader(b []byte, bodyLen int, typ ChunkType, seq uint32, t uint64) {
	binary.LittleEndian.PutUint32(b, uint32(bodyLen))
	binary.LittleEndian.PutUint32(b[4:], uint32(typ)<<28|seq)
	binary.LittleEndian.PutUint64(b[8:], t)
}

// ParseChunkHeader reads 16 bytes; the body's length is checked against the format's limits, not
// yet against the file.
func ParseChunkHeader(b *[ChunkHeaderLen]byte) (c Chunk, bodyLen int, err error) {
	bodyLen, err = c.Parse(b)
	return c, bodyLen, err
}

// Parse is ParseChunkHeader into a chunk that is used again.
func (c *Chunk) Parse(b *[ChunkHeaderLen]byte) (bodyLen int, err error) {
	n := binary.LittleEndian.Uint32(b[:])
	word := binary.LittleEndian.Uint32(b[4:])
	c.Type, c.Seq, c.T, c.Head = ChunkType(word>>28), word&MaxSeq, binary.LittleEndian.Uint64(b[8:]), *b
	switch {
	case c.Type < ChunkData || c.Type > ChunkClose:
		return 0, fmt.Errorf("chunk type %d does not exist", c.Type)
	case n > MaxChunk:
		return 0, fmt.Errorf("chunk of %d bytes, at most %d", n, MaxChunk)
	case c.Sealed() && (n < Padding+TagLen || (n-TagLen)%Padding != 0):
		return 0, fmt.Errorf("sealed chunk of %d bytes: not a multiple of %d and a tag", n, Padding)
	case c.T > 1<<62:
		return 0, errors.New("time out of range")
	}
	return int(n), nil
}

// padded gives the padded length of n bytes with their u32 length before them.
func padded(n int) int { return (4 + n + Padding - 1) / Padding * Padding }

// Unpad checks a sealed chunk's plaintext and gives the compressed bytes in it.
func Unpad(plain []byte) ([]byte, error) {
	if len(plain) < Padding || len(plain)%Padding != 0 {
		return nil, errors.New("plaintext is not padded")
	}
	n := binary.LittleEndian.Uint32(plain)
	if n == 0 || int64(n) > int64(len(plain)-4) || padded(int(n)) != len(plain) {
		return nil, fmt.Errorf("plaintext of %d bytes says that it holds %d", len(plain), n)
	}
	for _, b := range plain[4+n:] {
		if b != 0 {
			return nil, errors.New("padding is not zero")
		}
	}
	return plain[4 : 4+n], nil
}
