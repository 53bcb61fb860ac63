package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

const lanedSegments = 12

// laned is a part of some segments with some of everything in each. The time falls where the segment begins that is named.
func laned(tb testing.TB, falls int) *testPart {
	p := newTestPart(tb, testHeader())
	rnd := rand.New(rand.NewPCG(5, 5))
	for i := range lanedSegments {
		p.newSegment()
		if i == falls {
			p.t -= min(p.t, 2_500_000)
		}
		for range 4 + i%3 {
			p.pass(20_000)
			at := p.in(1, 1, "k")
			p.flush()
			p.out(1, strings.Repeat(fmt.Sprint(rnd.Uint64()), 1+i%2))
			p.reveal(1, 1, at, "k")
			p.event(kindStatement, lp(lp(nil, []byte("body")), []byte("sig")))
			p.flush()
		}
		p.pass(2_000_000)
	}
	return p
}

// checked verifies without a key in so many lanes; 1 is one scan.
func checked(tb testing.TB, file []byte, opt VerifyOptions, lanes int) (*Report, error) {
	opt.lanes = lanes
	return verifyBytes(tb, file, opt)
}

// alike demands that lanes say what one scan says.
func alike(t *testing.T, what string, file []byte, opt VerifyOptions) (*Report, error) {
	t.Helper()
	want, fault := checked(t, file, opt, 1)
	for _, n := range []int{2, 3, 8} {
		got, err := checked(t, file, opt, n)
		if fmt.Sprint(err) != fmt.Sprint(fault) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %d lanes: got %+v, %v, want %+v, %v", what, n, got, err, want, fault)
		}
	}
	return want, fault
}

func holdsInLanes(t *testing.T, file []byte, opt VerifyOptions) bool {
	t.Helper()
	opt.lanes = 3
	v, err := newVerifier(bytes.NewReader(file), int64(len(file)), opt)
	if err != nil {
		t.Fatal(err)
	}
	return v.sideBySide(t.Context())
}

func TestAPartVerifiesInLanes(t *testing.T) {
	p := laned(t, 0)
	file := p.close("exit")
	var heads []Head
	sc, err := newScanner("x", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for c, err := sc.next(); err == nil; c, err = sc.next() {
		heads = append(heads, Head{c.Seq, c.After})
	}
	opt := VerifyOptions{Key: pub(p.key), H0: &sc.h0, HFinal: &sc.h, Heads: heads}
	if !holdsInLanes(t, file, opt) {
		t.Fatal("a good part was not verified in lanes")
	}
	if _, err := alike(t, "good", file, opt); err != nil {
		t.Fatal(err)
	}
	for i := range heads {
		opt.Heads = oneOff(heads, i)
		if _, err := alike(t, fmt.Sprintf("progress %d", i), file, opt); RuleOf(err) != RuleHead {
			t.Fatalf("progress %d: got %v, want a head fault", i, err)
		}
	}
	opt.Heads = append(heads, Head{heads[len(heads)-1].Seq + 1, filled(1)})
	if _, err := alike(t, "progress beyond the end", file, opt); RuleOf(err) != RuleHead {
		t.Fatalf("got %v, want a head fault", err)
	}
}

// oneOff gives the heads with one of them changed.
func oneOff(heads []Head, i int) []Head {
	heads = append([]Head(nil), heads...)
	heads[i].H[31]++
	return heads
}

func TestLanesFindWhatOneScanFinds(t *testing.T) {
	p := laned(t, 0)
	file := p.close("exit")
	for i := 0; i < len(file); i += 5 {
		file[i] ^= 0x41
		if r, err := alike(t, fmt.Sprintf("byte %d changed", i), file, VerifyOptions{Key: pub(p.key)}); err == nil && !cutShort(r) {
			t.Fatalf("byte %d changed: not found", i)
		}
		file[i] ^= 0x41
	}
	for n := len(file) - 1; n > 0; n -= 61 {
		alike(t, fmt.Sprintf("cut to %d", n), file[:n], VerifyOptions{Key: pub(p.key)})
	}
}

// An index that a host lies in, and signs, must not lead a lane past anything.
func TestLanesDoNotBelieveTheIndex(t *testing.T) {
	for what, lie := range map[string]func(s *sealer, data IndexEntry){
		"a chunk that begins no segment": func(s *sealer, data IndexEntry) { s.index[6] = data },
		"number":                         func(s *sealer, _ IndexEntry) { s.index[6].Seq++ },
		"place":                          func(s *sealer, _ IndexEntry) { s.index[6].Offset += 16 },
		"time":                           func(s *sealer, _ IndexEntry) { s.index[6].T-- },
		"chain":                          func(s *sealer, _ IndexEntry) { s.index[6].H[0]++ },
		"one left out":                   func(s *sealer, _ IndexEntry) { s.index = append(s.index[:3:3], s.index[4:]...) },
		"the first left out":             func(s *sealer, _ IndexEntry) { s.index = s.index[1:] },
		"one twice":                      func(s *sealer, _ IndexEntry) { s.index = append(s.index[:7:7], s.index[6:]...) },
		"out of order":                   func(s *sealer, _ IndexEntry) { s.index[3], s.index[8] = s.index[8], s.index[3] },
		"none":                           func(s *sealer, _ IndexEntry) { s.index = nil },
		"stride":                         func(s *sealer, _ IndexEntry) { s.stride = 2 },
		"chunks":                         func(s *sealer, _ IndexEntry) { s.totals.Chunks++ },
		"segments":                       func(s *sealer, _ IndexEntry) { s.totals.Segments-- },
		"statements":                     func(s *sealer, _ IndexEntry) { s.totals.Statements-- },
	} {
		p := laned(t, 0)
		lie(p.s, dataChunk(t, p))
		file := p.close("exit")
		if _, err := alike(t, what, file, VerifyOptions{Key: pub(p.key)}); RuleOf(err) != RuleClose {
			t.Errorf("%s: got %v, want a close fault", what, err)
		}
		if holdsInLanes(t, file, VerifyOptions{}) {
			t.Errorf("%s: lanes believed it", what)
		}
	}
}

// dataChunk gives a true entry for the second chunk of the seventh segment.
func dataChunk(t *testing.T, p *testPart) IndexEntry {
	t.Helper()
	sc, err := newScanner("x", bytes.NewReader(p.file), int64(len(p.file)))
	if err != nil {
		t.Fatal(err)
	}
	for {
		c, err := sc.next()
		if err != nil {
			t.Fatal(err)
		}
		if sc.totals.Segments == 7 && c.Type == ChunkData {
			return IndexEntry{Seq: c.Seq, Offset: uint64(c.Offset), T: c.T, H: c.Before}
		}
	}
}

func TestTimeMayNotFallBetweenLanes(t *testing.T) {
	for falls := 1; falls < lanedSegments; falls++ {
		p := laned(t, falls)
		if _, err := alike(t, "time", p.close("exit"), VerifyOptions{Key: pub(p.key)}); RuleOf(err) != RuleTime {
			t.Errorf("at segment %d: got %v, want a time fault", falls, err)
		}
	}
}

// A close that stands in the middle, just where a lane begins.
func TestNothingFollowsACloseBetweenLanes(t *testing.T) {
	p := laned(t, 0)
	s := p.s
	body, err := encMode.Marshal(CloseRecord{V: Version, Session: s.hdr.Session, Part: s.hdr.Part, Reason: "exit", Seq: s.seq + 1, T: p.t,
		Head: s.h, Totals: s.totals, Stride: s.stride, Index: s.index})
	if err != nil {
		t.Fatal(err)
	}
	p.file = s.clear(p.w, p.file, ChunkClose, p.t, lp(lp(nil, body), signClose(p.key, body)))
	p.newSegment()
	for range 300 {
		p.out(1, "more")
		p.flush()
	}
	if _, err := alike(t, "two closes", p.close("exit"), VerifyOptions{Key: pub(p.key)}); RuleOf(err) != RuleTrailer {
		t.Errorf("got %v, want a trailer fault", err)
	}
}

func TestWithAKeyThereAreNoLanes(t *testing.T) {
	p := laned(t, 0)
	p.s.totals.Out++
	if _, err := alike(t, "totals", p.close("exit"), p.all()); RuleOf(err) != RuleTotals {
		t.Errorf("got %v, want a totals fault", err)
	}
}

// Without a key to read with, a changed byte of a sealed chunk shows at the close; its signed index says in which segment it is.
func TestTheCloseSaysInWhichSegmentAByteWasChanged(t *testing.T) {
	p := laned(t, 0)
	file := p.close("exit")
	sc, err := newScanner("x", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	index := sc.peekClose().Index
	for i := 2; i < len(index)-1; i++ {
		from, to := int64(index[i].Offset), int64(index[i+1].Offset)
		bad := bytes.Clone(file)
		bad[from+chunkHeaderLen+20] ^= 1
		for _, c := range []struct {
			what     string
			opt      VerifyOptions
			from, to int64
		}{{"with the record key", VerifyOptions{Key: pub(p.key), H0: &sc.h0}, from, to}, {"without it", VerifyOptions{H0: &sc.h0}, sc.off, int64(len(file)) - trailerLen}} {
			_, err := alike(t, c.what, bad, c.opt)
			var f *Fault
			if !errors.As(err, &f) || f.Rule != RuleClose || f.Offset != c.from || f.Offset+f.Length != c.to {
				t.Errorf("segment %d, %s: got %v, want bytes %d to %d", i, c.what, err, c.from, c.to)
			}
		}
	}
}
