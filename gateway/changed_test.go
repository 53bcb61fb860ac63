package gateway_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// The signer has a newer policy than the gateway, which decided and stored that the command runs in a shell.
func TestASessionWhosePassIsForAnotherActionIsNotStarted(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	next := strings.Replace(policy, `shell = { as = ["svc"] }`,
		"shell = { as = [\"svc\"] }\nrun = { as = [\"svc\"], argv = [[\"/bin/wait\"]] }", 1)
	if _, err := h.signer.ApplyPolicy(ctx, h.admin, []signer.PolicyFile{{Name: "p.toml", Text: next}}, "test"); err != nil {
		t.Fatal(err)
	}
	row := must(h.Ask(ctx, h.ask("press-1", "/bin/wait")))(t)
	if row.Action != "shell:svc" {
		t.Fatalf("decided on %q", row.Action)
	}
	_, err := h.Open(ctx, row.ID, &screen{})
	if errkind.KindOf(err) != errkind.Conflict || !strings.Contains(err.Error(), "changed while") {
		t.Errorf("got %v", err)
	}
	if got := h.row(row.ID); got.State != store.Refused || got.Record != store.RecordComplete {
		t.Errorf("row: got %s %q %s", got.State, got.EndReason, got.Record)
	}
	part := must(h.db.Part(ctx, row.ID, 0))(t)
	if part.OpenLeaf == nil || part.CloseLeaf == nil {
		t.Errorf("the log lacks its beginning or end: %+v", part)
	}
	// The same first action, and a pass that names the command as well.
	row = must(h.Ask(ctx, h.ask("press-1", "streams")))(t)
	if _, err = h.Open(ctx, row.ID, &screen{}); errkind.KindOf(err) != errkind.Conflict || row.Action != "shell:svc" {
		t.Errorf("a pass that names more than is decided here, for %s: got %v", row.Action, err)
	}
	if err := h.rules.Load(ctx, h.signer); err != nil {
		t.Fatal(err)
	}
	s, _ := h.open(h.ask("press-1", "streams"))
	if got := s.Wait(); got.Status == nil || *got.Status != 7 {
		t.Errorf("with the same policy: got %+v", got)
	}
	if row := must(h.Ask(ctx, h.ask("press-1", "/bin/wait")))(t); row.Action != "run:svc /bin/wait" {
		t.Errorf("with the same policy: decided on %q", row.Action)
	}
}
