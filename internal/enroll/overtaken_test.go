package enroll_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// interrupted is a signer before or after whose answer something else happens, once.
type interrupted struct {
	enroll.Signer
	before, after func()
}

func (i *interrupted) PutDevice(ctx context.Context, by signer.Evidence, d signer.Device) (signer.Appended, error) {
	run(&i.before)
	a, err := i.Signer.PutDevice(ctx, by, d)
	run(&i.after)
	return a, err
}

func run(f *func()) {
	if do := *f; do != nil {
		*f = nil
		do()
	}
}

// signedState is what the signer tells a device of itself.
func (h *house) signedState(d store.Device) string {
	h.t.Helper()
	signed := must(h.signer.Status(h.t.Context(), wire.Hash(d.FP), make([]byte, 16)))(h.t)
	var st wire.Status
	if err := json.Unmarshal(signed.Body, &st); err != nil {
		h.t.Fatal(err)
	}
	return st.State
}

// revoked waits until the row is, as the rest of the revocation may have to wait for whoever calls this.
func (h *house) revoked(d store.Device) {
	h.t.Helper()
	for range 30000 {
		if h.device(d.Name).State == store.Revoked && len(h.cuts()) > 0 {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	h.t.Fatal("the device is not revoked and cut at once")
}

func TestARevocationThatComesWhileADeviceIsAdmittedStandsAtTheSigner(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		t.Run(when+" the signer has the admission", func(t *testing.T) {
			h := newHouse(t)
			_, d := h.waiting()
			done := make(chan error, 1)
			revoke := func() {
				go func() { _, err := h.Revoke(context.Background(), ada, d.Name, "stolen"); done <- err }()
				h.revoked(d)
			}
			between := &interrupted{Signer: h.signer}
			if between.after = revoke; when == "before" {
				between.before, between.after = revoke, nil
			}
			h.Office.Signer = between
			_, err := h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{})
			if errkind.KindOf(err) != errkind.Conflict {
				t.Errorf("admitted: got %v, want a conflict", err)
			}
			if err := <-done; err != nil {
				t.Errorf("revoked: %v", err)
			}
			if row, at := h.device(d.Name).State, h.signedState(d); row != store.Revoked || at != wire.StateRevoked {
				t.Errorf("got %s here and %s at the signer, want revoked at both", row, at)
			}
		})
	}
}

func TestADisputeThatComesWhileADeviceIsChangedIsNotWrittenOver(t *testing.T) {
	disputed := func(row *store.Device) error {
		row.State, row.StateAt = store.Disputed, time.Now()
		row.Dispute = &store.Dispute{Why: "two lines", Lines: []store.Line{{Boot: "1"}, {Boot: "2"}}}
		return nil
	}
	more := func(row *store.Device) error {
		row.Dispute.Lines = append(row.Dispute.Lines, store.Line{Boot: "3"})
		return nil
	}
	admit := func(h *house, d store.Device) error {
		_, err := h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{})
		return err
	}
	label := func(h *house, d store.Device) error {
		_, err := h.Label(t.Context(), h.admin, ada, d.Name, map[string]string{"hall": "2"})
		return err
	}
	for what, c := range map[string]struct {
		first  func(*house, store.Device) error
		was    func(*store.Device) error
		change func(*house, store.Device) error
		comes  func(*store.Device) error
		lines  int
	}{
		"while it is admitted":                     {change: admit, comes: disputed, lines: 2},
		"while it is labelled":                     {first: admit, change: label, comes: disputed, lines: 2},
		"with a third line while it is cleared of": {first: admit, was: disputed, change: admit, comes: more, lines: 3},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t)
			_, d := h.waiting()
			if c.first != nil {
				if err := c.first(h, d); err != nil {
					t.Fatal(err)
				}
			}
			if c.was != nil {
				must(h.db.ChangeDevice(t.Context(), d.FP, c.was))(t)
			}
			h.Office.Signer = &interrupted{Signer: h.signer, after: func() { must(h.db.ChangeDevice(t.Context(), d.FP, c.comes))(t) }}
			refusal(t, "the change", c.change(h, d), errkind.Conflict, "became disputed meanwhile")
			row := h.device(d.Name)
			if row.State != store.Disputed || len(row.Dispute.Lines) != c.lines || row.Labels["hall"] != "1" {
				t.Errorf("got %s, %v, labels %v, want the dispute with %d lines and the labels of before", row.State, row.Dispute, row.Labels, c.lines)
			}
			if at := h.signedState(d); at != wire.StateLocked {
				t.Errorf("got %s at the signer, want locked", at)
			}
			if err := admit(h, d); err != nil || h.signedState(d) != wire.StateOK {
				t.Errorf("admitted by somebody who looked: got %v, %s at the signer", err, h.signedState(d))
			}
		})
	}
}

// noRevocation is a database that cannot take one.
type noRevocation struct{ enroll.Store }

func (n noRevocation) ChangeDevice(ctx context.Context, fp [32]byte, change func(*store.Device) error,
	events ...store.AuditEvent) (store.Device, error) {
	return n.Store.ChangeDevice(ctx, fp, func(row *store.Device) error {
		if err := change(row); err != nil || row.State != store.Revoked {
			return err
		}
		return errors.New("the disk is full")
	}, events...)
}

func TestARevocationThatTheDatabaseDoesNotTakeReachesTheSignerAfterTheAdmission(t *testing.T) {
	h := newHouse(t)
	_, d := h.waiting()
	h.Office.Store = noRevocation{h.db}
	done := make(chan error, 1)
	h.Office.Signer = &interrupted{Signer: h.signer, before: func() {
		go func() { _, err := h.Revoke(context.Background(), ada, d.Name, "stolen"); done <- err }()
		time.Sleep(100 * time.Millisecond) // the signer does not know the device yet
	}}
	must(h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{}))(t)
	if err := <-done; err == nil || len(h.cuts()) != 1 {
		t.Errorf("revoked: got %v and %d cuts, want the database's fault and one", err, len(h.cuts()))
	}
	if at := h.signedState(d); at != wire.StateRevoked {
		t.Errorf("got %s at the signer, want revoked", at)
	}
}
