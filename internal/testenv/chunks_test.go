package testenv

import (
	"encoding/binary"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
)

func TestAChunkThatWasSealedTwiceIsSeen(t *testing.T) {
	chunk := func(seq uint32, body string) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
		b = binary.LittleEndian.AppendUint32(b, 1<<28|seq)
		return append(append(b, make([]byte, 8)...), body...)
	}
	c, s := Chunks{}, id.NewSession()
	for _, step := range []struct {
		session id.Session
		raw     []byte
		fine    bool
	}{
		{s, append(chunk(1, "one"), chunk(2, "two")...), true},
		{s, chunk(2, "two"), true},
		{id.NewSession(), chunk(2, "other"), true},
		{s, chunk(2, "not"), false},
		{s, append(chunk(3, "three"), chunk(3, "three")...), false},
	} {
		if err := c.add("file", step.session, 0, step.raw); (err == nil) != step.fine {
			t.Errorf("%q: got %v, want it to be fine: %v", step.raw, err, step.fine)
		}
	}
}
