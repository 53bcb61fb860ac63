package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// policyChanges compares the words of the policy in force with those of a proposed one.
func (a *API) policyChanges(p signer.Proposal) ([]apitype.Changed, error) {
	var files []signer.PolicyFile
	if err := json.Unmarshal(p.Change, &files); err != nil {
		return nil, err
	}
	next, err := signer.LoadPolicy(files)
	if err != nil {
		return nil, err
	}
	var out []apitype.Changed
	for _, c := range authz.Changes(authz.Words(a.cfg.Rules.Snapshot().Policy), authz.Words(next)) {
		out = append(out, apitype.Changed{What: c.Kind + " " + c.ID, Before: c.Before, After: c.After})
	}
	return out, nil
}

// groupChanges lists the mappings that the configuration proposes.
func groupChanges(p signer.Proposal) ([]apitype.Changed, error) {
	var added []signer.Mapping
	if err := json.Unmarshal(p.Change, &added); err != nil {
		return nil, err
	}
	var out []apitype.Changed
	for _, m := range added {
		out = append(out, apitype.Changed{What: m.From + " of " + m.Issuer, After: m.To})
	}
	return out, nil
}

// labelChanges compares the site and the labels that a device has with the proposed ones.
func (a *API) labelChanges(ctx context.Context, p signer.Proposal) ([]apitype.Changed, error) {
	var next signer.Device
	if err := json.Unmarshal(p.Change, &next); err != nil {
		return nil, err
	}
	now, err := a.cfg.Store.Device(ctx, next.Name)
	if err != nil {
		return nil, err
	}
	var out []apitype.Changed
	if now.Site != next.Site {
		out = append(out, apitype.Changed{What: "site", Before: now.Site, After: next.Site})
	}
	names := slices.Sorted(maps.Keys(now.Labels))
	for name := range next.Labels {
		if _, there := now.Labels[name]; !there {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if now.Labels[name] != next.Labels[name] {
			out = append(out, apitype.Changed{What: "label " + name, Before: now.Labels[name], After: next.Labels[name]})
		}
	}
	return out, nil
}

// ownerChanges compares the owners of a site with the proposed ones.
func (a *API) ownerChanges(ctx context.Context, p signer.Proposal, people []store.Principal) ([]apitype.Changed, error) {
	var next signer.Site
	if err := json.Unmarshal(p.Change, &next); err != nil {
		return nil, err
	}
	now, err := a.ownersNow(ctx, next.Name)
	if err != nil {
		return nil, err
	}
	var out []apitype.Changed
	name := func(who id.Principal) string {
		return shownSite(store.Site{Owners: []id.Principal{who}}, people).Owners[0].Name
	}
	for _, o := range now {
		if !slices.Contains(next.Owners, o) {
			out = append(out, apitype.Changed{What: "owner", Before: name(o)})
		}
	}
	for _, o := range next.Owners {
		if !slices.Contains(now, o) {
			out = append(out, apitype.Changed{What: "owner", After: name(o)})
		}
	}
	return out, nil
}
