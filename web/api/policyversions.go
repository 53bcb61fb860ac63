package api

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// reads refuses whoever has nothing to do with the policy's text.
func (who *Asker) reads() error {
	if who.any(authz.DutyAdminister, authz.DutyReview) {
		return nil
	}
	return who.needs(authz.DutyAdminister)
}

// keepVersion keeps the history of what the signer has in force. The signer's copy counts, and its log tells who applied
// it; so a row that cannot be written is no reason to say that a policy is not in force.
func (a *API) keepVersion(ctx context.Context, v signer.Policy) {
	if v.Version == 0 {
		return
	}
	row := store.PolicyVersion{Version: int(v.Version), SHA256: v.SHA256, By: v.By, Reason: v.Reason, At: v.At}
	for _, f := range v.Files {
		row.Files = append(row.Files, store.PolicyFile{Name: f.Name, Text: f.Text})
	}
	if err := a.cfg.Store.AddPolicy(ctx, row); err != nil && !errors.Is(err, store.ErrConflict) { // a conflict: it is there
		a.cfg.Log.Error("a version of the policy is missing from the history", slog.Int("version", row.Version), slog.Any("error", err))
	}
}

func (a *API) listVersions(ctx context.Context, who *Asker, _ *struct{}) (*answer[[]apitype.Policy], error) {
	if err := who.reads(); err != nil {
		return nil, err
	}
	rows, err := a.cfg.Store.Policies(ctx)
	if err != nil {
		return nil, err
	}
	out := []apitype.Policy{}
	if now := a.cfg.Rules.Version(); now.Version > 0 && (len(rows) == 0 || rows[0].Version < int(now.Version)) {
		out = append(out, shownPolicy(now, false)) // configured at the first start: not in the history until another follows
	}
	for _, r := range rows {
		out = append(out, shownPolicy(stored(r), false))
	}
	return body(out)
}

func (a *API) getVersion(ctx context.Context, who *Asker, in *struct {
	Version int `path:"version" minimum:"1" maximum:"1000000000"`
}) (*answer[apitype.Policy], error) {
	if err := who.reads(); err != nil {
		return nil, err
	}
	if now := a.cfg.Rules.Version(); int(now.Version) == in.Version {
		return body(shownPolicy(now, true))
	}
	row, err := a.cfg.Store.Policy(ctx, in.Version)
	if err != nil {
		return nil, err
	}
	past := stored(row)
	out := shownPolicy(past, true)
	out.Words = words(signer.LoadPastPolicy(past.Files))
	return body(out)
}

func stored(r store.PolicyVersion) signer.Policy {
	out := signer.Policy{Version: uint64(r.Version), SHA256: r.SHA256, By: r.By, Reason: r.Reason, At: r.At}
	for _, f := range r.Files {
		out.Files = append(out.Files, signer.PolicyFile{Name: f.Name, Text: f.Text})
	}
	return out
}

func (a *API) getMatrix(_ context.Context, who *Asker, _ *struct{}) (*answer[[]apitype.PolicyRow], error) {
	if err := who.reads(); err != nil {
		return nil, err
	}
	out := []apitype.PolicyRow{}
	for _, r := range authz.Matrix(a.cfg.Rules.Snapshot().Policy) {
		out = append(out, apitype.PolicyRow(r))
	}
	return body(out)
}

// words says a version in sentences. One that this release cannot load any more has none.
func words(p *authz.Policy, err error) []apitype.PolicyWord {
	if err != nil {
		return nil
	}
	var out []apitype.PolicyWord
	for _, s := range authz.Words(p) {
		out = append(out, apitype.PolicyWord(s))
	}
	return out
}
