package signer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Site is the signer's own copy of who owns a site. They approve where a rule names @owner.
type Site struct {
	Name   string         `json:"name"`
	Owners []id.Principal `json:"owners"`
}

// mostOwners bounds the owners of a site, so that one leaf has room for their names.
const mostOwners = 64

// PutSite implements Signer: it replaces the owners of a site. Nobody adds themself.
func (s *Service) PutSite(ctx context.Context, by Evidence, site Site) (Appended, error) {
	who, err := s.allowed(ctx, by, authz.DutyAdminister)
	if err != nil {
		return Appended{}, err
	}
	return s.storeSite(ctx, by, who, site)
}

// storeSite stores the owners of a site on evidence; without evidence they are the configuration's.
func (s *Service) storeSite(ctx context.Context, e Evidence, who authz.Person, site Site) (Appended, error) {
	if !wire.PlainText(site.Name, wire.MaxGrantText) || site.Name == "" || len(site.Owners) > mostOwners {
		return Appended{}, errkind.New(errkind.Usage, fmt.Sprintf("a site has a name of plain text and at most %d owners", mostOwners))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.withdrawn(e); err != nil {
		return Appended{}, err
	}
	by := who.ID
	c := change{kind: ProposedOwners, subject: site.Name, from: s.state.sites[site.Name].Owners, to: site, gains: s.ownerGains(site), by: e}
	if !by.IsZero() && s.ownsAlso(site, by) && !s.proposedByAnother(&c, by) {
		return Appended{}, errkind.New(errkind.Denied, "you cannot make yourself the owner of a site").
			WithHint("Owners see recordings and approve requests, so another administrator has to add you.")
	}
	said, err := s.second(ctx, who, c)
	if err != nil {
		return Appended{}, err
	}
	actor := configured
	if !by.IsZero() {
		actor = by.String()
	}
	maps.Copy(said, map[string]string{"subject": site.Name, "owners": ownersText(site.Owners),
		"before": ownersText(s.state.sites[site.Name].Owners)})
	out, err := s.event(ctx, ownersLeaf, actor, said)
	if err != nil {
		return out, err
	}
	if err := s.state.putSite(site); err != nil {
		return out, err
	}
	return out, s.settle(said)
}

// proposedByAnother reports whether another person made this change before, who then adds the one who confirms it.
func (s *Service) proposedByAnother(c *change, by id.Principal) bool {
	proposal, _, err := c.id()
	p, waits := s.waiting(proposal)
	return err == nil && waits && !s.snapshot.Policy.Same(p.By, by)
}

// ownsAlso reports whether an account of a person is among the new owners of a site. The caller holds s.mu.
func (s *Service) ownsAlso(site Site, by id.Principal) bool {
	return slices.ContainsFunc(site.Owners, func(o id.Principal) bool {
		return s.snapshot.Policy.Same(o, by) && !s.state.owns(site.Name, o)
	})
}

// ownersLeaf is the type of the leaves that name the owners of a site.
const ownersLeaf = "owners"

func ownersText(all []id.Principal) string {
	words := make([]string, len(all))
	for i, p := range all {
		words[i] = p.String()
	}
	return strings.Join(words, "\n")
}

// ownersOf reads the owners of a leaf. It skips lines that are not principals: a missing owner only loses rights.
func ownersOf(body ledger.EventBody) (out []id.Principal) {
	for line := range strings.SplitSeq(body.Fields["owners"], "\n") {
		if p, err := id.ParsePrincipal(line); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// Sites implements Signer: it gives the sites whose owners the signer knows, by name.
func (s *Service) Sites(context.Context) ([]Site, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []Site{}
	for _, name := range slices.Sorted(maps.Keys(s.state.sites)) {
		out = append(out, s.state.sites[name])
	}
	return out, nil
}
