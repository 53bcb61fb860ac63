package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
)

// fault lets one step fail of those that signer and database do about the end of a part.
type fault struct {
	at   int  // the step that fails, counted from 1
	done bool // the step is done and its answer is lost; only writes count as steps
	dies bool // every later step fails too, as if the process had died
}

func (f fault) String() string {
	return fmt.Sprintf("step %d, done %v, then dies %v", f.at, f.done, f.dies)
}

// faulty counts the steps from arm on and lets some fail.
type faulty struct {
	mu    sync.Mutex
	armed bool
	fault
	steps int
}

var errFault = errors.New("this step fails")

func (f *faulty) arm(next fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.fault, f.steps = true, next, 0
}

// reached says whether there was a step to fail.
func (f *faulty) reached() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps >= f.at
}

// step does act unless it is to fail.
func (f *faulty) step(writes bool, act func() error) error {
	f.mu.Lock()
	if !f.armed || f.done && !writes && f.steps < f.at {
		f.mu.Unlock()
		return act()
	}
	f.steps++
	n, now := f.steps, f.fault
	f.mu.Unlock()
	switch {
	case n == now.at && now.done:
		return errors.Join(act(), errFault)
	case n == now.at, n > now.at && now.dies:
		return errFault
	}
	return act()
}

type faultySigner struct {
	signer.Signer
	*faulty
}

func (s faultySigner) Append(ctx context.Context, r signer.AppendRequest) (out signer.Appended, err error) {
	err = s.step(true, func() error { out, err = s.Signer.Append(ctx, r); return err })
	return out, err
}

func (s faultySigner) Unended(ctx context.Context, h0 wire.Hash) (out *uint64, err error) {
	err = s.step(false, func() error { out, err = s.Signer.Unended(ctx, h0); return err })
	return out, err
}

func (s faultySigner) Entry(ctx context.Context, i uint64) (out signer.Entry, err error) {
	err = s.step(false, func() error { out, err = s.Signer.Entry(ctx, i); return err })
	return out, err
}

func (s faultySigner) Entries(ctx context.Context, from uint64) (out []signer.Entry, err error) {
	err = s.step(false, func() error { out, err = s.Signer.Entries(ctx, from); return err })
	return out, err
}

type faultyStore struct {
	*sqlite.DB
	*faulty
}

func (s faultyStore) Part(ctx context.Context, sid id.Session, n uint32) (out store.Part, err error) {
	err = s.step(false, func() error { out, err = s.DB.Part(ctx, sid, n); return err })
	return out, err
}

func (s faultyStore) ChangePart(ctx context.Context, sid id.Session, n uint32,
	change func(*store.Part) error) (out store.Part, err error) {
	err = s.step(true, func() error { out, err = s.DB.ChangePart(ctx, sid, n, change); return err })
	return out, err
}

func (s faultyStore) ChangeSession(ctx context.Context, sid id.Session,
	change func(*store.Session) error) (out store.Session, err error) {
	err = s.step(true, func() error { out, err = s.DB.ChangeSession(ctx, sid, change); return err })
	return out, err
}

// faultyBroker is a broker whose signer and database fail as f says.
func (h *house) faultyBroker(f *faulty, more ...func(*gateway.Config)) *gateway.Broker {
	return h.newBrokerWith(func(c *gateway.Config) {
		c.Signer, c.Store = faultySigner{h.signer, f}, faultyStore{h.db, f}
		for _, change := range more {
			change(c)
		}
	})
}

// eachFault calls try with each step that can fail, until one is not reached any more.
func eachFault(t *testing.T, dies bool, try func(t *testing.T, f *faulty, next fault)) {
	t.Helper()
	for _, done := range []bool{false, true} {
		for at, more := 1, true; more; at++ {
			next := fault{at: at, done: done, dies: dies}
			t.Run(next.String(), func(t *testing.T) {
				f := &faulty{}
				try(t, f, next)
				more = f.reached()
			})
			if at > 30 {
				t.Fatal("the steps have no end")
			}
		}
	}
}
