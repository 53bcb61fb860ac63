package reader

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/scan"
	"github.com/sallyport/sallyport/recorder/seal"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

func TestAWholePartVerifiesAtAllLevels(t *testing.T) {
	p := sealtest.Small(t)
	file := p.Close("exit")
	for levels, opt := range map[string]VerifyOptions{
		"A":   {File: "x", Key: sealtest.Public(p.Key)},
		"AB":  {File: "x", Key: sealtest.Public(p.Key), RK: &p.RK},
		"ABC": allKeys(p),
	} {
		r, err := verifyBytes(t, file, opt)
		if err != nil {
			t.Fatalf("levels %s: %v", levels, err)
		}
		if r.Levels != levels || !r.Closed || !r.Signed || r.Reason != "exit" || r.Cut != nil {
			t.Errorf("got levels %q closed %v signed %v reason %q cut %v, want %s true true exit nil", r.Levels,
				r.Closed, r.Signed, r.Reason, r.Cut, levels)
		}
	}
	r, _ := verifyBytes(t, file, allKeys(p))
	if r.Hidden.Bytes != 8 || r.Hidden.Count != 1 || r.Unjudged != 8 || r.Totals.Gaps != 1 ||
		r.Totals.GapBytes != 77 || r.Totals.Statements != 1 {
		t.Errorf("got hidden %+v unjudged %d totals %+v", r.Hidden, r.Unjudged, r.Totals)
	}
	if want := (Range{Ch: 1, At: 8, N: 8}); len(r.Hidden.Ranges) != 1 || r.Hidden.Ranges[0] != want {
		t.Errorf("got hidden ranges %v, want %v", r.Hidden.Ranges, want)
	}
}

// TestAChunkThatRunsIntoTheTrailerIsFound: also one that takes a part of it, or all of it up to the end of the file.
func TestAChunkThatRunsIntoTheTrailerIsFound(t *testing.T) {
	p := sealtest.Small(t)
	file := p.Close("exit")
	at, ok := format.CloseAt(bytes.NewReader(file), int64(len(file)))
	if !ok {
		t.Fatal("no close")
	}
	for _, more := range []uint32{1, 36, format.TrailerLen, format.TrailerLen + 1} {
		bad := bytes.Clone(file)
		binary.LittleEndian.PutUint32(bad[at:], binary.LittleEndian.Uint32(bad[at:])+more)
		_, err := verifyBytes(t, bad, VerifyOptions{Key: sealtest.Public(p.Key)})
		if f, ok := errors.AsType[*format.Fault](err); !ok || f.Rule != format.RuleChunk || f.Offset != at {
			t.Errorf("a close with %d bytes of the trailer: got %v, want rule chunk at %d", more, err, at)
		}
	}
	head, n := file[:at], len(file)-int(at) // one sealed chunk in place of the close, up to the end of the file
	n = (n-format.ChunkHeaderLen-format.TagLen)/format.Padding*format.Padding + format.TagLen
	last := make([]byte, format.ChunkHeaderLen+n)
	format.PutChunkHeader(last, n, format.ChunkData, lastSeq(file[:at])+1, 1<<40)
	copy(last[len(last)-format.TrailerLen:], file[len(file)-format.TrailerLen:])
	r, err := verifyBytes(t, append(bytes.Clone(head), last...), VerifyOptions{})
	if format.RuleOf(err) != format.RuleChunk {
		t.Errorf("a sealed chunk that ends like a trailer: got %v (cut: %v), want rule chunk", err, r != nil && r.Cut != nil)
	}
}

// lastSeq reads the number of the last chunk of a container without a close.
func lastSeq(file []byte) (seq uint32) {
	at := format.HeaderAt + int(binary.LittleEndian.Uint32(file[8:]))
	for at < len(file) {
		seq = binary.LittleEndian.Uint32(file[at+4:]) & format.MaxSeq
		at += format.ChunkHeaderLen + int(binary.LittleEndian.Uint32(file[at:]))
	}
	return seq
}

func TestEveryFlippedBitOfASmallPartIsFound(t *testing.T) {
	p := sealtest.Small(t)
	file := p.Close("exit")
	key := sealtest.Public(p.Key) // level A alone: header, chain, signature and trailer must cover every bit
	for i := range file {
		for bit := range 8 {
			file[i] ^= 1 << bit
			if r, err := verifyBytes(t, file, VerifyOptions{Key: key}); err == nil && !cutShort(r) {
				t.Fatalf("bit %d of byte %d flipped: not found", bit, i)
			}
			file[i] ^= 1 << bit
		}
	}
}

// cutShort says that a report does not claim a closed recording: it is no proof that all is there.
func cutShort(r *Report) bool { return !r.Closed && r.Cut != nil }

func TestEveryFlippedByteOfAnOpenPartIsFoundWithTheReadingKey(t *testing.T) {
	p := sealtest.Small(t)
	whole, err := verifyBytes(t, p.File, allKeys(p))
	if err != nil || !cutShort(whole) {
		t.Fatalf("got %v, %v, want a cut", whole, err)
	}
	for i := range p.File {
		p.File[i] ^= 0x20
		r, err := verifyBytes(t, p.File, VerifyOptions{RK: &p.RK, H0: &whole.H0})
		if err == nil && r.Head == whole.Head {
			t.Fatalf("byte %d flipped: not found", i)
		}
		if err == nil && r.Seq >= whole.Seq {
			t.Fatalf("byte %d flipped: got %d chunks that hold", i, r.Seq)
		}
		p.File[i] ^= 0x20
	}
}

func TestFlippedBytesOfALargePartAreFound(t *testing.T) {
	p := sealtest.New(t, sealtest.Header())
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		p.Pass(100_000)
		p.Out(1, strings.Repeat(fmt.Sprint(rnd.Uint64()), 500))
		p.Flush()
	}
	file := p.Close("exit")
	if _, err := verifyBytes(t, file, allKeys(p)); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		i, flip := rnd.IntN(len(file)), byte(1+rnd.IntN(255))
		file[i] ^= flip
		if r, err := verifyBytes(t, file, VerifyOptions{Key: sealtest.Public(p.Key)}); err == nil && !cutShort(r) {
			t.Fatalf("byte %d changed: not found", i)
		}
		file[i] ^= flip
	}
}

// chunksOf cuts a container into header, chunks and trailer.
func chunksOf(t *testing.T, file []byte) (head []byte, chunks [][]byte, tail []byte) {
	t.Helper()
	sc, err := scan.New("x", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	head = file[:sc.Offset]
	for {
		c, err := sc.Next()
		if err != nil {
			return head, chunks, file[sc.Offset:]
		}
		chunks = append(chunks, file[c.Offset:c.Offset+c.Size()])
	}
}

func join(head []byte, chunks [][]byte, tail []byte) []byte {
	return append(append(bytes.Clone(head), bytes.Join(chunks, nil)...), tail...)
}

func TestDroppedSwappedAndDoubledChunksAreFound(t *testing.T) {
	p := sealtest.Small(t)
	file := p.Close("exit")
	head, chunks, tail := chunksOf(t, file)
	for i := range chunks {
		dropped := append(append([][]byte{}, chunks[:i]...), chunks[i+1:]...)
		doubled := append(append(append([][]byte{}, chunks[:i+1]...), chunks[i]), chunks[i+1:]...)
		for what, cs := range map[string][][]byte{"dropped": dropped, "doubled": doubled} {
			if _, err := verifyBytes(t, join(head, cs, tail),
				VerifyOptions{Key: sealtest.Public(p.Key)}); format.RuleOf(err) == "" {
				t.Errorf("chunk %d %s: got %v, want a fault", i, what, err)
			}
		}
		if i == 0 {
			continue
		}
		swapped := append([][]byte{}, chunks...)
		swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
		if _, err := verifyBytes(t, join(head, swapped, tail), VerifyOptions{}); format.RuleOf(err) != format.RuleSeq {
			t.Errorf("chunks %d and %d swapped: got %v, want a sequence fault", i-1, i, err)
		}
	}
}

func TestATruncatedPartIsGoodUpToThereAndSaysSo(t *testing.T) {
	p := sealtest.Small(t)
	file := p.Close("exit")
	head, chunks, _ := chunksOf(t, file)
	ends := map[int]uint32{len(head): 0}
	at := len(head)
	for i, c := range chunks[:len(chunks)-1] {
		at += len(c)
		ends[at] = uint32(i + 1)
	}
	var seq uint32
	for n := range file {
		if s, ok := ends[n]; ok {
			seq = s
		}
		r, err := verifyBytes(t, file[:n], allKeys(p))
		if n < len(head) || n >= at+len(chunks[len(chunks)-1]) { // in the header, or behind the close
			if err == nil {
				t.Fatalf("cut at %d: got no fault", n)
			}
			continue
		}
		if err != nil || !cutShort(r) || r.Seq != seq || r.Cut.Offset+r.Cut.Torn != int64(n) {
			t.Fatalf("cut at %d: got %v, %v, want a cut after chunk %d", n, r, err, seq)
		}
	}
}

func TestAnotherTrailerIsFound(t *testing.T) {
	p := sealtest.Small(t)
	file := p.Close("exit")
	body := len(file) - format.TrailerLen
	longer := append(bytes.Clone(file), 0)
	twice := append(bytes.Clone(file), file[body:]...)
	early := append(bytes.Clone(file[:body-10]), file[body:]...)
	zero := append(bytes.Clone(file[:body]), make([]byte, format.TrailerLen)...)
	for what, f := range map[string][]byte{"a byte behind it": longer, "twice": twice, "over the close": early,
		"zeros": zero, "none": file[:body]} {
		if _, err := verifyBytes(t, f, VerifyOptions{}); format.RuleOf(err) == "" {
			t.Errorf("%s: got %v, want a fault", what, err)
		}
	}
}

func TestWhatIsKnownFromElsewhereIsCompared(t *testing.T) {
	p := sealtest.Small(t)
	file := p.Close("exit")
	r, err := verifyBytes(t, file, allKeys(p))
	if err != nil {
		t.Fatal(err)
	}
	other, part, sid := sealtest.Filled(99), uint32(1), sealtest.Header().Session
	otherKey := ed25519.NewKeyFromSeed(other[:])
	sid[0]++
	for what, c := range map[string]struct {
		opt  VerifyOptions
		rule string
	}{
		"h0":           {VerifyOptions{H0: &other}, format.RuleHead},
		"h_final":      {VerifyOptions{HFinal: &other}, format.RuleHead},
		"progress":     {VerifyOptions{Heads: []Head{{2, other}}}, format.RuleHead},
		"beyond":       {VerifyOptions{Heads: []Head{{999, other}}}, format.RuleHead},
		"session":      {VerifyOptions{Session: &sid}, format.RuleHeader},
		"part":         {VerifyOptions{Part: &part}, format.RuleHeader},
		"device":       {VerifyOptions{DeviceFP: &other}, format.RuleHeader},
		"part before":  {VerifyOptions{PrevHead: &other}, format.RuleHeader},
		"record key":   {VerifyOptions{Key: sealtest.Public(otherKey)}, format.RuleHeader},
		"reading key":  {VerifyOptions{RK: &other}, format.RuleKey},
		"seal key":     {VerifyOptions{RK: &p.RK, SK: &other}, format.RuleKey},
		"keys swapped": {VerifyOptions{RK: &p.SK, SK: &p.RK}, format.RuleKey},
	} {
		if _, err := verifyBytes(t, file, c.opt); format.RuleOf(err) != c.rule {
			t.Errorf("%s: got %v, want a fault of rule %s", what, err, c.rule)
		}
	}
	good := allKeys(p)
	good.H0, good.HFinal, good.Heads = &r.H0, &r.Head, []Head{{0, r.H0}, {r.Seq, r.Head}}
	if _, err := verifyBytes(t, file, good); err != nil {
		t.Errorf("got %v, want what is so to hold", err)
	}
}

func TestACloseSignedByAnotherKeyIsRefused(t *testing.T) {
	p := sealtest.Small(t)
	other := sealtest.Filled(99)
	p.Key = ed25519.NewKeyFromSeed(other[:])
	file := p.Close("exit")
	if _, err := verifyBytes(t, file,
		VerifyOptions{Key: sealtest.Public(sealtest.Key())}); format.RuleOf(err) != format.RuleSignature {
		t.Errorf("got %v, want a signature fault", err)
	}
}

func TestFramesThatLieAreFound(t *testing.T) {
	for what, c := range map[string]struct {
		lie  func(part)
		rule string
	}{
		"a hole in the output": {func(p part) {
			p.At[sealtest.Place{Ch: 1, Stream: format.StreamOut}]++
			p.Out(1, "x")
		}, format.RuleOffset},
		"output twice": {func(p part) {
			p.Out(1, "x")
			p.At[sealtest.Place{Ch: 1, Stream: format.StreamOut}]--
			p.Out(1, "x")
		}, format.RuleOffset},
		"a stream that begins late": {func(p part) {
			p.At[sealtest.Place{Ch: 2, Stream: format.StreamErr}] = 5
			p.Stderr(2, "x")
		}, format.RuleOffset},
		"a hole in the input": {func(p part) {
			p.At[sealtest.Place{Ch: 1, Stream: format.StreamIn}]++
			p.In(1, 1, "x")
		}, format.RuleOffset},
		"a reveal of nothing": {func(p part) { p.Reveal(1, 11, 0, "x") }, format.RuleReveal},
		"a reveal of another channel": {func(p part) { p.In(1, 11, "abc"); p.Reveal(2, 11, 0, "abc") },
			format.RuleReveal},
		"a reveal by another actor": {func(p part) { p.In(1, 11, "abc"); p.Reveal(1, 12, 0, "abc") },
			format.RuleReveal},
		"a reveal twice": {func(p part) {
			p.In(1, 11, "abc")
			p.Reveal(1, 11, 0, "abc")
			p.Reveal(1, 11, 0, "abc")
		}, format.RuleReveal},
		"reveals that overlap": {func(p part) {
			p.In(1, 11, "abcd")
			p.Reveal(1, 11, 0, "ab")
			p.Reveal(1, 11, 1, "bc")
		}, format.RuleReveal},
		"a reveal around another": {func(p part) {
			p.In(1, 11, "abcd")
			p.Reveal(1, 11, 1, "b")
			p.Reveal(1, 11, 0, "abcd")
		}, format.RuleReveal},
		"a reveal of two inputs": {func(p part) {
			p.In(1, 11, "ab")
			p.In(1, 11, "cd")
			p.Reveal(1, 11, 1, "bc")
		}, format.RuleReveal},
		"a reveal beyond the input": {func(p part) { p.In(1, 11, "ab"); p.Reveal(1, 11, 1, "bc") },
			format.RuleReveal},
		"a reveal before its input": {func(p part) { p.Reveal(1, 11, 0, "a"); p.In(1, 11, "a") },
			format.RuleReveal},
		"a reveal of what was never typed": {func(p part) { p.In(1, 11, "rm -rf"); p.Reveal(1, 11, 0, "ls -la") },
			format.RuleSealed},
		"a frame that does not exist": {func(p part) { p.Event('?', nil) }, format.RuleFrame},
		"an event that is no CBOR":    {func(p part) { p.Event(format.KindNote, []byte{0xff}) }, format.RuleFrame},
		"a command with a field more": {func(p part) {
			p.Encoded(format.KindCommand, map[string]any{"ch": 1, "source": "x", "more": 1})
		}, format.RuleFrame},
		"a frame that is not finished": {func(p part) {
			p.Event(format.KindNotice, []byte("x"))
			p.Flush()
			unfinished(p)
		}, format.RuleFrame},
		"a close that counts wrong": {func(p part) { p.Sealer.Totals.Out++ }, format.RuleTotals},
		"a close that forgets a gap": {func(p part) {
			p.Encoded(format.KindGap, format.Gap{Reason: "x"})
			p.Flush()
			p.Sealer.Totals.Gaps--
		}, format.RuleTotals},
	} {
		p := sealtest.New(t, sealtest.Header())
		p.Event(format.KindNotice, []byte("x"))
		c.lie(p)
		p.Flush()
		_, err := verifyBytes(t, p.Close("exit"), allKeys(p))
		if format.RuleOf(err) != c.rule {
			t.Errorf("%s: got %v, want a fault of rule %s", what, err, c.rule)
		}
	}
}

// TestAFrameThatGoesOnIsNoLaterThanTheNextChunk: its time is between those of the chunk in which it begins and of the
// next sealed one, however many chunks it is in.
func TestAFrameThatGoesOnIsNoLaterThanTheNextChunk(t *testing.T) {
	for what, c := range map[string]struct {
		dt     byte     // of the frame, since its chunk
		chunks []uint64 // times of the chunks in which it goes on, since that chunk
		good   bool
	}{
		"at the time of the next chunk":     {5, []uint64{5}, true},
		"before the next chunk":             {3, []uint64{5}, true},
		"after the next chunk":              {6, []uint64{5}, false},
		"at the time of the one after that": {9, []uint64{5, 9}, false},
		"in three chunks":                   {5, []uint64{5, 9}, true},
		"a chunk without time between":      {1, []uint64{0, 9}, false},
	} {
		p := sealtest.Bare(t, sealtest.Header())
		p.Event(format.KindNotice, []byte("x"))
		p.Flush()
		pieces := [][]byte{{c.dt, byte(format.KindNotice), 3, 'a'}, {'b'}, {'c'}}
		if len(c.chunks) == 1 {
			pieces = [][]byte{pieces[0], {'b', 'c'}}
		}
		from := p.T
		for i, piece := range pieces {
			if i > 0 {
				p.T = from + c.chunks[i-1]
			}
			var err error
			if p.File, err = p.Sealer.Raw(p.Bench, p.File, p.T, piece, nil); err != nil {
				t.Fatal(err)
			}
		}
		p.Pass(100)
		p.Event(format.KindNotice, []byte("y"))
		p.Flush()
		_, err := verifyBytes(t, p.File, allKeys(p))
		if want := map[bool]string{false: format.RuleFrame}[c.good]; format.RuleOf(err) != want {
			t.Errorf("%s: got %v, want rule %q", what, err, want)
		}
	}
}

// TestTheBytesOfGapsDoNotWrap: many gaps must not add up to a few bytes.
func TestTheBytesOfGapsDoNotWrap(t *testing.T) {
	for _, n := range []uint64{1, 2} {
		p := sealtest.New(t, sealtest.Header())
		p.Encoded(format.KindGap, format.Gap{Reason: "budget", Bytes: math.MaxUint64 - 1})
		p.Encoded(format.KindGap, format.Gap{Reason: "budget", Bytes: n})
		_, err := verifyBytes(t, p.Close("exit"), allKeys(p))
		if want := map[uint64]string{2: format.RuleTotals}[n]; format.RuleOf(err) != want {
			t.Errorf("%d bytes more than fit: got %v, want rule %q", n-1, err, want)
		}
	}
}

// unfinished feeds half a frame into the open segment.
func unfinished(p *sealtest.Part) {
	var err error
	if p.File, err = p.Sealer.Raw(p.Bench, p.File, p.T, []byte{0, byte(format.KindNotice), 9, 'x'}, nil); err != nil {
		p.TB.Fatal(err)
	}
}

func TestHiddenInputIsCountedInStretches(t *testing.T) {
	p := sealtest.New(t, sealtest.Header())
	for _, key := range "secret" {
		p.In(1, 1, string(key))
	}
	at := p.In(1, 1, "shown hidden")
	p.Reveal(1, 1, at, "shown")
	p.In(2, 1, "other")
	at = p.In(2, 1, "abc")
	p.Reveal(2, 1, at+1, "b")
	r, err := verifyBytes(t, p.Close("exit"), allKeys(p))
	if err != nil {
		t.Fatal(err)
	}
	want := []Range{{1, 0, 6}, {1, 11, 7}, {2, 0, 6}, {2, 7, 1}}
	if fmt.Sprint(r.Hidden.Ranges) != fmt.Sprint(want) || r.Hidden.Bytes != 20 || r.Hidden.Count != 4 {
		t.Errorf("got %+v, want %v", r.Hidden, want)
	}
}

func TestAnAlteredStatementChunkIsFoundWithoutAKey(t *testing.T) {
	p := sealtest.New(t, sealtest.Header())
	p.Event(seal.KindStatement, []byte{0, 0, 0, 9, 1})
	if _, err := verifyBytes(t, p.Close("exit"), VerifyOptions{}); format.RuleOf(err) != format.RuleStatement {
		t.Errorf("got %v, want a statement fault", err)
	}
}

func TestVerifyStopsWhenItsContextEnds(t *testing.T) {
	p := sealtest.New(t, sealtest.Header())
	for range 100 {
		p.Out(1, "x")
		p.Flush()
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err := Verify(ctx, bytes.NewReader(p.File), int64(len(p.File)), allKeys(p))
	if err == nil || err.Error() != "enough" {
		t.Errorf("got %v, want enough", err)
	}
}
