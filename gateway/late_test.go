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
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
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

// hangingDisk opens a recorder whose commits wait until the disk is released, once hang is called.
func (h *house) hangingDisk() (node *writer.Node, hang, release func()) {
	h.t.Helper()
	var hangs atomic.Bool
	disk := make(chan struct{})
	node, _, err := writer.OpenNode(context.Background(), writer.NodeConfig{Dir: filepath.Join(h.t.TempDir(), "rec"),
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
	return node, func() { hangs.Store(true) }, release
}

// TestTheEndOfARecordingThatClosesLateIsNotGuessed: while the disk hangs, nothing says where the recording ends.
func TestTheEndOfARecordingThatClosesLateIsNotGuessed(t *testing.T) {
	h := newHouse(t)
	node, hang, release := h.hangingDisk()
	h.node = node
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.CloseTime = 200 * time.Millisecond })
	s, _ := h.open(h.ask("press-1"))
	open := *h.part(s.ID()).OpenLeaf
	hang()
	s.End("that is all")
	s.Wait()
	h.Drain(t.Context()) // retries
	if got, row := h.closes(open), h.row(s.ID()); got != 0 || row.State != store.Live {
		t.Errorf("while the disk hangs: got %d ends in the log and state %s, want none and live", got, row.State)
	}
	release()
	within(t, 20*time.Second, "the row is closed", func() bool {
		h.Drain(t.Context())
		return h.row(s.ID()).State == store.Closed
	})
	h.agrees(s.ID(), store.RecordComplete, gateway.ByTechnician)
}
