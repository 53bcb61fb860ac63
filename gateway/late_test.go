package gateway_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/writer"
)

// closing is a signer that does something when the end of a session is announced: its recording is closed by then.
type closing struct {
	signer.Signer
	do func()
}

func (c *closing) Append(ctx context.Context, r signer.AppendRequest) (signer.Appended, error) {
	if r.Type == "close" && c.do != nil {
		c.do()
	}
	return c.Signer.Append(ctx, r)
}

// TestWhatIsTypedAfterTheEndDoesNotChangeIt: the program has ended with its status, and its recording is closed.
func TestWhatIsTypedAfterTheEndDoesNotChangeIt(t *testing.T) {
	for what, act := range map[string]func(*gateway.Channel) error{
		"a key":            func(s *gateway.Channel) error { _, err := s.Write([]byte("x")); return err },
		"the end of input": (*gateway.Channel).CloseInput,
		"a signal":         func(s *gateway.Channel) error { return s.Signal("TERM") },
		"an end":           func(s *gateway.Channel) error { s.End("closed"); return nil },
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t)
			sign, live := &closing{Signer: h.signer}, make(chan *gateway.Channel, 1)
			sign.do = func() {
				if err := act(<-live); err == nil && what != "an end" {
					t.Errorf("%s was taken after the end", what)
				}
			}
			h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Signer = sign })
			s, out := h.open(h.ask("press-1", "streams"))
			live <- s
			if got := s.Wait(); got.Status == nil || *got.Status != 7 || got.Reason != gateway.ByExit {
				t.Errorf("got %+v, want status 7 and reason exit", got)
			}
			if len(out.notices) != 0 {
				t.Errorf("the technician reads %q", out.notices)
			}
		})
	}
}

// hangingDisk opens a recorder, in a directory of its own, whose commits wait for release once hang is called.
func (h *house) hangingDisk() (hang, release func()) {
	h.t.Helper()
	var hangs atomic.Bool
	disk := make(chan struct{})
	h.dir = h.t.TempDir()
	node, _, err := writer.OpenNode(context.Background(), writer.NodeConfig{Dir: filepath.Join(h.dir, "rec"),
		Key: h.key, LogOrigin: "test/log", Readers: []age.Recipient{h.reader.Recipient()},
		Unsealers: []age.Recipient{h.unseal.Recipient()}, JournalBytes: 8 << 20, Ballast: 1 << 20, LowWater: 1 << 20,
		Committed: func(time.Duration) {
			if hangs.Load() {
				<-disk
			}
		}})
	if err != nil {
		h.t.Fatal(err)
	}
	release = sync.OnceFunc(func() { close(disk) })
	h.t.Cleanup(func() { release(); node.Close(context.Background()) })
	h.node = node
	return func() { hangs.Store(true) }, release
}

// toldStart says whether the record has the device's word about what it started.
func (h *house) toldStart(sid id.Session) (told bool) {
	h.t.Helper()
	arch := must(archive.Open(archive.Config{Dir: filepath.Join(h.dir, "rec"), Identity: []age.Identity{h.reader}}))(h.t)
	_, err := arch.Frames(context.Background(), []archive.Part{{Session: sid}}, func(m archive.Moment) error {
		told = told || m.Kind == format.KindCommand
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return told
}

// TestTheEndOfARecordingThatClosesLateIsNotGuessed: while the disk hangs, nothing says where the recording ends.
func TestTheEndOfARecordingThatClosesLateIsNotGuessed(t *testing.T) {
	h := newHouse(t)
	hang, release := h.hangingDisk()
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.CloseTime = 200 * time.Millisecond })
	s, _ := h.open(h.ask("press-1", "wait"))
	open := *h.part(s.ID()).OpenLeaf
	// Nothing but the close may wait for the disk: the device tells nothing any more, and the commit of what it told is
	// over once a later one is.
	within(t, time.Minute, "the device's word is in the record", func() bool { return h.toldStart(s.ID()) })
	must(s.Write([]byte("x")))(t)
	hang()
	s.End("that is all")
	s.Wait()
	h.Drain(t.Context()) // retries
	if got, row := h.closes(open), h.row(s.ID()); got != 0 || row.State != store.Live {
		t.Errorf("while the disk hangs: got %d ends in the log and state %s, want none and live", got, row.State)
	}
	release()
	within(t, time.Minute, "the rows have the end", func() bool {
		h.Drain(t.Context())
		return h.part(s.ID()).CloseLeaf != nil && h.row(s.ID()).State == store.Closed
	})
	h.agrees(s.ID(), store.RecordComplete, gateway.ByTechnician)
}
