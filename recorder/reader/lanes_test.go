package reader

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/scan"
	"github.com/sallyport/sallyport/recorder/seal"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

const lanedSegments = 12

// laned is a part of some segments with some of everything in each. The time falls where the segment begins that is
// named.
func laned(tb testing.TB, falls int) *sealtest.Part {
	p := sealtest.New(tb, sealtest.Header())
	rnd := rand.New(rand.NewPCG(5, 5))
	for i := range lanedSegments {
		p.NewSegment()
		if i == falls {
			p.T -= min(p.T, 2_500_000)
		}
		for range 4 + i%3 {
			p.Pass(20_000)
			at := p.In(1, 1, "k")
			p.Flush()
			p.Out(1, strings.Repeat(fmt.Sprint(rnd.Uint64()), 1+i%2))
			p.Reveal(1, 1, at, "k")
			p.Event(seal.KindStatement, format.AppendLP(format.AppendLP(nil, []byte("body")), []byte("sig")))
			p.Flush()
		}
		p.Pass(2_000_000)
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
	file := p.Close("exit")
	var heads []Head
	sc, err := scan.New("x", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for c, err := sc.Next(); err == nil; c, err = sc.Next() {
		heads = append(heads, Head{c.Seq, c.After})
	}
	opt := VerifyOptions{Key: sealtest.Public(p.Key), H0: &sc.H0, HFinal: &sc.H, Heads: heads}
	if !holdsInLanes(t, file, opt) {
		t.Fatal("a good part was not verified in lanes")
	}
	if _, err := alike(t, "good", file, opt); err != nil {
		t.Fatal(err)
	}
	for i := range heads {
		opt.Heads = oneOff(heads, i)
		if _, err := alike(t, fmt.Sprintf("progress %d", i), file, opt); format.RuleOf(err) != format.RuleHead {
			t.Fatalf("progress %d: got %v, want a head fault", i, err)
		}
	}
	opt.Heads = append(heads, Head{heads[len(heads)-1].Seq + 1, sealtest.Filled(1)})
	if _, err := alike(t, "progress beyond the end", file, opt); format.RuleOf(err) != format.RuleHead {
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
	file := p.Close("exit")
	for i := 0; i < len(file); i += 5 {
		file[i] ^= 0x41
		if r, err := alike(t, fmt.Sprintf("byte %d changed", i), file,
			VerifyOptions{Key: sealtest.Public(p.Key)}); err == nil && !cutShort(r) {
			t.Fatalf("byte %d changed: not found", i)
		}
		file[i] ^= 0x41
	}
	for n := len(file) - 1; n > 0; n -= 61 {
		alike(t, fmt.Sprintf("cut to %d", n), file[:n], VerifyOptions{Key: sealtest.Public(p.Key)})
	}
}

// An index that a host lies in, and signs, must not lead a lane past anything.
func TestLanesDoNotBelieveTheIndex(t *testing.T) {
	for what, lie := range map[string]func(s *seal.Sealer, data format.IndexEntry){
		"a chunk that begins no segment": func(s *seal.Sealer, data format.IndexEntry) { s.Index[6] = data },
		"number":                         func(s *seal.Sealer, _ format.IndexEntry) { s.Index[6].Seq++ },
		"place":                          func(s *seal.Sealer, _ format.IndexEntry) { s.Index[6].Offset += 16 },
		"time":                           func(s *seal.Sealer, _ format.IndexEntry) { s.Index[6].T-- },
		"chain":                          func(s *seal.Sealer, _ format.IndexEntry) { s.Index[6].H[0]++ },
		"one left out": func(s *seal.Sealer, _ format.IndexEntry) {
			s.Index = append(s.Index[:3:3], s.Index[4:]...)
		},
		"the first left out": func(s *seal.Sealer, _ format.IndexEntry) { s.Index = s.Index[1:] },
		"one twice": func(s *seal.Sealer, _ format.IndexEntry) {
			s.Index = append(s.Index[:7:7], s.Index[6:]...)
		},
		"out of order": func(s *seal.Sealer, _ format.IndexEntry) {
			s.Index[3], s.Index[8] = s.Index[8], s.Index[3]
		},
		"none":       func(s *seal.Sealer, _ format.IndexEntry) { s.Index = nil },
		"stride":     func(s *seal.Sealer, _ format.IndexEntry) { s.Stride = 2 },
		"chunks":     func(s *seal.Sealer, _ format.IndexEntry) { s.Totals.Chunks++ },
		"segments":   func(s *seal.Sealer, _ format.IndexEntry) { s.Totals.Segments-- },
		"statements": func(s *seal.Sealer, _ format.IndexEntry) { s.Totals.Statements-- },
	} {
		p := laned(t, 0)
		lie(p.Sealer, dataChunk(t, p))
		file := p.Close("exit")
		if _, err := alike(t, what, file,
			VerifyOptions{Key: sealtest.Public(p.Key)}); format.RuleOf(err) != format.RuleClose {
			t.Errorf("%s: got %v, want a close fault", what, err)
		}
		if holdsInLanes(t, file, VerifyOptions{}) {
			t.Errorf("%s: lanes believed it", what)
		}
	}
}

// dataChunk gives a true entry for the second chunk of the seventh segment.
func dataChunk(t *testing.T, p *sealtest.Part) format.IndexEntry {
	t.Helper()
	sc, err := scan.New("x", bytes.NewReader(p.File), int64(len(p.File)))
	if err != nil {
		t.Fatal(err)
	}
	for {
		c, err := sc.Next()
		if err != nil {
			t.Fatal(err)
		}
		if sc.Totals.Segments == 7 && c.Type == format.ChunkData {
			return format.IndexEntry{Seq: c.Seq, Offset: uint64(c.Offset), T: c.T, H: c.Before}
		}
	}
}

func TestTimeMayNotFallBetweenLanes(t *testing.T) {
	for falls := 1; falls < lanedSegments; falls++ {
		p := laned(t, falls)
		if _, err := alike(t, "time", p.Close("exit"),
			VerifyOptions{Key: sealtest.Public(p.Key)}); format.RuleOf(err) != format.RuleTime {
			t.Errorf("at segment %d: got %v, want a time fault", falls, err)
		}
	}
}

// A close that stands in the middle, just where a lane begins.
func TestNothingFollowsACloseBetweenLanes(t *testing.T) {
	p := laned(t, 0)
	s := p.Sealer
	body, err := format.Encode(format.CloseRecord{V: s.Header.V, Session: s.Header.Session, Part: s.Header.Part,
		Reason: "exit", Seq: s.Seq + 1, T: p.T,
		Head: s.H, Totals: s.Totals, Stride: s.Stride, Index: s.Index})
	if err != nil {
		t.Fatal(err)
	}
	p.File = s.ClearChunk(p.Bench, p.File, format.ChunkClose, p.T,
		format.AppendLP(format.AppendLP(nil, body), format.SignClose(p.Key, body)))
	p.NewSegment()
	for range 300 {
		p.Out(1, "more")
		p.Flush()
	}
	if _, err := alike(t, "two closes", p.Close("exit"),
		VerifyOptions{Key: sealtest.Public(p.Key)}); format.RuleOf(err) != format.RuleTrailer {
		t.Errorf("got %v, want a trailer fault", err)
	}
}

func TestWithAKeyThereAreNoLanes(t *testing.T) {
	p := laned(t, 0)
	p.Sealer.Totals.Out++
	if _, err := alike(t, "totals", p.Close("exit"), allKeys(p)); format.RuleOf(err) != format.RuleTotals {
		t.Errorf("got %v, want a totals fault", err)
	}
}

// Without a key to read with, a changed byte of a sealed chunk shows at the close; its signed index says in which
// segment it is.
func TestTheCloseSaysInWhichSegmentAByteWasChanged(t *testing.T) {
	p := laned(t, 0)
	file := p.Close("exit")
	sc, err := scan.New("x", bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	index := sc.PeekClose().Index
	for i := 2; i < len(index)-1; i++ {
		from, to := int64(index[i].Offset), int64(index[i+1].Offset)
		bad := bytes.Clone(file)
		bad[from+format.ChunkHeaderLen+20] ^= 1
		for _, c := range []struct {
			what     string
			opt      VerifyOptions
			from, to int64
		}{{"with the record key", VerifyOptions{Key: sealtest.Public(p.Key), H0: &sc.H0}, from, to},
			{"without it", VerifyOptions{H0: &sc.H0}, sc.Offset, int64(len(file)) - format.TrailerLen}} {
			_, err := alike(t, c.what, bad, c.opt)
			var f *format.Fault
			if !errors.As(err, &f) || f.Rule != format.RuleClose || f.Offset != c.from || f.Offset+f.Length != c.to {
				t.Errorf("segment %d, %s: got %v, want bytes %d to %d", i, c.what, err, c.from, c.to)
			}
		}
	}
}
