package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerProposals() {
	handle(a, huma.Operation{OperationID: "list-proposals", Method: http.MethodGet, Path: "/api/v1/proposals", Tags: []string{"proposals"},
		Summary: "Changes that wait for a second administrator, newest first", Description: "Needs the duty administer or review."}, a.listProposals)
	handle(a, huma.Operation{OperationID: "get-proposal", Method: http.MethodGet, Path: "/api/v1/proposals/{id}", Tags: []string{"proposals"},
		Summary: "Show one proposal, with what would change", Description: "Needs the duty administer or review."}, a.getProposal)
	handle(a, huma.Operation{OperationID: "confirm-proposal", Method: http.MethodPost, Path: "/api/v1/proposals/{id}/confirm", Tags: []string{"proposals"},
		Summary: "Confirm a change that another administrator proposed", Description: "Needs the duty administer. It holds at once; live sessions are decided again. " +
			"If the change would now give more than it did when it was proposed, it is refused and becomes the caller's own proposal."}, a.confirmProposal)
	handle(a, huma.Operation{OperationID: "withdraw-proposal", Method: http.MethodPost, Path: "/api/v1/proposals/{id}/withdraw", Tags: []string{"proposals"},
		Summary: "Withdraw one's own proposal, or another administrator's", Description: "Needs the duty administer."}, a.withdrawProposal)
}

// maybeProposed describes changes that may have to wait.
const maybeProposed = "If it gives people more than they have, and there is a second administrator, the answer is 409 and the change waits as a proposal."

// wholeID is the length of a proposal's id.
const wholeID = 26

// ProposalID is the part of an address that names a proposal.
type ProposalID struct {
	ID string `path:"id" maxLength:"100" doc:"or the first characters of it, at least 4"`
}

func (a *API) listProposals(ctx context.Context, who *Asker, _ *struct{}) (*answer[[]apitype.Proposal], error) {
	if err := who.reads(); err != nil {
		return nil, err
	}
	all, err := a.cfg.Signer.Proposals(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]apitype.Proposal, len(all))
	for i, p := range all {
		out[i] = shownProposal(who, p, nil)
	}
	return body(out)
}

func (a *API) getProposal(ctx context.Context, who *Asker, in *ProposalID) (*answer[apitype.Proposal], error) {
	if err := who.reads(); err != nil {
		return nil, err
	}
	p, err := a.proposal(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	people, err := a.cfg.Store.Principals(ctx)
	if err != nil {
		return nil, err
	}
	out := shownProposal(who, p, people)
	out.Changes, err = a.changesOf(ctx, p, people)
	return &answer[apitype.Proposal]{out}, err
}

// proposal finds a proposal by its id or the first characters of it.
func (a *API) proposal(ctx context.Context, prefix string) (signer.Proposal, error) {
	if len(prefix) == wholeID {
		return a.cfg.Signer.Proposal(ctx, prefix)
	}
	all, err := a.cfg.Signer.Proposals(ctx)
	if err != nil {
		return signer.Proposal{}, err
	}
	var found []string
	for _, p := range all {
		if len(p.ID) >= len(prefix) && p.ID[:len(prefix)] == prefix {
			found = append(found, p.ID)
		}
	}
	if len(found) > 1 {
		return signer.Proposal{}, errkind.New(errkind.Usage, "more than one proposal begins with "+prefix).WithHint("Use more characters of its id.")
	}
	if len(found) == 0 || len(prefix) < 4 {
		return signer.Proposal{}, errkind.New(errkind.NotFound, fmt.Sprintf("no waiting change has an id that begins with %q", prefix)).
			WithHint("`sallyport proposals list` shows those that wait. Give at least 4 characters.")
	}
	return a.cfg.Signer.Proposal(ctx, found[0])
}

// shownProposal counts the people who are known here. A group without known members counts as 0.
func shownProposal(who *Asker, p signer.Proposal, people []store.Principal) apitype.Proposal {
	out := apitype.Proposal{ID: p.ID, Kind: p.Kind, Subject: p.Subject, By: or(p.Name, p.By.Subject), Mine: who.is(p.By), Reason: p.Reason,
		At: p.At.UTC(), Expires: when(p.Expires()), Entry: p.Leaf, Count: p.Count, Devices: p.Devices}
	for _, g := range p.Gains {
		shown := apitype.Gain{Who: g.Who, What: g.What, How: g.How, Rule: g.Rule, Devices: g.Devices, More: g.More, Where: g.Where}
		for _, x := range people {
			if x.ID.String() == g.Who {
				shown.Who = or(x.Name, x.ID.Subject)
			}
		}
		out.Gains = append(out.Gains, shown)
	}
	for _, x := range people {
		if slices.ContainsFunc(p.Gains, func(g authz.Gain) bool { return g.IsFor(authz.Person{ID: x.ID, Groups: x.Groups}) }) {
			out.People++
		}
	}
	return out
}

// changesOf says what a proposal would change, in words.
func (a *API) changesOf(ctx context.Context, p signer.Proposal, people []store.Principal) ([]apitype.Changed, error) {
	switch p.Kind {
	case signer.ProposedPolicy:
		return a.policyChanges(p)
	case signer.ProposedLabels:
		return a.labelChanges(ctx, p)
	case signer.ProposedGroups:
		return groupChanges(p)
	}
	return a.ownerChanges(ctx, p, people)
}

func (a *API) confirmProposal(ctx context.Context, who *Asker, in *struct {
	ProposalID
	Body apitype.ProposalConfirm
}) (*answer[apitype.Proposal], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	p, err := a.proposal(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	confirms := *who
	confirms.Evidence.Confirms = in.Body.Entry
	if in.Body.Entry == 0 {
		return nil, errkind.New(errkind.Usage, "the entry of the proposal is missing").WithHint("Read the proposal: it names its entry of the log.")
	}
	if err := a.repeat(context.WithoutCancel(ctx), &confirms, p); err != nil {
		return nil, err
	}
	return body(shownProposal(who, p, nil))
}

// repeat makes the change of a proposal on the caller's evidence. The signer recognizes it.
func (a *API) repeat(ctx context.Context, who *Asker, p signer.Proposal) error {
	switch p.Kind {
	case signer.ProposedPolicy:
		var files []signer.PolicyFile
		if err := json.Unmarshal(p.Change, &files); err != nil {
			return err
		}
		_, err := a.putPolicy(ctx, who, files, p.Reason)
		return err
	case signer.ProposedLabels:
		var d signer.Device
		if err := json.Unmarshal(p.Change, &d); err != nil {
			return err
		}
		_, err := a.cfg.Office.Place(ctx, who.Evidence, who.actor(), d)
		a.cfg.Broker.Revalidate(ctx)
		return err
	case signer.ProposedOwners:
		return a.repeatOwners(ctx, who, p)
	case signer.ProposedGroups:
		return a.mapGroups(ctx, who, p)
	}
	return fmt.Errorf("a proposal of the kind %q", p.Kind)
}

func (a *API) repeatOwners(ctx context.Context, who *Asker, p signer.Proposal) error {
	var s signer.Site
	if err := json.Unmarshal(p.Change, &s); err != nil {
		return err
	}
	return a.cfg.Desk.Alone(ctx, func() error {
		site, _, err := a.siteAndPeople(ctx, s.Name)
		if err == nil {
			site.Owners = s.Owners
			_, err = a.putOwners(ctx, who, site)
		}
		return err
	})
}

// mapGroups confirms mappings of the configuration. People get the groups at their next sign-in or refresh.
func (a *API) mapGroups(ctx context.Context, who *Asker, p signer.Proposal) error {
	var added []signer.Mapping
	if err := json.Unmarshal(p.Change, &added); err != nil {
		return err
	}
	leaf, err := a.cfg.Signer.MapGroups(ctx, who.Evidence, added)
	if err != nil {
		return err
	}
	return errors.Join(a.cfg.Rules.Load(ctx, a.cfg.Signer), a.cfg.Audit.Index(ctx, leaf.Index, "group-map", who.Person.ID.String(), "groups"))
}

func (a *API) withdrawProposal(ctx context.Context, who *Asker, in *struct {
	ProposalID
	Body apitype.Reason
}) (*nothing, error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	p, err := a.proposal(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx)
	leaf, err := a.cfg.Signer.DropProposal(ctx, p.ID, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Audit.Index(ctx, leaf.Index, "dropped", who.Person.ID.String(), or(p.Subject, p.Kind))
}
