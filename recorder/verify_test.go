package recorder

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestAWholePartVerifiesAtAllLevels(t *testing.T) {
	p := smallPart(t)
	file := p.close("exit")
	for levels, opt := range map[string]VerifyOptions{
		"A":   {File: "x", Key: pub(p.key)},
		"AB":  {File: "x", Key: pub(p.key), RK: &p.rk},
		"ABC": p.all(),
	} {
		r, err := verifyBytes(t, file, opt)
		if err != nil {
			t.Fatalf("levels %s: %v", levels, err)
		}
		if r.Levels != levels || !r.Closed || !r.Signed || r.Reason != "exit" || r.Cut != nil {
			t.Errorf("got levels %q closed %v signed %v reason %q cut %v, want %s true true exit nil", r.Levels, r.Closed, r.Signed, r.Reason, r.Cut, levels)
		}
	}
	r, _ := verifyBytes(t, file, p.all())
	if r.Hidden.Bytes != 8 || r.Hidden.Count != 1 || r.Unjudged != 8 || r.Totals.Gaps != 1 || r.Totals.GapBytes != 77 || r.Totals.Statements != 1 {
		t.Errorf("got hidden %+v unjudged %d totals %+v", r.Hidden, r.Unjudged, r.Totals)
	}
	if want := (Range{Ch: 1, At: 8, N: 8}); len(r.Hidden.Ranges) != 1 || r.Hidden.Ranges[0] != want {
		t.Errorf("got hidden ranges %v, want %v", r.Hidden.Ranges, want)
	}
}

func TestEveryFlippedBitOfASmallPartIsFound(t *testing.T) {
	p := smallPart(t)
	file := p.close("exit")
	key := pub(p.key) // level A alone: header, chain, signature and trailer must cover every bit
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
	p := smallPart(t)
	whole, err := verifyBytes(t, p.file, p.all())
	if err != nil || !cutShort(whole) {
		t.Fatalf("got %v, %v, want a cut", whole, err)
	}
	for i := range p.file {
		p.file[i] ^= 0x20
		r, err := verifyBytes(t, p.file, VerifyOptions{RK: &p.rk, H0: &whole.H0})
		if err == nil && r.Head == whole.Head {
			t.Fatalf("byte %d flipped: not found", i)
		}
		if err == nil && r.Seq >= whole.Seq {
			t.Fatalf("byte %d flipped: got %d chunks that hold", i, r.Seq)
		}
		p.file[i] ^= 0x20
	}
}

func TestFlippedBytesOfALargePartAreFound(t *testing.T) {
	p := newTestPart(t, testHeader())
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		p.pass(100_000)
		p.out(1, strings.Repeat(fmt.Sprint(rnd.Uint64()), 500))
		p.flush()
	}
	file := p.close("exit")
	if _, err := verifyBytes(t, file, p.all()); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		i, flip := rnd.IntN(len(file)), byte(1+rnd.IntN(255))
		file[i] ^= flip
		if r, err := verifyBytes(t, file, VerifyOptions{Key: pub(p.key)}); err == nil && !cutShort(r) {
			t.Fatalf("byte %d changed: not found", i)
		}
		file[i] ^= flip
	}
}

// chunksOf cuts a container into header, chunks and trailer.
func chunksOf(t *testing.T, file []byte) (head []byte, chunks [][]byte, tail []byte) {
	t.Helper()
	sc, err := newScanner("x", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	head = file[:sc.off]
	for {
		c, err := sc.next()
		if err != nil {
			return head, chunks, file[sc.off:]
		}
		chunks = append(chunks, file[c.Offset:c.Offset+c.Size()])
	}
}

func join(head []byte, chunks [][]byte, tail []byte) []byte {
	return append(append(bytes.Clone(head), bytes.Join(chunks, nil)...), tail...)
}

func TestDroppedSwappedAndDoubledChunksAreFound(t *testing.T) {
	p := smallPart(t)
	file := p.close("exit")
	head, chunks, tail := chunksOf(t, file)
	for i := range chunks {
		dropped := append(append([][]byte{}, chunks[:i]...), chunks[i+1:]...)
		doubled := append(append(append([][]byte{}, chunks[:i+1]...), chunks[i]), chunks[i+1:]...)
		for what, cs := range map[string][][]byte{"dropped": dropped, "doubled": doubled} {
			if _, err := verifyBytes(t, join(head, cs, tail), VerifyOptions{Key: pub(p.key)}); RuleOf(err) == "" {
				t.Errorf("chunk %d %s: got %v, want a fault", i, what, err)
			}
		}
		if i == 0 {
			continue
		}
		swapped := append([][]byte{}, chunks...)
		swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
		if _, err := verifyBytes(t, join(head, swapped, tail), VerifyOptions{}); RuleOf(err) != RuleSeq {
			t.Errorf("chunks %d and %d swapped: got %v, want a sequence fault", i-1, i, err)
		}
	}
}

func TestATruncatedPartIsGoodUpToThereAndSaysSo(t *testing.T) {
	p := smallPart(t)
	file := p.close("exit")
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
		r, err := verifyBytes(t, file[:n], p.all())
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
	p := smallPart(t)
	file := p.close("exit")
	body := len(file) - trailerLen
	longer := append(bytes.Clone(file), 0)
	twice := append(bytes.Clone(file), file[body:]...)
	early := append(bytes.Clone(file[:body-10]), file[body:]...)
	zero := append(bytes.Clone(file[:body]), make([]byte, trailerLen)...)
	for what, f := range map[string][]byte{"a byte behind it": longer, "twice": twice, "over the close": early, "zeros": zero, "none": file[:body]} {
		if _, err := verifyBytes(t, f, VerifyOptions{}); RuleOf(err) == "" {
			t.Errorf("%s: got %v, want a fault", what, err)
		}
	}
}

func TestWhatIsKnownFromElsewhereIsCompared(t *testing.T) {
	p := smallPart(t)
	file := p.close("exit")
	r, err := verifyBytes(t, file, p.all())
	if err != nil {
		t.Fatal(err)
	}
	other, part, sid := filled(99), uint32(1), testHeader().Session
	otherKey := ed25519.NewKeyFromSeed(other[:])
	sid[0]++
	for what, c := range map[string]struct {
		opt  VerifyOptions
		rule string
	}{
		"h0":           {VerifyOptions{H0: &other}, RuleHead},
		"h_final":      {VerifyOptions{HFinal: &other}, RuleHead},
		"progress":     {VerifyOptions{Heads: []Head{{2, other}}}, RuleHead},
		"beyond":       {VerifyOptions{Heads: []Head{{999, other}}}, RuleHead},
		"session":      {VerifyOptions{Session: &sid}, RuleHeader},
		"part":         {VerifyOptions{Part: &part}, RuleHeader},
		"device":       {VerifyOptions{DeviceFP: &other}, RuleHeader},
		"part before":  {VerifyOptions{PrevHead: &other}, RuleHeader},
		"record key":   {VerifyOptions{Key: pub(otherKey)}, RuleHeader},
		"reading key":  {VerifyOptions{RK: &other}, RuleKey},
		"seal key":     {VerifyOptions{RK: &p.rk, SK: &other}, RuleKey},
		"keys swapped": {VerifyOptions{RK: &p.sk, SK: &p.rk}, RuleKey},
	} {
		if _, err := verifyBytes(t, file, c.opt); RuleOf(err) != c.rule {
			t.Errorf("%s: got %v, want a fault of rule %s", what, err, c.rule)
		}
	}
	good := p.all()
	good.H0, good.HFinal, good.Heads = &r.H0, &r.Head, []Head{{0, r.H0}, {r.Seq, r.Head}}
	if _, err := verifyBytes(t, file, good); err != nil {
		t.Errorf("got %v, want what is so to hold", err)
	}
}

func TestACloseSignedByAnotherKeyIsRefused(t *testing.T) {
	p := smallPart(t)
	other := filled(99)
	p.key = ed25519.NewKeyFromSeed(other[:])
	file := p.close("exit")
	if _, err := verifyBytes(t, file, VerifyOptions{Key: pub(testKey())}); RuleOf(err) != RuleSignature {
		t.Errorf("got %v, want a signature fault", err)
	}
}

func TestFramesThatLieAreFound(t *testing.T) {
	type part = *testPart
	for what, c := range map[string]struct {
		lie  func(part)
		rule string
	}{
		"a hole in the output":             {func(p part) { p.at[streamID{1, StreamOut}]++; p.out(1, "x") }, RuleOffset},
		"output twice":                     {func(p part) { p.out(1, "x"); p.at[streamID{1, StreamOut}]--; p.out(1, "x") }, RuleOffset},
		"a stream that begins late":        {func(p part) { p.at[streamID{2, StreamErr}] = 5; p.stderr(2, "x") }, RuleOffset},
		"a hole in the input":              {func(p part) { p.at[streamID{1, StreamIn}]++; p.in(1, 1, "x") }, RuleOffset},
		"a reveal of nothing":              {func(p part) { p.reveal(1, 11, 0, "x") }, RuleReveal},
		"a reveal of another channel":      {func(p part) { p.in(1, 11, "abc"); p.reveal(2, 11, 0, "abc") }, RuleReveal},
		"a reveal by another actor":        {func(p part) { p.in(1, 11, "abc"); p.reveal(1, 12, 0, "abc") }, RuleReveal},
		"a reveal twice":                   {func(p part) { p.in(1, 11, "abc"); p.reveal(1, 11, 0, "abc"); p.reveal(1, 11, 0, "abc") }, RuleReveal},
		"reveals that overlap":             {func(p part) { p.in(1, 11, "abcd"); p.reveal(1, 11, 0, "ab"); p.reveal(1, 11, 1, "bc") }, RuleReveal},
		"a reveal around another":          {func(p part) { p.in(1, 11, "abcd"); p.reveal(1, 11, 1, "b"); p.reveal(1, 11, 0, "abcd") }, RuleReveal},
		"a reveal of two inputs":           {func(p part) { p.in(1, 11, "ab"); p.in(1, 11, "cd"); p.reveal(1, 11, 1, "bc") }, RuleReveal},
		"a reveal beyond the input":        {func(p part) { p.in(1, 11, "ab"); p.reveal(1, 11, 1, "bc") }, RuleReveal},
		"a reveal before its input":        {func(p part) { p.reveal(1, 11, 0, "a"); p.in(1, 11, "a") }, RuleReveal},
		"a reveal of what was never typed": {func(p part) { p.in(1, 11, "rm -rf"); p.reveal(1, 11, 0, "ls -la") }, RuleSealed},
		"a frame that does not exist":      {func(p part) { p.event('?', nil) }, RuleFrame},
		"an event that is no CBOR":         {func(p part) { p.event(KindNote, []byte{0xff}) }, RuleFrame},
		"a command with a field more":      {func(p part) { p.encoded(KindCommand, map[string]any{"ch": 1, "source": "x", "more": 1}) }, RuleFrame},
		"a frame that is not finished":     {func(p part) { p.event(KindNotice, []byte("x")); p.flush(); unfinished(p) }, RuleFrame},
		"a close that counts wrong":        {func(p part) { p.s.totals.Out++ }, RuleTotals},
		"a close that forgets a gap":       {func(p part) { p.encoded(KindGap, Gap{Reason: "x"}); p.flush(); p.s.totals.Gaps-- }, RuleTotals},
	} {
		p := newTestPart(t, testHeader())
		p.event(KindNotice, []byte("x"))
		c.lie(p)
		p.flush()
		_, err := verifyBytes(t, p.close("exit"), p.all())
		if RuleOf(err) != c.rule {
			t.Errorf("%s: got %v, want a fault of rule %s", what, err, c.rule)
		}
	}
}

// unfinished feeds half a frame into the open segment.
func unfinished(p *testPart) {
	p.w.out = append(p.w.out[:0], 0, 0, 0, 0)
	p.s.enc.Write([]byte{0, byte(KindNotice), 9, 'x'})
	var err error
	if p.file, err = p.s.close(p.w, p.file, ChunkData, p.t); err != nil {
		p.tb.Fatal(err)
	}
}

func TestHiddenInputIsCountedInStretches(t *testing.T) {
	p := newTestPart(t, testHeader())
	for _, key := range "secret" {
		p.in(1, 1, string(key))
	}
	at := p.in(1, 1, "shown hidden")
	p.reveal(1, 1, at, "shown")
	p.in(2, 1, "other")
	at = p.in(2, 1, "abc")
	p.reveal(2, 1, at+1, "b")
	r, err := verifyBytes(t, p.close("exit"), p.all())
	if err != nil {
		t.Fatal(err)
	}
	want := []Range{{1, 0, 6}, {1, 11, 7}, {2, 0, 6}, {2, 7, 1}}
	if fmt.Sprint(r.Hidden.Ranges) != fmt.Sprint(want) || r.Hidden.Bytes != 20 || r.Hidden.Count != 4 {
		t.Errorf("got %+v, want %v", r.Hidden, want)
	}
}

func TestAnAlteredStatementChunkIsFoundWithoutAKey(t *testing.T) {
	p := newTestPart(t, testHeader())
	p.event(kindStatement, []byte{0, 0, 0, 9, 1})
	if _, err := verifyBytes(t, p.close("exit"), VerifyOptions{}); RuleOf(err) != RuleStatement {
		t.Errorf("got %v, want a statement fault", err)
	}
}

func TestVerifyStopsWhenItsContextEnds(t *testing.T) {
	p := newTestPart(t, testHeader())
	for range 100 {
		p.out(1, "x")
		p.flush()
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err := Verify(ctx, bytes.NewReader(p.file), int64(len(p.file)), p.all())
	if err == nil || err.Error() != "enough" {
		t.Errorf("got %v, want enough", err)
	}
}
