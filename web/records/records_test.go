package records

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/writer"
	"github.com/sallyport/sallyport/web/apitype"
)

// logs reads a real log as the signer would.
type logs struct {
	*ledger.Log
	key string
}

func (l logs) Head(context.Context) ([]byte, error) { return l.Log.Head().Note, nil }
func (l logs) Keys(context.Context) (signer.PublicKeys, error) {
	return signer.PublicKeys{LogKey: l.key}, nil
}
func (l logs) Prove(_ context.Context, index, size uint64) ([]wire.Hash, error) {
	p, err := l.Log.Prove(index, size)
	out := make([]wire.Hash, len(p))
	for i, h := range p {
		out[i] = h
	}
	return out, err
}
func (l logs) Entry(_ context.Context, index uint64) (signer.Entry, error) {
	leaf, nonce, body, err := l.Log.Entry(index)
	return signer.Entry{Leaf: leaf, Nonce: nonce[:], Body: body}, err
}

func (l logs) add(t *testing.T, typ string, body []byte, err error, ref ...uint64) *uint64 {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	got, err := l.Append(t.Context(), ledger.Entry{Leaf: ledger.Leaf{Type: typ, Ref: ref, Commit: ledger.Commit(nonce, body)}, Nonce: nonce, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	return &got.Index
}

// recorded is one session of a real recorder, announced in a real log.
type recorded struct {
	*Records
	dir     string
	log     logs
	session store.Session
	parts   []store.Part
	middle  recorder.Closed // how far it was before the password
}

// progress has the log say how far the recording is.
func (r *recorded) progress(t *testing.T, open uint64, seq uint32, h [32]byte) {
	t.Helper()
	body, err := ledger.ProgressBody{Session: r.session.ID, Open: open, Seq: seq, H: h, AtMS: 1}.Marshal()
	r.log.add(t, "progress", body, err, open)
}

// closeAgain has the log end the recording behind what was said of it meanwhile.
func (r *recorded) closeAgain(t *testing.T) {
	t.Helper()
	body, err := ledger.CloseBody{Session: r.session.ID, Open: *r.parts[0].OpenLeaf, HFinal: r.parts[0].HFinal}.Marshal()
	r.parts[0].CloseLeaf = r.log.add(t, "close", body, err)
}

func record(t *testing.T) *recorded {
	t.Helper()
	reader, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	officer, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, "log.test")
	if err != nil {
		t.Fatal(err)
	}
	ns, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Create(filepath.Join(t.TempDir(), "log"), "log.test", ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &recorded{dir: t.TempDir(), log: logs{l, vkey}, session: store.Session{ID: id.NewSession(), DeviceFP: [32]byte{5}}}
	node, _, err := writer.OpenNode(t.Context(), writer.NodeConfig{Dir: r.dir, Key: key, LogOrigin: "log.test", Readers: []age.Recipient{reader.Recipient()},
		Unsealers: []age.Recipient{officer.Recipient()}, JournalBytes: 4 << 20, VerdictWait: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, node, pub)
	if err := node.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(archive.Config{Dir: r.dir, Identity: []age.Identity{reader}})
	if err != nil {
		t.Fatal(err)
	}
	r.Records = &Records{Archive: a, Log: r.log}
	return r
}

// write records a session: a prompt, a command typed in the open, its output, a password. Meanwhile a second channel
// shows something.
func (r *recorded) write(t *testing.T, node *writer.Node, pub ed25519.PublicKey) {
	t.Helper()
	ctx := t.Context()
	rec, err := node.Create(ctx, recorder.PartConfig{Session: r.session.ID, DeviceFP: r.session.DeviceFP})
	if err != nil {
		t.Fatal(err)
	}
	open, err := ledger.OpenBody{Session: r.session.ID, DeviceFP: r.session.DeviceFP, H0: rec.H0(), SlotRK: rec.SlotRK(), SlotSK: rec.SlotSK(), GatewayPub: pub}.Marshal()
	part := store.Part{Session: r.session.ID, Started: rec.Started(), State: store.RecordComplete}
	part.OpenLeaf = r.log.add(t, "open", open, err)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(rec.Start(1, 0, 0, "a shell"))
	must(rec.Output(ctx, 1, format.StreamOut, []byte("\x1b[1m$\x1b[0m ")))
	must(rec.Input(ctx, 1, 0, []byte("id\r")))
	rec.Verdict(1, 0, 3, false)
	must(rec.Start(2, 0, 0, "channel 2 as svc; no terminal; no environment; command: uptime"))
	must(rec.Output(ctx, 2, format.StreamOut, []byte("up 3 days\n")))
	must(rec.Output(ctx, 1, format.StreamOut, []byte("id\r\nuid=0(root)\r\nPassword: ")))
	r.middle = rec.Progress()
	r.progress(t, *part.OpenLeaf, r.middle.Seq, r.middle.HFinal)
	must(rec.Input(ctx, 1, 0, []byte("hunter2\r")))
	rec.Verdict(1, 3, 8, true)
	closed, err := rec.Close(ctx, "exit")
	must(err)
	body, err := ledger.CloseBody{Session: r.session.ID, Open: *part.OpenLeaf, HFinal: closed.HFinal, Seq: closed.Seq, Bytes: closed.Bytes, Reason: "exit"}.Marshal()
	part.CloseLeaf, part.HFinal = r.log.add(t, "close", body, err), closed.HFinal
	r.parts = []store.Part{part}
}

// countedLog counts the entries that are asked for.
type countedLog struct {
	logs
	entries int
}

func (c *countedLog) Entry(ctx context.Context, index uint64) (signer.Entry, error) {
	c.entries++
	return c.logs.Entry(ctx, index)
}

func TestARecordThatIsVerifiedAgainDoesNotReadTheWholeLogAgain(t *testing.T) {
	r := record(t)
	for range 300 {
		body, err := ledger.EventBody{AtMS: 1}.Marshal()
		r.log.add(t, "viewed", body, err)
	}
	r.closeAgain(t)
	c := &countedLog{logs: r.log}
	r.Records.Log = c
	first, err := r.Verify(t.Context(), r.session, r.parts)
	if err != nil || c.entries < 300 {
		t.Fatalf("got %v after %d entries, want all read", err, c.entries)
	}
	c.entries = 0
	again, err := r.Verify(t.Context(), r.session, r.parts)
	if err != nil || !again.OK || !slices.Equal(first.Checks, again.Checks) {
		t.Errorf("got %v, %v, want the same checks as before, %v", err, again, first)
	}
	if c.entries > 10 {
		t.Errorf("%d entries were read again, want its own few", c.entries)
	}
	for i := range mostPassed + 5 {
		r.passed.keep([2]uint64{uint64(i), 1 << 20}, nil)
	}
	if len(r.passed.all) != mostPassed {
		t.Errorf("%d parts are remembered, want %d at most", len(r.passed.all), mostPassed)
	}
}

func TestAWholeRecordIsProvenCheckByCheck(t *testing.T) {
	r := record(t)
	v, err := r.Verify(t.Context(), r.session, r.parts)
	if err != nil || !v.OK || v.Summary != "Yes." {
		t.Fatalf("got %+v %v, want yes", v, err)
	}
	if !slices.ContainsFunc(v.Checks, func(c apitype.Check) bool { return c.Text == "1 chain states named by progress leaves hold" }) {
		t.Errorf("the log's progress was not compared: %+v", v.Checks)
	}
	levels := map[string]bool{}
	for _, c := range v.Checks {
		levels[c.Level] = true
		if !c.OK {
			t.Errorf("a check failed: %+v", c)
		}
	}
	for _, l := range []string{"A", "B", "log"} {
		if !levels[l] {
			t.Errorf("level %s did not run", l)
		}
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, r *recorded)
		want  string
	}{
		"a changed byte": {func(t *testing.T, r *recorded) {
			path := filepath.Join(r.dir, format.Place(r.session.ID, 0, r.parts[0].Started))
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)/2] ^= 1
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "A"},
		"never announced":                   {func(t *testing.T, r *recorded) { r.parts[0].OpenLeaf = nil }, "no entry of the log"},
		"no close in the log":               {func(t *testing.T, r *recorded) { r.parts[0].CloseLeaf = nil }, "no close"},
		"the close taken for the open leaf": {func(t *testing.T, r *recorded) { r.parts[0].OpenLeaf = r.parts[0].CloseLeaf }, "is of type close"},
		"a leaf beyond the log":             {func(t *testing.T, r *recorded) { n := uint64(99); r.parts[0].CloseLeaf = &n }, "beyond the log"},
		"another session's leaves": {func(t *testing.T, r *recorded) {
			body, err := ledger.OpenBody{Session: id.NewSession(), H0: [32]byte{1}, GatewayPub: make([]byte, 32)}.Marshal()
			r.parts[0].OpenLeaf = r.log.add(t, "open", body, err)
		}, "announces something else"},
		"another state than its progress says": {func(t *testing.T, r *recorded) {
			r.progress(t, *r.parts[0].OpenLeaf, r.middle.Seq-1, r.middle.HFinal)
			r.closeAgain(t)
		}, "progress leaf names"},
		"cut behind its progress": {func(t *testing.T, r *recorded) {
			r.progress(t, *r.parts[0].OpenLeaf, r.middle.Seq+100, r.middle.HFinal)
			r.closeAgain(t)
		}, "the log knows chunk"},
		"the progress of another session": {func(t *testing.T, r *recorded) {
			body, err := ledger.ProgressBody{Session: id.NewSession(), Open: *r.parts[0].OpenLeaf, AtMS: 1}.Marshal()
			r.log.add(t, "progress", body, err, *r.parts[0].OpenLeaf)
			r.closeAgain(t)
		}, "another session or part"},
		"another recording's first hash": {func(t *testing.T, r *recorded) {
			body, err := ledger.OpenBody{Session: r.session.ID, DeviceFP: r.session.DeviceFP, H0: [32]byte{1}, GatewayPub: make([]byte, 32)}.Marshal()
			r.parts[0].OpenLeaf = r.log.add(t, "open", body, err)
			closing, err := ledger.CloseBody{Session: r.session.ID, Open: *r.parts[0].OpenLeaf, HFinal: r.parts[0].HFinal}.Marshal()
			r.parts[0].CloseLeaf = r.log.add(t, "close", closing, err)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			c.spoil(t, r)
			v, err := r.Verify(t.Context(), r.session, r.parts)
			if err != nil || v.OK || !strings.HasPrefix(v.Summary, "No: ") {
				t.Fatalf("got %+v %v, want no", v, err)
			}
			last := v.Checks[len(v.Checks)-1]
			if last.OK || !strings.Contains(last.Level+" "+last.Text, c.want) {
				t.Errorf("the last check is %+v, want one that failed and says %q", last, c.want)
			}
		})
	}
}

func TestARecordThatIsNotThereSaysSo(t *testing.T) {
	r := record(t)
	if err := os.Remove(filepath.Join(r.dir, format.Place(r.session.ID, 0, r.parts[0].Started))); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(t.Context(), r.session, r.parts); errkind.KindOf(err) != errkind.NotFound {
		t.Errorf("got %v, want not found", err)
	}
}

func TestTheArchiveShowsWhatWasShownAndSealsWhatWasHidden(t *testing.T) {
	r := record(t)
	var shown, typed, index, segment, cast bytes.Buffer
	ctx := t.Context()
	for name, err := range map[string]error{
		"transcript": r.Transcript(ctx, r.session, r.parts, 0, &shown), "input": r.Input(ctx, r.session, r.parts, 0, &typed),
		"index":   r.ReplayIndex(ctx, r.session, r.parts, 0, 2*time.Second, &index),
		"segment": r.ReplaySegment(ctx, r.session, r.parts, 0, 0, 2*time.Second, 0, &segment), "cast": r.Cast(ctx, r.session, r.parts, 0, 2, &cast),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := shown.String(); got != "$ id\nuid=0(root)\nPassword: " {
		t.Errorf("transcript: got %q", got)
	}
	if got := typed.String(); !strings.Contains(got, "id") || !strings.Contains(got, "[hidden]") {
		t.Errorf("input: got %q, want id and [hidden]", got)
	}
	var x struct{ Segments []struct{ URL string } }
	if err := json.Unmarshal(index.Bytes(), &x); err != nil || len(x.Segments) != 1 || !strings.HasPrefix(x.Segments[0].URL, "0.json?") || !strings.Contains(x.Segments[0].URL, "idle=2") {
		t.Errorf("index: got %s, want one segment whose address carries the pause", index.Bytes())
	}
	line, err := r.Timeline(ctx, r.session, r.parts)
	if err != nil {
		t.Fatal(err)
	}
	sealed := false
	for _, k := range line.Input {
		sealed = sealed || k.Sealed && k.Bytes == 8
	}
	if !sealed || !line.Whole {
		t.Errorf("timeline: got %+v, want a sealed stretch of 8 bytes in a whole record", line)
	}
	raw, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"transcript": shown.String(), "input": typed.String(), "segment": segment.String(), "cast": cast.String(), "timeline": string(raw)} {
		if strings.Contains(text, "hunter") {
			t.Errorf("the password stands in the %s", name)
		}
	}
}

func TestASecondChannelIsReadByItself(t *testing.T) {
	r := record(t)
	var shown, typed, index, segment, cast bytes.Buffer
	ctx := t.Context()
	for name, err := range map[string]error{
		"transcript": r.Transcript(ctx, r.session, r.parts, 2, &shown), "input": r.Input(ctx, r.session, r.parts, 2, &typed),
		"index":   r.ReplayIndex(ctx, r.session, r.parts, 2, 0, &index),
		"segment": r.ReplaySegment(ctx, r.session, r.parts, 2, 0, 0, 0, &segment), "cast": r.Cast(ctx, r.session, r.parts, 2, 2, &cast),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if shown.String() != "up 3 days\n" || typed.Len() > 0 {
		t.Errorf("got %q shown and %q typed", shown.String(), typed.String())
	}
	for name, text := range map[string]string{"segment": segment.String(), "cast": cast.String()} {
		if !strings.Contains(text, "up 3 days") || strings.Contains(text, "uid=0") {
			t.Errorf("%s: got %s, want the second channel alone", name, text)
		}
	}
	if !strings.Contains(index.String(), "channel=2") {
		t.Errorf("index: got %s, want segments of the second channel", index.String())
	}
	line, err := r.Timeline(ctx, r.session, r.parts)
	if err != nil || len(line.Channels) != 2 || line.Channels[1].Command != "uptime" {
		t.Errorf("timeline: got %+v, %v", line.Channels, err)
	}
	if err := r.Transcript(ctx, r.session, r.parts, 3, &shown); errkind.KindOf(err) != errkind.NotFound {
		t.Errorf("channel 3: got %v, want not found", err)
	}
}

func TestWithoutABundlerThereIsNoExport(t *testing.T) {
	r := record(t)
	var out bytes.Buffer
	if err := r.Export(t.Context(), r.session, r.parts, &out); errkind.KindOf(err) != errkind.Unavailable || out.Len() != 0 {
		t.Errorf("got %v and %d bytes, want unavailable and none", err, out.Len())
	}
}
