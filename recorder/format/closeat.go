package format

import (
	"encoding/binary"
	"io"
)

// CloseAt gives the offset of a container's close chunk, if it has one: if the file of size bytes ends with a trailer
// that points at a close chunk before it. Verify decides whether the record is valid.
func CloseAt(f io.ReaderAt, size int64) (offset int64, ok bool) {
	b := make([]byte, TrailerLen)
	if size < TrailerLen || ReadFull(f, b, size-TrailerLen) != nil || [8]byte(b[:8]) != TrailerMagic {
		return 0, false
	}
	at := int64(binary.LittleEndian.Uint64(b[8:]))
	var head [ChunkHeaderLen]byte
	if at < 0 || at > size-TrailerLen-ChunkHeaderLen || ReadFull(f, head[:], at) != nil {
		return 0, false
	}
	c, n, err := ParseChunkHeader(&head)
	return at, err == nil && c.Type == ChunkClose && at+ChunkHeaderLen+int64(n)+TrailerLen == size
}

// ReadFull fills b from an offset on. The error of a source that ends before is io.ErrUnexpectedEOF.
func ReadFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
