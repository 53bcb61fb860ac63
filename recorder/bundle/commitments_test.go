package bundle

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// commitment is a row of the table "What the log commits to" in docs/recording-format.md.
type commitment struct {
	types []string
	field string
	rules []string // by mode: a rule, or why there is none
}

func commitments(t *testing.T) (out []commitment) {
	t.Helper()
	text := string(must(os.ReadFile("../../docs/recording-format.md"))(t))
	_, text, _ = strings.Cut(text, "### What the log commits to\n")
	_, text, found := strings.Cut(text, "|---|---|---|---|---|---|\n")
	if !found {
		t.Fatal("docs/recording-format.md has no table of what the log commits to")
	}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(line, "|\n "), "|")
		if len(cells) != 2+len(ways) {
			break
		}
		c := commitment{field: strings.Trim(cells[1], " `")}
		for typ := range strings.FieldsSeq(cells[0]) {
			c.types = append(c.types, strings.Trim(typ, "`"))
		}
		for _, cell := range cells[2:] {
			c.rules = append(c.rules, strings.TrimSpace(cell))
		}
		out = append(out, c)
	}
	return out
}

// bodies are the bodies of the leaf types with a form of body of their own. The body of every other type is an event.
var bodies = map[string]reflect.Type{
	"open": reflect.TypeFor[ledger.OpenBody](), "close": reflect.TypeFor[ledger.CloseBody](),
	"interrupted": reflect.TypeFor[ledger.CloseBody](), "pass": reflect.TypeFor[ledger.PassBody](),
	"progress": reflect.TypeFor[ledger.ProgressBody](),
}

// TestTheTableOfCommitmentsHasEveryValueOfEveryLeaf: a new leaf type or a new value needs a row, and so a check.
func TestTheTableOfCommitmentsHasEveryValueOfEveryLeaf(t *testing.T) {
	said := map[string][]string{}
	for _, c := range commitments(t) {
		for _, typ := range c.types {
			if !slices.Contains(ledger.Types, typ) {
				t.Errorf("the table has the type %q, which does not exist", typ)
			}
			said[typ] = append(said[typ], c.field)
		}
	}
	for _, typ := range ledger.Types {
		body := bodies[typ]
		if body == nil {
			body = reflect.TypeFor[ledger.EventBody]()
		}
		var want []string
		for f := range body.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("cbor"), ",")
			want = append(want, name)
		}
		if !slices.Equal(said[typ], want) {
			t.Errorf("%s: the table has the values %q, want %q", typ, said[typ], want)
		}
	}
}

// ways are the ways to verify a forged session. path is that of the container in which something is forged.
var ways = []struct {
	name   string
	verify func(t *testing.T, h *house, raw []byte, path string) error
}{
	{"bundle", func(t *testing.T, h *house, raw []byte, _ string) error {
		_, err := check(t, raw, Options{LogKey: h.LogKey})
		return err
	}},
	{"--log", func(_ *testing.T, h *house, _ []byte, _ string) error {
		_, err := h.census(Options{LogDir: h.LogDir()})
		return err
	}},
	{"--recordings", func(_ *testing.T, h *house, _ []byte, _ string) error {
		_, err := h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()})
		return err
	}},
	{"recording alone", func(t *testing.T, h *house, _ []byte, path string) error {
		if _, err := os.Stat(path); err != nil {
			return nil
		}
		_, err := VerifyRecording(t.Context(), path, Options{LogKey: h.LogKey, LogDir: h.LogDir()})
		return err
	}},
}

func opens(change func(b *ledger.OpenBody)) func(*forged) { return func(f *forged) { f.open = change } }

func closes(change func(b *ledger.CloseBody)) func(*forged) {
	return func(f *forged) { f.end = change }
}

// announcesPass announces a further pass with the given change. The bundle lacks the pass.
func announcesPass(change func(b *ledger.PassBody)) func(*forged) {
	return func(f *forged) {
		f.events = append(f.events, forgedEvent{"pass", []int{0}, func(at uint64, open ledger.OpenBody) any {
			b := ledger.PassBody{Session: open.Session, Part: open.Part, Open: at, N: 1, Pass: [32]byte{9}, Prev: open.Pass,
				AtMS: f.hdr.T0 / 1e6}
			change(&b)
			return b
		}})
	}
}

// tellsProgress adds a progress leaf about the beginning of the recording, with the given change.
func tellsProgress(change func(b *ledger.ProgressBody)) func(*forged) {
	return func(f *forged) {
		f.events = append(f.events, forgedEvent{"progress", []int{0}, func(at uint64, open ledger.OpenBody) any {
			b := ledger.ProgressBody{Session: open.Session, Part: open.Part, Open: at, H: open.H0, AtMS: f.hdr.T0 / 1e6}
			change(&b)
			return b
		}})
	}
}

// lies has a false value for each row of the table.
var lies = map[string]func(f *forged){
	"open session":     opens(func(b *ledger.OpenBody) { b.Session[0] ^= 1 }),
	"open part":        opens(func(b *ledger.OpenBody) { b.Part++ }),
	"open device_fp":   opens(func(b *ledger.OpenBody) { b.DeviceFP[0] ^= 1 }),
	"open h0":          opens(func(b *ledger.OpenBody) { b.H0[0] ^= 1 }),
	"open pass":        opens(func(b *ledger.OpenBody) { b.Pass[0] ^= 1 }),
	"open slot_rk":     opens(func(b *ledger.OpenBody) { b.SlotRK[0] ^= 1 }),
	"open slot_sk":     opens(func(b *ledger.OpenBody) { b.SlotSK[0] ^= 1 }),
	"open gateway_key": opens(func(b *ledger.OpenBody) { b.GatewayKey[0] ^= 1 }),
	"open gateway_pub": opens(func(b *ledger.OpenBody) {
		b.GatewayPub = slices.Clone(b.GatewayPub)
		b.GatewayPub[0] ^= 1
	}),
	"open retain_until": func(f *forged) {
		f.gone = true
		f.open = func(b *ledger.OpenBody) { b.RetainUntil += 1000 }
		f.events = []forgedEvent{{"shredded", []int{0}, func(uint64, ledger.OpenBody) any {
			return ledger.EventBody{AtMS: f.hdr.T0/1e6 + 1, Fields: map[string]string{"phase": "done"}}
		}}}
	},
	"open asker":     opens(func(b *ledger.OpenBody) { b.Asker[0] ^= 1 }),
	"open prev_open": func(f *forged) { f.openRef = []uint64{0} },

	"close session":         closes(func(b *ledger.CloseBody) { b.Session[0] ^= 1 }),
	"close part":            closes(func(b *ledger.CloseBody) { b.Part++ }),
	"close open":            closes(func(b *ledger.CloseBody) { b.Open-- }),
	"close h_final":         closes(func(b *ledger.CloseBody) { b.HFinal[0] ^= 1 }),
	"close seq":             closes(func(b *ledger.CloseBody) { b.Seq++ }),
	"close bytes":           closes(func(b *ledger.CloseBody) { b.Bytes++ }),
	"close gaps":            closes(func(b *ledger.CloseBody) { b.Gaps++ }),
	"close reason":          closes(func(b *ledger.CloseBody) { b.Reason = "killed" }),
	"close final_statement": closes(func(b *ledger.CloseBody) { b.Final[31] = 1 }),

	"pass session": announcesPass(func(b *ledger.PassBody) { b.Session[0] ^= 1 }),
	"pass part":    announcesPass(func(b *ledger.PassBody) { b.Part++ }),
	"pass open":    announcesPass(func(b *ledger.PassBody) { b.Open-- }),
	"pass n":       announcesPass(func(b *ledger.PassBody) { b.N++ }),
	"pass prev":    announcesPass(func(b *ledger.PassBody) { b.Prev[0] ^= 1 }),
	"pass pass": func(f *forged) {
		announcesPass(func(*ledger.PassBody) {})(f)
		f.passes = map[int][]byte{0: []byte("another pass")}
	},

	"granted fields": func(f *forged) {
		f.events = append(f.events, forgedEvent{"granted", nil, func(uint64, ledger.OpenBody) any {
			return ledger.EventBody{Fields: map[string]string{"terms": "x"}}
		}})
	},

	"progress session": tellsProgress(func(b *ledger.ProgressBody) { b.Session[0] ^= 1 }),
	"progress part":    tellsProgress(func(b *ledger.ProgressBody) { b.Part++ }),
	"progress open":    tellsProgress(func(b *ledger.ProgressBody) { b.Open-- }),
	"progress h":       tellsProgress(func(b *ledger.ProgressBody) { b.H[0] ^= 1 }),
	"progress seq":     tellsProgress(func(b *ledger.ProgressBody) { b.Seq++ }),
}

// TestEveryCommitmentIsCheckedInEveryModeThatSeesItsObject forges each value with the log's key.
func TestEveryCommitmentIsCheckedInEveryModeThatSeesItsObject(t *testing.T) {
	for _, c := range commitments(t) {
		lie := lies[c.types[0]+" "+c.field]
		if lie == nil {
			for i, rule := range c.rules {
				if rule != "a claim" {
					t.Errorf("%s %s, %s: the table has %s, and no test forges it", c.types[0], c.field, ways[i].name, rule)
				}
			}
			continue
		}
		parts := []func(*forged){lie}
		if c.field == "prev_open" {
			parts = []func(*forged){nil, lie}
		}
		heldTo(t, c, parts...)
	}
}

// heldTo forges a session whose last part has the false value, and expects in each mode the result in the table.
func heldTo(t *testing.T, c commitment, parts ...func(*forged)) {
	t.Helper()
	h := newHouse(t)
	raw, ran := h.forge(parts...)
	n := len(parts) - 1
	path := filepath.Join(h.Recordings(), format.Place(ran.SID, uint32(n), ran.Parts[n].Started))
	for i, mode := range ways {
		what := c.types[0] + " " + c.field + ", " + mode.name
		if err := mode.verify(t, h, raw, path); strings.HasPrefix(c.rules[i], "`") {
			wantRule(t, what, err, strings.Trim(c.rules[i], "`"))
		} else if err != nil {
			t.Errorf("%s: got %v, the table says that it is %s", what, err, c.rules[i])
		}
	}
}

func otherLog(f *forged) { f.hdr.LogOrigin = "other/log" }

// TestARecordingThatNamesAnotherLogIsFound, but in version 1: earlier gateways took the name from their own
// configuration, which the signer's could contradict.
func TestARecordingThatNamesAnotherLogIsFound(t *testing.T) {
	for version, rule := range map[uint64]string{format.Version1: "", format.Version2: format.RuleHeader} {
		h := newHouse(t)
		raw, _ := h.forge(func(f *forged) { otherLog(f); f.hdr.V = version })
		b, c := h.verdicts(raw)
		if format.RuleOf(b) != rule || format.RuleOf(c) != rule {
			t.Errorf("version %d: got %v and %v, want rule %q", version, b, c, rule)
		}
	}
}

// TestAFurtherPartIsHeldToThePartBefore in every mode.
func TestAFurtherPartIsHeldToThePartBefore(t *testing.T) {
	rules := func(rules ...string) (out []string) {
		for _, r := range rules {
			if out = append(out, r); r != "" {
				out[len(out)-1] = "`" + r + "`"
			}
		}
		return out
	}
	for _, c := range []struct {
		what  string
		rules []string
		lie   func(*forged)
	}{
		{"another session", rules("leaf", "leaf", "leaf", "leaf"), opens(func(b *ledger.OpenBody) { b.Session[0] ^= 1 })},
		{"a number left out", rules("leaf", "leaf", "leaf", "leaf"), opens(func(b *ledger.OpenBody) { b.Part++ })},
		{"another device", rules("pass", "leaf", "leaf", "leaf"), opens(func(b *ledger.OpenBody) { b.DeviceFP[0] ^= 1 })},
		{"another state before", rules("header", "", "header", "header"),
			func(f *forged) { f.hdr.PrevHead[0] ^= 1 }},
		{"another log's name", rules("header", "", "header", "header"), otherLog},
	} {
		heldTo(t, commitment{types: []string{c.what}, rules: c.rules}, nil, c.lie)
	}
}

// TestTheEndOfACutPartIsHeldToTheSame, but for what only a close record says.
func TestTheEndOfACutPartIsHeldToTheSame(t *testing.T) {
	for _, c := range commitments(t) {
		lie := lies[c.types[0]+" "+c.field]
		if c.types[0] != "close" || lie == nil {
			continue
		}
		c.types = []string{"interrupted"}
		if c.field == "gaps" || c.field == "reason" {
			c.rules = []string{"a claim", "a claim", "a claim", "a claim"}
		}
		heldTo(t, c, func(f *forged) { f.cut = true; lie(f) })
	}
	none := commitment{types: []string{"interrupted"}, field: "bytes", rules: []string{"`end`", "`end`", "`end`", "`end`"}}
	heldTo(t, none, func(f *forged) { f.cut = true; f.end = func(b *ledger.CloseBody) { b.Bytes = -1 } })
}
