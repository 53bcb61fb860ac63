package recorder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func openBytes(tb testing.TB, p *testPart, file []byte, sk *[32]byte) *Reader {
	tb.Helper()
	r, err := OpenReader(bytes.NewReader(file), int64(len(file)), "test.srec", p.rk, sk)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// kinds reads a part to its end and gives its frames in short.
func kinds(r *Reader) (out string, err error) {
	for {
		f, err := r.Next()
		if err != nil {
			return out, err
		}
		out += string(f.Kind)
	}
}

func TestAReaderGivesTheFramesInOrder(t *testing.T) {
	p := smallPart(t)
	r := openBytes(t, p, p.close("exit"), nil)
	got, err := kinds(r)
	if want := "tnraaosiocstmooge"; got != want || err != io.EOF {
		t.Errorf("got %q, %v, want %q, EOF", got, err, want)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the end: got %v, want EOF", err)
	}
	if c := r.Closed(); c == nil || c.Reason != "exit" {
		t.Errorf("got close %+v, want exit", c)
	}
}

func TestFramesCarryTimeWallClockAndPlace(t *testing.T) {
	p := smallPart(t)
	r := openBytes(t, p, p.close("exit"), nil)
	var last Frame
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		if f.T < last.T || f.Seq < last.Seq || f.Offset < last.Offset {
			t.Fatalf("frame %q at %d in chunk %d after %d in %d", f.Kind, f.T, f.Seq, last.T, last.Seq)
		}
		last = *f
	}
	if last.T != 72_401_000 || last.Segment != 1 {
		t.Errorf("got the exit at %d us in segment %d, want 72401000 in 1", last.T, last.Segment)
	}
	if want := testHeader().T0 + 72_401_000_000; last.Wall.UnixNano() != want {
		t.Errorf("got wall clock %d, want %d", last.Wall.UnixNano(), want)
	}
}

func TestSealedInputOpensWithTheUnsealingKeyOnly(t *testing.T) {
	p := smallPart(t)
	file := p.close("exit")
	var closed, opened []string
	for _, sk := range []*[32]byte{nil, &p.sk} {
		r := openBytes(t, p, file, sk)
		for {
			f, err := r.Next()
			if err != nil {
				break
			}
			if f.Kind == KindSealed && f.Opened {
				opened = append(opened, string(f.Data))
			} else if f.Kind == KindSealed {
				closed = append(closed, fmt.Sprint(f.Len(), bytes.Contains(f.Data, []byte("hunter2"))))
			}
		}
	}
	if fmt.Sprint(opened) != fmt.Sprint([]string{"sudo id\r", "hunter2\r"}) {
		t.Errorf("got %q with the unsealing key", opened)
	}
	if fmt.Sprint(closed) != "[8 false 8 false]" {
		t.Errorf("got %v without it, want lengths only", closed)
	}
}

// manySegments is a part of n segments, each saying its number.
func manySegments(tb testing.TB, n int) *testPart {
	p := newTestPart(tb, testHeader())
	for j := range n {
		p.newSegment()
		p.pass(1000)
		p.out(1, fmt.Sprintf("segment %d", j))
		p.flush()
		p.out(1, " goes on")
		p.flush()
	}
	return p
}

func TestSeekFindsEverySegmentOfClosedAndOpenParts(t *testing.T) {
	p := manySegments(t, 20)
	open := bytes.Clone(p.file)
	for _, file := range [][]byte{open, p.close("exit")} {
		r := openBytes(t, p, file, nil)
		for _, j := range []uint32{19, 0, 7, 7, 12, 3} {
			if err := r.Seek(j); err != nil {
				t.Fatal(err)
			}
			r.Next() // the anchor
			f, err := r.Next()
			if want := fmt.Sprintf("segment %d", j); err != nil || string(f.Data) != want || f.Segment != j {
				t.Fatalf("got %q in segment %d, %v, want %q", f.Data, f.Segment, err, want)
			}
		}
		if err := r.Seek(20); err == nil {
			t.Error("segment 20: got no error, want that there is none")
		}
	}
}

func TestSeekReadsOnToTheEnd(t *testing.T) {
	p := manySegments(t, 5)
	r := openBytes(t, p, p.close("exit"), nil)
	if err := r.Seek(3); err != nil {
		t.Fatal(err)
	}
	if got, err := kinds(r); got != "tootoo" || err != io.EOF {
		t.Errorf("got %q, %v, want tootoo, EOF", got, err)
	}
}

func TestALyingIndexDoesNotShowAnotherPlace(t *testing.T) {
	p := manySegments(t, 8)
	p.s.index[5] = p.s.index[2]
	r := openBytes(t, p, p.close("exit"), nil)
	if err := r.Seek(5); RuleOf(err) != RuleTag {
		t.Errorf("got %v, want a tag fault", err)
	}
}

func TestACutEndsWithOffsetAndReasonAndGrowGoesOn(t *testing.T) {
	p := newTestPart(t, testHeader())
	p.out(1, "first")
	p.flush()
	first := len(p.file)
	p.out(1, "second")
	p.flush()
	r := openBytes(t, p, p.file, nil)
	r.Grow(int64(first) + 9)
	got, err := kinds(r)
	var cut *Cut
	if !errors.As(err, &cut) || !errors.Is(err, ErrCut) || got != "to" || cut.Offset != int64(first) || cut.Torn != 9 {
		t.Fatalf("got %q, %v, want a cut at %d with 9 torn bytes", got, err, first)
	}
	r.Grow(int64(len(p.file)))
	f, err := r.Next()
	if err != nil || string(f.Data) != "second" {
		t.Errorf("after it grew: got %+v, %v, want second", f, err)
	}
}

func TestAFrameMayGoOnInTheNextChunk(t *testing.T) {
	p := newTestPart(t, testHeader())
	p.out(1, "x")
	p.flush()
	screen := strings.Repeat("screen ", 70_000)
	feed := func(b []byte) {
		p.w.out = append(p.w.out[:0], 0, 0, 0, 0)
		p.s.enc.Write(b)
		var err error
		if p.file, err = p.s.close(p.w, p.file, ChunkData, p.t); err != nil {
			t.Fatal(err)
		}
	}
	feed(append(binary.AppendUvarint([]byte{0, byte(KindKeyframe)}, uint64(len(screen))), screen[:1000]...))
	feed([]byte(screen[1000:]))
	r := openBytes(t, p, p.file, nil)
	r.Next()
	r.Next()
	f, err := r.Next()
	if err != nil || f.Kind != KindKeyframe || string(f.Data) != screen || f.Seq != 2 {
		t.Errorf("got %v, want the whole keyframe, begun in chunk 2", err)
	}
}

// forge seals one chunk that holds the bytes packed, whatever they are.
func forge(p *testPart, packed []byte) {
	p.out(1, "x")
	p.flush()
	p.w.out = binary.LittleEndian.AppendUint32(p.w.out[:0], 0)
	p.w.out = append(p.w.out, packed...)
	p.s.enc.Reset(io.Discard) // so that nothing of its own comes in between
	var err error
	if p.file, err = p.s.close(p.w, p.file, ChunkData, p.t); err != nil {
		p.tb.Fatal(err)
	}
}

func TestHostileCompressedBytesAreRefused(t *testing.T) {
	rle := func(n int, last int) []byte {
		w := n<<3 | 1<<1 | last
		return []byte{byte(w), byte(w >> 8), byte(w >> 16), 'A'}
	}
	for what, packed := range map[string][]byte{
		"a last block":            rle(100, 1),
		"a block over the window": rle(maxWindow+1, 0),
		"an empty block":          rle(0, 0),
		"half a block header":     {1},
		"a block of no type":      {6, 0, 0},
		"a block that is cut":     {0x80, 0x1f, 0, 'x'},
	} {
		p := newTestPart(t, testHeader())
		forge(p, packed)
		if _, err := verifyBytes(t, p.file, p.all()); RuleOf(err) != RuleZstd {
			t.Errorf("%s: got %v, want a compressed fault", what, err)
		}
	}
}

func TestABombStopsAtTheSegmentsLimit(t *testing.T) {
	head := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x38} // no flags, a window of 128 KiB
	block := []byte{maxWindow << 3 & 0xff, maxWindow << 3 >> 8 & 0xff, maxWindow << 3 >> 16, 'A'}
	block[0] |= 1 << 1
	z := newInflater()
	if err := z.take(append(head, bytes.Repeat(block, 50_000)...)); err != nil {
		t.Fatal(err)
	}
	total := 0
	for {
		b, err := z.next()
		if total += len(b); err == io.EOF {
			t.Fatalf("got all %d bytes, want a limit", total)
		} else if err != nil {
			break
		}
	}
	if total > maxSegmentPlain {
		t.Errorf("got %d bytes, want at most %d", total, maxSegmentPlain)
	}
}

func TestASegmentMayNotBeginWithAnotherZstdFrame(t *testing.T) {
	z, _ := zstd.NewWriter(nil, zstd.WithWindowSize(8<<20))
	for what, b := range map[string][]byte{
		"a frame with its size":        z.EncodeAll(make([]byte, 1000), nil),
		"a skippable frame":            {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0},
		"no zstd":                      []byte("hello, hello"),
		"a window of 8 MiB":            {0x28, 0xb5, 0x2f, 0xfd, 0, 0x68, 0x0a, 0, 0, 'x'},
		"a frame with a checksum flag": {0x28, 0xb5, 0x2f, 0xfd, 4, 0x38, 0x0a, 0, 0, 'x'},
	} {
		if n, err := zstdHeader(b); err == nil {
			t.Errorf("%s: got a header of %d bytes, want a refusal", what, n)
		}
	}
}

func TestHostileLengthsCostNoMemory(t *testing.T) {
	p := smallPart(t)
	head, _, _ := chunksOf(t, p.file)
	huge := func(word, typ uint32) []byte {
		b := append(bytes.Clone(head), make([]byte, chunkHeaderLen)...)
		binary.LittleEndian.PutUint32(b[len(head):], word)
		binary.LittleEndian.PutUint32(b[len(head)+4:], typ<<28|1)
		return b
	}
	files := [][]byte{
		huge(0xffffffff, 2), huge(maxChunk, 4), huge(maxChunk-16, 2), huge(maxStatement+1, 3),
		append(append([]byte{}, magic[:]...), 0xff, 0xff, 0xff, 0xff),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		for _, f := range files {
			verifyBytes(t, f, VerifyOptions{})
			OpenReader(bytes.NewReader(f), 1<<40, "x", p.rk, nil) // a size that lies, too
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(40*len(files)); each > 1<<20 {
		t.Errorf("got %d bytes allocated for a file, want at most 1 MiB", each)
	}
}

func TestMemoryDoesNotGrowWithTheRecording(t *testing.T) {
	p := newTestPart(t, testHeader())
	flood := strings.Repeat("the same line again and again\r\n", 1000)
	for range 2000 { // 60 MB of output
		p.out(1, flood)
		p.flush()
	}
	file := p.close("exit")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := verifyBytes(t, file, p.all()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("got %d bytes allocated in all for 60 MB of output, want at most 16 MiB", got)
	}
}
