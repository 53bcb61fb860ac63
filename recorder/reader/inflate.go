package reader

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/sallyport/sallyport/recorder/format"
)

// inflater decompresses the chunks of a segment, block by block. It walks the block headers itself
// before the decoder sees them: a chunk must hold whole blocks, and no block may stand for more than
// the window, so what one step can produce is known before it is allocated.
type inflater struct {
	dec    *zstd.Decoder
	in     []byte // of the open chunk, what the decoder has not taken
	blocks int    // in the open chunk, not yet decoded
	begun  bool   // the segment's frame header was read
	plain  int    // what the segment gave so far
	out    []byte
}

var (
	errDry        = errors.New("a block is empty")
	errZstdHeader = errors.New("not a plain zstd frame of at most 128 KiB window")
)

func newInflater() *inflater {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(format.MaxWindow), zstd.WithDecoderMaxMemory(format.MaxSegmentPlain))
	if err != nil {
		panic(err) // fixed options
	}
	return &inflater{dec: dec, out: make([]byte, format.MaxWindow)}
}

// Read hands the open chunk to the decoder, which runs in the caller's goroutine and takes no more
// than the block it decodes.
func (z *inflater) Read(p []byte) (int, error) {
	if len(z.in) == 0 {
		return 0, errDry
	}
	n := copy(p, z.in)
	z.in = z.in[n:]
	return n, nil
}

// begin forgets the segment before: the next chunk starts a zstd frame.
func (z *inflater) begin() { z.begun, z.plain, z.in, z.blocks = false, 0, nil, 0 }

// take opens a chunk. b must stay until next returns io.EOF.
func (z *inflater) take(b []byte) error {
	blocks := b
	if !z.begun {
		n, err := zstdHeader(b)
		if err != nil {
			return err
		}
		if err := z.dec.Reset(z); err != nil {
			return err
		}
		z.begun, blocks = true, b[n:]
	}
	n, err := countBlocks(blocks)
	if err != nil {
		return err
	}
	z.in, z.blocks = b, n
	return nil
}

// next gives what one block holds; io.EOF at the end of the chunk. The bytes are good until the
// next call.
func (z *inflater) next() ([]byte, error) {
	if z.blocks == 0 {
		return nil, io.EOF
	}
	n, err := z.dec.Read(z.out)
	if err != nil {
		return nil, err
	}
	z.blocks--
	if z.blocks == 0 && len(z.in) != 0 {
		return nil, errors.New("the decoder found fewer blocks than there are")
	}
	if z.plain += n; z.plain > format.MaxSegmentPlain {
		return nil, fmt.Errorf("segment of more than %d bytes", format.MaxSegmentPlain)
	}
	return z.out[:n], nil
}

// zstdHeader demands the one form of RFC 8878 frame header that may begin a segment and gives its
// length.
func zstdHeader(b []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return 0, fmt.Errorf("%w: %w", errZstdHeader, err)
	}
	if h.Skippable || h.SingleSegment || h.HasFCS || h.HasCheckSum || h.DictionaryID != 0 || h.WindowSize > format.MaxWindow {
		return 0, errZstdHeader
	}
	if h.HeaderSize <= 0 || h.HeaderSize > len(b) {
		return 0, errZstdHeader
	}
	return h.HeaderSize, nil
}

// countBlocks walks block headers (RFC 8878, 3.1.1.2). No block is the last: a segment's frame is never
// closed.
func countBlocks(b []byte) (n int, err error) {
	for ; len(b) > 0; n++ {
		if len(b) < 3 {
			return 0, errors.New("a block header is cut off")
		}
		word := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		last, typ, size := word&1, word>>1&3, word>>3
		held := size
		if typ == 1 { // one byte, repeated
			held = 1
		}
		switch {
		case last != 0:
			return 0, errors.New("a block says that it is the last")
		case typ == 3:
			return 0, errors.New("block type 3 does not exist")
		case size == 0 || size > format.MaxWindow:
			return 0, fmt.Errorf("block of %d bytes", size)
		case held > len(b)-3:
			return 0, errors.New("a block goes on behind its chunk")
		}
		b = b[3+held:]
	}
	if n == 0 {
		return 0, errors.New("chunk without a block")
	}
	return n, nil
}
