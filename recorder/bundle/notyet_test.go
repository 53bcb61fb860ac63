package bundle

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// TestAnExportBetweenTheCloseAndItsLeafShowsARunningSession takes a bundle, and checks the recording alone, at each
// step of a session's end: none of them may read as tampering.
func TestAnExportBetweenTheCloseAndItsLeafShowsARunningSession(t *testing.T) {
	h := newHouse(t)
	ran := bundletest.Ran{SID: id.NewSession()}
	rec := must(h.Node.Create(t.Context(),
		recorder.PartConfig{Session: ran.SID, DeviceFP: wire.Fingerprint(h.Host)}))(t)
	o := h.Open(ran, rec, 0)
	ran.Parts = []bundletest.Part{{Open: o.Index, Pass: o.Pass, Started: rec.Started()}}
	h.Start(rec)
	if err := rec.Output(t.Context(), 1, 1, []byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	holds := func(when, want string) {
		t.Helper()
		rep, err := check(t, h.export(ran), Options{LogKey: h.LogKey, Identities: h.both()})
		if err != nil || !strings.Contains(text(rep), want) {
			t.Errorf("%s: got %v, want %q in\n%s", when, err, want, text(rep))
		}
		path := h.Find(format.FileName(ran.SID, 0))
		if _, err := VerifyRecording(t.Context(), path, Options{LogKey: h.LogKey, LogDir: h.LogDir()}); err != nil {
			t.Errorf("%s: the recording alone: %v", when, err)
		}
	}
	holds("while it runs", "no end in the log")
	closed := must(rec.Close(t.Context(), "exit"))(t)
	holds("closed, and the log does not know it", "no end in the log")
	body := must(ledger.CloseBody{Session: ran.SID, Open: o.Index, HFinal: closed.HFinal, Seq: closed.Seq,
		Bytes: closed.Bytes, Reason: "exit", AtMS: 1}.Marshal())(t)
	must(h.Signer.Append(t.Context(), signer.AppendRequest{Type: "close", Ref: []uint64{o.Index}, Body: body}))(t)
	holds("once the log knows it", "closed as entry")
}

// TestNoReadingOfASessionThatEndsFindsAFault checks sessions again and again while they end.
func TestNoReadingOfASessionThatEndsFindsAFault(t *testing.T) {
	h := newHouse(t)
	for range 15 {
		ran := bundletest.Ran{SID: id.NewSession()}
		rec := must(h.Node.Create(t.Context(),
			recorder.PartConfig{Session: ran.SID, DeviceFP: wire.Fingerprint(h.Host)}))(t)
		o := h.Open(ran, rec, 0)
		ran.Parts = []bundletest.Part{{Open: o.Index, Pass: o.Pass, Started: rec.Started()}}
		h.Start(rec)
		path, done := h.Find(format.FileName(ran.SID, 0)), make(chan struct{})
		var reading sync.WaitGroup
		for _, look := range []func() error{
			func() error {
				_, err := check(t, h.export(ran), Options{LogKey: h.LogKey, Identities: h.both()})
				return err
			},
			func() error {
				_, err := VerifyRecording(t.Context(), path, Options{LogKey: h.LogKey, LogDir: h.LogDir()})
				return err
			},
			func() error {
				_, err := h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()})
				return err
			},
		} {
			reading.Go(func() { again(t, done, look) })
		}
		for range 20 {
			if err := rec.Output(t.Context(), 1, 1, []byte("hello\n")); err != nil {
				t.Fatal(err)
			}
		}
		closed := must(rec.Close(t.Context(), "exit"))(t)
		body := must(ledger.CloseBody{Session: ran.SID, Open: o.Index, HFinal: closed.HFinal, Seq: closed.Seq,
			Bytes: closed.Bytes, Reason: "exit", AtMS: time.Now().Add(-h.Ago).UnixMilli()}.Marshal())(t)
		must(h.Signer.Append(t.Context(), signer.AppendRequest{Type: "close", Ref: []uint64{o.Index}, Body: body}))(t)
		close(done)
		reading.Wait()
	}
}

// again looks once more after done.
func again(t *testing.T, done chan struct{}, look func() error) {
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		if err := look(); err != nil {
			t.Error(err)
			return
		}
	}
}
