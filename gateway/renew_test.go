package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

var tech = signer.Evidence{APIToken: "spt_tech"}

func (h *house) renew(s id.Session) error {
	_, err := h.Renew(context.Background(), s, tech)
	return err
}

func (h *house) passes(s id.Session) []store.Pass {
	h.t.Helper()
	return must(h.db.Passes(context.Background(), s, 0))(h.t)
}

// TestARenewalMovesTheHardStop: that it takes effect, and when, is in hardstop_test.go.
func TestARenewalMovesTheHardStop(t *testing.T) {
	h := newHouse(t)
	c, out := h.open(h.ask("press-1", "wait"))
	first := c.Until()
	time.Sleep(time.Until(first.Add(-time.Hour + time.Second))) // a pass ends at a whole second
	until, err := h.Renew(t.Context(), c.ID(), tech)
	if err != nil {
		t.Fatal(err)
	}
	if row := h.row(c.ID()); !until.After(first) || !c.Until().Equal(until) || !row.Until.Equal(until) {
		t.Errorf("from %s the hard stop moved to %s, session %s, row %s", first, until, c.Until(), row.Until)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if want := "renewed: the session continues until " + until.UTC().Format("15:04 UTC"); !slices.Contains(out.notices, want) {
		t.Errorf("the technician reads %q, want …%q…", out.notices, want)
	}
}

// TestAPassIsStoredAndRecordedBeforeTheDeviceHearsOfIt: what the device runs under must be in the evidence.
func TestAPassIsStoredAndRecordedBeforeTheDeviceHearsOfIt(t *testing.T) {
	h := newHouse(t)
	c, _ := h.open(h.ask("press-1", "wait"))
	var stored []store.Pass
	var noted []string
	h.dev.takes(func(m wire.Renew) (error, error) {
		stored, noted = h.passes(c.ID()), h.notes(c.ID())
		body, err := ledger.ParsePassBody(m.Body)
		if err != nil || body.Session != c.ID() || m.N != 1 || body.N != 1 || m.Session != c.ID() {
			t.Errorf("the device is sent %+v with %+v, %v", m, body, err)
		}
		return nil, nil
	})
	if err := h.renew(c.ID()); err != nil {
		t.Fatal(err)
	}
	if len(stored) != 1 || stored[0].N != 1 || len(stored[0].Pass) == 0 {
		t.Errorf("stored by then: %+v", stored)
	}
	want := fmt.Sprintf("pass: pass 1 is given to the device: good until %s, entry %d of the log, permits shell:svc, by rule A1",
		c.Until().UTC().Format("2006-01-02 15:04:05 UTC"), stored[0].Leaf)
	if !slices.Contains(noted, want) {
		t.Errorf("recorded by then: %q, want %q", noted, want)
	}
}

func TestARefusedRenewalLeavesTheSessionAsItWas(t *testing.T) {
	h := newHouse(t)
	c, _ := h.open(h.ask("press-1", "wait"))
	until := c.Until()
	no := errkind.New(errkind.Denied, "the machine refused: the owner's hours have ended")
	h.dev.takes(func(wire.Renew) (error, error) { return no, nil })
	if err := h.renew(c.ID()); errkind.KindOf(err) != errkind.Denied || !strings.Contains(err.Error(), "owner's hours") {
		t.Errorf("got %v, want the device's refusal", err)
	}
	if !c.Until().Equal(until) {
		t.Errorf("the session ends at %s, want %s", c.Until(), until)
	}
	var second wire.Renew
	h.dev.takes(func(m wire.Renew) (error, error) { second = m; return nil, nil })
	if err := h.renew(c.ID()); err != nil {
		t.Fatal(err)
	}
	body := must(ledger.ParsePassBody(second.Body))(t)
	first := must(wire.ReadPass(must(h.db.Part(t.Context(), c.ID(), 0))(t).Pass))(t)
	if second.N != 2 || body.Prev != [32]byte(first.Hash) {
		t.Errorf("then pass %d after %x, want pass 2 after the first one", second.N, body.Prev)
	}
	c.End("over")
	c.Wait()
	if want := "pass: pass 1 was not taken: the machine refused: the owner's hours have ended"; !slices.Contains(h.notes(c.ID()), want) {
		t.Errorf("the record has %q, want %q", h.notes(c.ID()), want)
	}
}

// TestARenewalWhoseAnswerWasLostIsOfferedAgain: only the device knows which pass the session runs under.
func TestARenewalWhoseAnswerWasLostIsOfferedAgain(t *testing.T) {
	h := newHouse(t)
	c, _ := h.open(h.ask("press-1", "wait"))
	until := c.Until()
	lost := errkind.New(errkind.Unavailable, "the line broke off")
	var sent []wire.Renew
	answer := error(lost)
	h.dev.takes(func(m wire.Renew) (error, error) { sent = append(sent, m); return nil, answer })
	time.Sleep(time.Second) // a pass ends at a whole second
	for range 2 {
		if err := h.renew(c.ID()); !errors.Is(err, lost) || !c.Until().Equal(until) {
			t.Errorf("got %v, until %s", err, c.Until())
		}
	}
	answer = nil
	if err := h.renew(c.ID()); err != nil {
		t.Fatal(err)
	}
	var numbers []uint32
	for _, m := range sent {
		numbers = append(numbers, m.N)
	}
	if !slices.Equal(numbers, []uint32{1, 1, 1, 2}) || len(h.passes(c.ID())) != 2 {
		t.Errorf("the device was offered %v, want 1 until it answers, then 2", numbers)
	}
	body := must(ledger.ParsePassBody(sent[3].Body))(t)
	if one := must(wire.ReadPass(sent[0].Pass))(t); body.Prev != [32]byte(one.Hash) || !c.Until().After(until) {
		t.Errorf("pass 2 follows %x, and the session ends at %s", body.Prev, c.Until())
	}
}

func TestWhatCannotBeRenewedIsRefused(t *testing.T) {
	h := newHouse(t)
	offered := false
	h.dev.takes(func(wire.Renew) (error, error) { offered = true; return nil, nil })
	if err := h.renew(id.NewSession()); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("a session that is not there: got %v", err)
	}
	c, _ := h.open(h.ask("press-1", "wait"))
	if _, err := h.Renew(t.Context(), c.ID(), signer.Evidence{APIToken: "spt_admin"}); errkind.KindOf(err) != errkind.Denied {
		t.Errorf("somebody else: got %v", err)
	}
	if _, err := h.Renew(t.Context(), c.ID(), signer.Evidence{}); errkind.KindOf(err) != errkind.Signin {
		t.Errorf("nobody: got %v", err)
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	h.dev.takes(func(wire.Renew) (error, error) { close(entered); <-leave; return nil, nil })
	done := make(chan error)
	go func() { done <- h.renew(c.ID()) }()
	<-entered
	if err := h.renew(c.ID()); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("two at once: got %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.End("over")
	c.Wait()
	h.dev.takes(func(wire.Renew) (error, error) { offered = true; return nil, nil })
	if err := h.renew(c.ID()); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("a session that has ended: got %v", err)
	}
	if offered {
		t.Error("a device was offered a pass")
	}
}

// TestARenewalThatCannotBeStoredReachesNoDevice: the bundle of the session would lack what it ran under.
func TestARenewalThatCannotBeStoredReachesNoDevice(t *testing.T) {
	h := newHouse(t)
	fails := &passless{Store: h.db}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Store = fails })
	offered := false
	h.dev.takes(func(wire.Renew) (error, error) { offered = true; return nil, nil })
	c, _ := h.open(h.ask("press-1", "wait"))
	if err := h.renew(c.ID()); !errors.Is(err, errFull) || offered {
		t.Errorf("got %v, offered %v", err, offered)
	}
}

var errFull = errors.New("the database takes no pass")

type passless struct{ gateway.Store }

func (*passless) AddPass(context.Context, store.Pass) error { return errFull }
