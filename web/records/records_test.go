package records

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// houseEvidence is the evidence of a house.
type houseEvidence struct {
	*bundletest.House
	passes  map[uint64][]byte
	decided *uint64
}

func (h *houseEvidence) export(s store.Session, ps []store.Part) bundle.Export {
	e := bundle.Export{Session: s.ID, Dir: h.Recordings(), HostKey: h.Host.Marshal(), Policy: [][]byte{[]byte(bundletest.Policy)}, Decided: h.decided}
	for _, p := range ps {
		e.Parts = append(e.Parts, bundle.Part{Open: *p.OpenLeaf, End: p.CloseLeaf, Pass: p.Pass, Asker: p.Asker, Passes: h.passes, Started: p.Started})
	}
	return e
}

func (h *houseEvidence) options() bundle.Options {
	return bundle.Options{LogKey: h.LogKey, Identities: []age.Identity{h.Reader}}
}

func (h *houseEvidence) Bundle(ctx context.Context, w io.Writer, s store.Session, ps []store.Part) error {
	return bundle.Write(ctx, w, bundletest.Access{Service: h.Signer}, h.export(s, ps))
}

func (h *houseEvidence) Inspect(ctx context.Context, s store.Session, ps []store.Part) (*bundle.Report, error) {
	return bundle.Inspect(ctx, bundletest.Access{Service: h.Signer}, h.export(s, ps), h.options())
}

func (h *houseEvidence) Outline(ctx context.Context, s store.Session, ps []store.Part) (*bundle.Outlined, error) {
	return bundle.Outline(ctx, bundletest.Access{Service: h.Signer}, h.export(s, ps), h.options())
}

// recorded is one session of a real recorder, announced in a real log, with the rows that a gateway keeps of it.
type recorded struct {
	*Records
	house   *houseEvidence
	session store.Session
	parts   []store.Part
	middle  recorder.Closed // how far it was before the password
}

func record(t *testing.T) *recorded {
	t.Helper()
	h := &houseEvidence{House: bundletest.New(t)}
	a, err := archive.Open(archive.Config{Dir: h.Recordings(), Identity: []age.Identity{h.Reader}})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorded{Records: &Records{Archive: a, Evidence: h}, house: h}
	now := time.Now().Add(-h.Ago)
	r.session = store.Session{ID: id.NewSession(), Device: "press-1", DeviceFP: wire.Fingerprint(h.Host), Principal: id.Principal{Issuer: "https://idp.test", Subject: "tess"},
		PrincipalName: "tess", Login: "svc", Action: "shell:svc", PTY: true, State: store.Closed, Asked: now, Started: now, Purpose: "noise",
		ViaToken: "tess", ClientAddr: "192.0.2.7", EndReason: "exit", Record: store.RecordComplete}
	r.write(t)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// append adds a leaf.
func (r *recorded) append(t *testing.T, typ string, body []byte, err error, ref ...uint64) *uint64 {
	t.Helper()
	must(t, err)
	got, err := r.house.Signer.Append(t.Context(), signer.AppendRequest{Type: typ, Ref: ref, Body: body})
	must(t, err)
	return &got.Index
}

// write records a session: a prompt, a command typed in the open, its output, a password. Meanwhile a second channel
// shows something.
func (r *recorded) write(t *testing.T) {
	t.Helper()
	ctx, h, s := t.Context(), r.house, &r.session
	decided, err := ledger.EventBody{By: s.Principal.String(), AtMS: s.Asked.UnixMilli(), Fields: map[string]string{"subject": s.ID.String(), "phase": "done",
		"device": string(s.Device), "action": s.Action, "via": "token tess", "address": s.ClientAddr}}.Marshal()
	h.decided = r.append(t, "decided", decided, err)
	rec, err := h.Node.Create(ctx, recorder.PartConfig{Session: s.ID, DeviceFP: s.DeviceFP})
	must(t, err)
	o := h.Open(bundletest.Ran{SID: s.ID}, rec, 0)
	s.Until = o.Until
	part := store.Part{Session: s.ID, H0: rec.H0(), Started: rec.Started(), State: store.RecordComplete, OpenLeaf: &o.Index, Pass: o.Pass, Asker: o.Asker}
	body, err := ledger.ParseOpenBody(o.Body)
	must(t, err)
	part.Retain = time.Unix(body.RetainUntil, 0)
	h.Start(rec)
	must(t, rec.Output(ctx, 1, format.StreamOut, []byte("\x1b[1m$\x1b[0m ")))
	must(t, rec.Input(ctx, 1, 0, []byte("id\r")))
	rec.Verdict(1, 0, 3, false)
	must(t, rec.Start(2, 0, 0, "channel 2 as svc; no terminal; no environment; command: uptime"))
	must(t, rec.Output(ctx, 2, format.StreamOut, []byte("up 3 days\n")))
	must(t, rec.Output(ctx, 1, format.StreamOut, []byte("id\r\nuid=0(root)\r\nPassword: ")))
	r.middle = rec.Progress()
	r.progress(t, o.Index, r.middle.Seq, r.middle.HFinal)
	must(t, rec.Input(ctx, 1, 0, []byte("hunter2\r")))
	rec.Verdict(1, 3, 8, true)
	closed, err := rec.Close(ctx, "exit")
	must(t, err)
	part.HFinal, part.Seq, part.Bytes = closed.HFinal, closed.Seq, closed.Bytes
	part.Ended = time.UnixMilli(s.Asked.UnixMilli() + 1000)
	s.Ended = part.Ended
	end, err := ledger.CloseBody{Session: s.ID, Open: o.Index, HFinal: closed.HFinal, Seq: closed.Seq, Bytes: closed.Bytes, Reason: "exit", AtMS: part.Ended.UnixMilli()}.Marshal()
	part.CloseLeaf = r.append(t, "close", end, err, o.Index)
	r.parts = []store.Part{part}
}

// progress has the log say how far the recording is.
func (r *recorded) progress(t *testing.T, open uint64, seq uint32, h [32]byte) {
	t.Helper()
	body, err := ledger.ProgressBody{Session: r.session.ID, Open: open, Seq: seq, H: h, AtMS: 1}.Marshal()
	r.append(t, "progress", body, err, open)
}

func (r *recorded) progressBody(t *testing.T, open uint64, seq uint32) []byte {
	t.Helper()
	body, err := ledger.ProgressBody{Session: r.session.ID, Open: open, Seq: seq, H: r.middle.HFinal, AtMS: 1}.Marshal()
	must(t, err)
	return body
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
