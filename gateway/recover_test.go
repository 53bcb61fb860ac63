package gateway_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/writer"
)

// farBack is a number of entries for which Entries must be called many times.
const farBack = 12_000

// growLog appends entries that belong to no session.
func (h *house) growLog(n int) {
	h.t.Helper()
	body := must(ledger.EventBody{By: "test", AtMS: time.Now().UnixMilli()}.Marshal())(h.t)
	const writers = 300 // they share the log's syncs
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range n / writers {
				if _, err := h.signer.Append(h.t.Context(), signer.AppendRequest{Type: "viewed", Body: body}); err != nil {
					h.t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// crash copies the recordings as a crash at this moment would leave them, and opens the copy as the next process would.
func (h *house) crash() (*writer.Node, recorder.Interrupted) {
	h.t.Helper()
	dir := h.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(h.dir, "rec"))); err != nil {
		h.t.Fatal(err)
	}
	node, cut, err := writer.OpenNode(context.Background(), writer.NodeConfig{Dir: dir, Key: h.key,
		LogOrigin: "test/log", Readers: []age.Recipient{h.reader.Recipient()},
		Unsealers: []age.Recipient{h.unseal.Recipient()}, JournalBytes: 8 << 20, Ballast: 1 << 20, LowWater: 1 << 20})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { node.Close(context.Background()) })
	if len(cut) != 1 {
		h.t.Fatalf("got %+v, want the one session", cut)
	}
	return node, cut[0]
}

// recovers starts the next process on the recordings of node.
func (h *house) recovers(node *writer.Node, cut ...recorder.Interrupted) {
	h.t.Helper()
	b := h.newBrokerWith(func(c *gateway.Config) { c.Recorder = node })
	if err := b.Recover(context.Background(), cut, node.Settled); err != nil {
		h.t.Fatal(err)
	}
}

// forgetOpen takes the open leaf out of a part's row, as if the process had died before it stored the signer's answer.
func (h *house) forgetOpen(sid id.Session) (open uint64) {
	h.t.Helper()
	must(h.db.ChangePart(context.Background(), sid, 0, func(p *store.Part) error {
		open, p.OpenLeaf, p.Retain = *p.OpenLeaf, nil, time.Time{}
		return nil
	}))(h.t)
	return open
}

// told is what a part says about its leaves and its end.
func told(p store.Part) string {
	leaf := func(i *uint64) string {
		if i == nil {
			return "none"
		}
		return fmt.Sprint(*i)
	}
	return fmt.Sprintf("open %s, close %s, seq %d, %d bytes, ended %d, head %x, %s", leaf(p.OpenLeaf), leaf(p.CloseLeaf),
		p.Seq, p.Bytes, p.Ended.UnixMilli(), p.HFinal[:4], p.State)
}

func TestACrashIsSettledAtTheNextStart(t *testing.T) {
	h := newHouse(t)
	s, _ := h.open(h.ask("press-1"))
	must(s.Write([]byte("typed before the crash\n")))(t)
	node, cut := h.crash()
	h.recovers(node, cut)
	if row := h.row(s.ID()); row.State != store.Closed || row.EndReason != gateway.ByGatewayCrash || row.Record != store.RecordCut {
		t.Errorf("row: got %s %q %s", row.State, row.EndReason, row.Record)
	}
	if p := h.part(s.ID()); p.CloseLeaf == nil || p.HFinal != cut.Head {
		t.Error("the cut part has no interrupted leaf with its head")
	}
}

func TestARecordingThatBeganFarBackInTheLogIsEndedAfterACrash(t *testing.T) {
	h := newHouse(t)
	s, _ := h.open(h.ask("press-1"))
	open := h.forgetOpen(s.ID())
	h.growLog(farBack)
	node, cut := h.crash()
	h.recovers(node, cut)
	p := h.part(s.ID())
	if p.OpenLeaf == nil || *p.OpenLeaf != open || p.Retain.IsZero() || p.CloseLeaf == nil || p.State != store.RecordCut {
		t.Errorf("got %s, kept until %s; want open leaf %d, its promise, and an end", told(p), p.Retain, open)
	}
	if got := h.closes(open); got != 1 {
		t.Errorf("got %d ends in the log, want 1", got)
	}
}

func TestARecordingWithoutARowThatBeganFarBackInTheLogIsEndedAfterACrash(t *testing.T) {
	h := newHouse(t)
	s, _ := h.open(h.ask("press-1"))
	open := *h.part(s.ID()).OpenLeaf
	h.growLog(farBack)
	node, cut := h.crash()
	older := must(sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "older"), sqlite.Options{}))(t)
	defer older.Close()
	b := h.newBrokerWith(func(c *gateway.Config) { c.Store = older })
	if err := b.Recover(t.Context(), []recorder.Interrupted{cut}, node.Settled); err != nil {
		t.Fatal(err)
	}
	if got := h.closes(open); got != 1 {
		t.Errorf("got %d ends in the log, want 1", got)
	}
}

// restoredRow ends a session, and removes the leaves and the end from its row, as the restore of an older database
// does. It returns the row as it was before.
func (h *house) restoredRow() store.Part {
	h.t.Helper()
	s, _ := h.open(h.ask("press-1"))
	s.End("that is all")
	s.Wait()
	within(h.t, 20*time.Second, "the end is in the row", func() bool { return h.part(s.ID()).CloseLeaf != nil })
	was := h.part(s.ID())
	h.forgetOpen(s.ID())
	must(h.db.ChangePart(context.Background(), s.ID(), 0, func(p *store.Part) error {
		p.CloseLeaf, p.Seq, p.Bytes, p.Ended, p.State = nil, 0, 0, time.Time{}, store.RecordRunning
		return nil
	}))(h.t)
	return was
}

func TestAnEndFarBackInTheLogIsTakenOver(t *testing.T) {
	h := newHouse(t)
	want := h.restoredRow()
	h.growLog(farBack)
	h.recovers(h.node)
	if got, want := told(h.part(want.Session)), told(want); got != want {
		t.Errorf("got %s, want %s, as the log has it", got, want)
	}
}

func TestARecordingThatIsGoneIsCalledMissing(t *testing.T) {
	h := newHouse(t)
	want := h.restoredRow()
	if err := os.Remove(filepath.Join(h.dir, "rec", format.Place(want.Session, 0, want.Started))); err != nil {
		t.Fatal(err)
	}
	h.recovers(h.node)
	want.State = store.RecordMissing
	if got, want := told(h.part(want.Session)), told(want); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Its end stays open in the log: nothing says where it ended, and its file may be found in another backup.
func TestARecordingThatIsGoneAndHasNoEndIsCalledMissing(t *testing.T) {
	h := newHouse(t)
	s, _ := h.open(h.ask("press-1"))
	node, cut := h.crash()
	was := h.part(s.ID())
	path := filepath.Join(h.dir, "rec", format.Place(was.Session, 0, was.Started))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		h.recovers(h.node)
		p, row := h.part(s.ID()), h.row(s.ID())
		if p.State != store.RecordMissing || row.State != store.Closed || row.Record != store.RecordMissing {
			t.Errorf("got part %s, row %s %s; want both missing", told(p), row.State, row.Record)
		}
	}
	if got := h.closes(*was.OpenLeaf); got != 0 {
		t.Errorf("got %d ends in the log, want none", got)
	}
	groups := must(h.db.Retained(t.Context(), was.Retain.Add(time.Hour)))(t)
	if len(groups) != 1 || groups[0].Class != "running" || groups[0].Due != 0 {
		t.Errorf("got %+v, want one recording without an end, which is never due", groups)
	}
	h.recovers(node, cut) // with the file
	if p := h.part(s.ID()); p.State != store.RecordCut || p.HFinal != cut.Head || p.CloseLeaf == nil {
		t.Errorf("once it is found: got %s, want its end", told(p))
	}
}

// unannounced is a session that records and that the log does not know.
func (h *house) unannounced() id.Session {
	h.t.Helper()
	sid := must(h.Ask(h.t.Context(), h.ask("press-1")))(h.t).ID
	rec := must(h.node.Create(h.t.Context(), recorder.PartConfig{Session: sid}))(h.t)
	h.t.Cleanup(func() { rec.Close(context.Background(), "test") })
	part := store.Part{Session: sid, H0: rec.H0(), Started: rec.Started(), State: store.RecordRunning}
	if err := h.db.AddPart(h.t.Context(), part); err != nil {
		h.t.Fatal(err)
	}
	return sid
}

func TestARecordingThatWasNeverAnnouncedRunsNoMoreAfterACrash(t *testing.T) {
	h := newHouse(t)
	sid := h.unannounced()
	node, cut := h.crash()
	h.recovers(node, cut)
	if p := h.part(sid); p.OpenLeaf != nil || p.CloseLeaf != nil || p.State != store.RecordCut || p.Bytes != cut.Bytes {
		t.Errorf("got %s, want no leaf, %d bytes, and cut", told(p), cut.Bytes)
	}
}

// TestRecoveryTakesAnEndFromTheLogAsItIs: the process wrote the interruption to the log and died before it stored the
// row.
func TestRecoveryTakesAnEndFromTheLogAsItIs(t *testing.T) {
	h := newHouse(t)
	s, _ := h.open(h.ask("press-1"))
	at := time.Now().Add(-time.Hour)
	said := ledger.CloseBody{Session: s.ID(), Open: *h.part(s.ID()).OpenLeaf, HFinal: [32]byte{7}, Seq: 3, Bytes: 1234,
		Reason: gateway.ByTechnician, AtMS: at.UnixMilli()}
	end := must(h.signer.Append(t.Context(), signer.AppendRequest{Type: "interrupted", Ref: []uint64{said.Open},
		Body: must(said.Marshal())(t)}))(t)
	node, cut := h.crash()
	h.recovers(node, cut)
	p := h.part(s.ID())
	want := store.Part{OpenLeaf: &said.Open, CloseLeaf: &end.Index, HFinal: said.HFinal, Seq: said.Seq, Bytes: said.Bytes,
		Ended: at, State: store.RecordCut}
	if got, want := told(p), told(want); got != want {
		t.Errorf("got %s, want %s, as its leaf says", got, want)
	}
	row := h.row(s.ID())
	if row.EndReason != gateway.ByTechnician || row.Ended.UnixMilli() != said.AtMS {
		t.Errorf("got reason %q at %s, want those in the log", row.EndReason, row.Ended)
	}
}
