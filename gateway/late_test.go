package gateway_test

import (
	"context"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/signer"
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
