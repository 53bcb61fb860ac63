package reader

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

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

func openBytes(tb testing.TB, p *sealtest.Part, file []byte, sk *[32]byte) *Reader {
	tb.Helper()
	r, err := Open(bytes.NewReader(file), int64(len(file)), "test.srec", p.RK, sk)
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
	p := sealtest.Small(t)
	r := openBytes(t, p, p.Close("exit"), nil)
	got, err := kinds(r)
	if want := "tnmraaosiocstmooge"; got != want || err != io.EOF {
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
	p := sealtest.Small(t)
	r := openBytes(t, p, p.Close("exit"), nil)
	var last format.Frame
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
	if want := sealtest.Header().T0 + 72_401_000_000; last.Wall.UnixNano() != want {
		t.Errorf("got wall clock %d, want %d", last.Wall.UnixNano(), want)
	}
}

func TestSealedInputOpensWithTheUnsealingKeyOnly(t *testing.T) {
	p := sealtest.Small(t)
	file := p.Close("exit")
	var closed, opened []string
	for _, sk := range []*[32]byte{nil, &p.SK} {
		r := openBytes(t, p, file, sk)
		for {
			f, err := r.Next()
			if err != nil {
				break
			}
			if f.Kind == format.KindSealed && f.Opened {
				opened = append(opened, string(f.Data))
			} else if f.Kind == format.KindSealed {
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
func manySegments(tb testing.TB, n int) *sealtest.Part {
	p := sealtest.Bare(tb, sealtest.Header())
	for j := range n {
		p.NewSegment()
		p.Pass(1000)
		p.Out(1, fmt.Sprintf("segment %d", j))
		p.Flush()
		p.Out(1, " goes on")
		p.Flush()
	}
	return p
}

func TestSeekFindsEverySegmentOfClosedAndOpenParts(t *testing.T) {
	p := manySegments(t, 20)
	open := bytes.Clone(p.File)
	for _, file := range [][]byte{open, p.Close("exit")} {
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
	r := openBytes(t, p, p.Close("exit"), nil)
	if err := r.Seek(3); err != nil {
		t.Fatal(err)
	}
	if got, err := kinds(r); got != "tootoo" || err != io.EOF {
		t.Errorf("got %q, %v, want tootoo, EOF", got, err)
	}
}

func TestALyingIndexDoesNotShowAnotherPlace(t *testing.T) {
	p := manySegments(t, 8)
	p.Sealer.Index[5] = p.Sealer.Index[2]
	r := openBytes(t, p, p.Close("exit"), nil)
	if err := r.Seek(5); format.RuleOf(err) != format.RuleTag {
		t.Errorf("got %v, want a tag fault", err)
	}
}

func TestACutEndsWithOffsetAndReasonAndGrowGoesOn(t *testing.T) {
	p := sealtest.Bare(t, sealtest.Header())
	p.Out(1, "first")
	p.Flush()
	first := len(p.File)
	p.Out(1, "second")
	p.Flush()
	r := openBytes(t, p, p.File, nil)
	r.Grow(int64(first) + 9)
	got, err := kinds(r)
	var cut *format.Cut
	if !errors.As(err, &cut) || !errors.Is(err, format.ErrCut) || got != "to" || cut.Offset != int64(first) ||
		cut.Torn != 9 {
		t.Fatalf("got %q, %v, want a cut at %d with 9 torn bytes", got, err, first)
	}
	r.Grow(int64(len(p.File)))
	f, err := r.Next()
	if err != nil || string(f.Data) != "second" {
		t.Errorf("after it grew: got %+v, %v, want second", f, err)
	}
}

func TestAFrameMayGoOnInTheNextChunk(t *testing.T) {
	p := sealtest.Bare(t, sealtest.Header())
	p.Out(1, "x")
	p.Flush()
	screen := strings.Repeat("screen ", 70_000)
	feed := func(b []byte) {
		var err error
		if p.File, err = p.Sealer.Raw(p.Bench, p.File, p.T, b, nil); err != nil {
			t.Fatal(err)
		}
	}
	feed(append(binary.AppendUvarint([]byte{0, byte(format.KindKeyframe)}, uint64(len(screen))), screen[:1000]...))
	feed([]byte(screen[1000:]))
	r := openBytes(t, p, p.File, nil)
	r.Next()
	r.Next()
	f, err := r.Next()
	if err != nil || f.Kind != format.KindKeyframe || string(f.Data) != screen || f.Seq != 2 {
		t.Errorf("got %v, want the whole keyframe, begun in chunk 2", err)
	}
}

// forge seals one chunk that holds the bytes packed, whatever they are.
func forge(p *sealtest.Part, packed []byte) {
	p.Out(1, "x")
	p.Flush()
	var err error
	if p.File, err = p.Sealer.Raw(p.Bench, p.File, p.T, nil, packed); err != nil {
		p.TB.Fatal(err)
	}
}

func TestHostileCompressedBytesAreRefused(t *testing.T) {
	rle := func(n int, last int) []byte {
		w := n<<3 | 1<<1 | last
		return []byte{byte(w), byte(w >> 8), byte(w >> 16), 'A'}
	}
	for what, packed := range map[string][]byte{
		"a last block":            rle(100, 1),
		"a block over the window": rle(format.MaxWindow+1, 0),
		"an empty block":          rle(0, 0),
		"half a block header":     {1},
		"a block of no type":      {6, 0, 0},
		"a block that is cut":     {0x80, 0x1f, 0, 'x'},
	} {
		p := sealtest.New(t, sealtest.Header())
		forge(p, packed)
		if _, err := verifyBytes(t, p.File, allKeys(p)); format.RuleOf(err) != format.RuleZstd {
			t.Errorf("%s: got %v, want a compressed fault", what, err)
		}
	}
}

func TestABombStopsAtTheSegmentsLimit(t *testing.T) {
	head := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x38} // no flags, a window of 128 KiB
	block := []byte{format.MaxWindow << 3 & 0xff, format.MaxWindow << 3 >> 8 & 0xff, format.MaxWindow << 3 >> 16, 'A'}
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
	if total > format.MaxSegmentPlain {
		t.Errorf("got %d bytes, want at most %d", total, format.MaxSegmentPlain)
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
	p := sealtest.Small(t)
	head, _, _ := chunksOf(t, p.File)
	huge := func(word, typ uint32) []byte {
		b := append(bytes.Clone(head), make([]byte, format.ChunkHeaderLen)...)
		binary.LittleEndian.PutUint32(b[len(head):], word)
		binary.LittleEndian.PutUint32(b[len(head)+4:], typ<<28|1)
		return b
	}
	files := [][]byte{
		huge(0xffffffff, 2), huge(format.MaxChunk, 4), huge(format.MaxChunk-16, 2), huge(format.MaxStatement+1, 3),
		append([]byte("SLYREC1\n"), 0xff, 0xff, 0xff, 0xff),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		for _, f := range files {
			verifyBytes(t, f, VerifyOptions{})
			Open(bytes.NewReader(f), 1<<40, "x", p.RK, nil) // a size that lies, too
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / uint64(40*len(files)); each > 1<<20 {
		t.Errorf("got %d bytes allocated for a file, want at most 1 MiB", each)
	}
}

func TestMemoryDoesNotGrowWithTheRecording(t *testing.T) {
	p := sealtest.New(t, sealtest.Header())
	flood := strings.Repeat("the same line again and again\r\n", 1000)
	for range 2000 { // 60 MB of output
		p.Out(1, flood)
		p.Flush()
	}
	file := p.Close("exit")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := verifyBytes(t, file, allKeys(p)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("got %d bytes allocated in all for 60 MB of output, want at most 16 MiB", got)
	}
}
