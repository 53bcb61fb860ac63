package signer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
)

// Mapping says that a group of an identity provider is a group of the policy. Mappings are in the configuration. A new one
// has no effect until an administrator confirms it: the author of the configuration could otherwise give any group a duty.
type Mapping struct {
	Issuer string `json:"issuer"`
	From   string `json:"from"` // as the provider sends it
	To     string `json:"to"`   // as the policy names it
}

func (m Mapping) compare(o Mapping) int {
	return cmp.Or(strings.Compare(m.Issuer, o.Issuer), strings.Compare(m.From, o.From), strings.Compare(m.To, o.To))
}

// mappingLeaf is the type of leaves about mappings.
const mappingLeaf = "group-map"

// Configure tells the signer the mappings of the configuration. Those that were removed have no effect any more. New ones
// become a proposal. At the first start, and if nobody could confirm them, they take effect at once. The socket does not
// offer this call.
func (s *Service) Configure(ctx context.Context, all []Mapping) error {
	all = slices.Clone(all)
	slices.SortFunc(all, Mapping.compare)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configured = all
	var kept, added []Mapping
	for _, m := range all {
		if s.state.mappings[m] {
			kept = append(kept, m)
		} else {
			added = append(added, m)
		}
	}
	first := !s.state.mapped
	if err := s.dropOtherMappings(added); err != nil {
		return err
	}
	if len(added) > 0 && !first && s.confirmable(kept) {
		if err := s.keepMappings(kept); err != nil {
			return err
		}
		return s.proposeMappings(ctx, added)
	}
	if len(added) > 0 {
		said := map[string]string{"added": mappingsText(added)}
		if !first {
			said["unconfirmed"] = "yes"
			cmp.Or(s.cfg.Log, slog.New(slog.DiscardHandler)).Warn("new mappings of groups are in force unconfirmed, because no other gives the duty administer",
				slog.String("mappings", mappingsText(added)))
		}
		if _, err := s.event(ctx, mappingLeaf, configured, said); err != nil {
			return err
		}
	}
	if !first && len(added) == 0 && len(kept) == len(s.state.mappings) {
		return nil
	}
	return s.keepMappings(all)
}

// confirmable reports whether one of the mappings leads to the duty to administer. If none does, nobody could confirm others.
func (s *Service) confirmable(kept []Mapping) bool {
	return slices.ContainsFunc(kept, func(m Mapping) bool {
		return slices.Contains(s.snapshot.Policy.Duties([]string{m.To}), authz.DutyAdminister)
	})
}

// dropOtherMappings removes proposals of an earlier configuration.
func (s *Service) dropOtherMappings(added []Mapping) error {
	c := mappingChange(added)
	same, _, err := c.id()
	for proposal, p := range s.state.proposals {
		if p.Kind == ProposedGroups && proposal != same && err == nil {
			err = s.state.dropProposal(proposal)
		}
	}
	return err
}

// proposeMappings makes a proposal in the name of the configuration, unless it waits already.
func (s *Service) proposeMappings(ctx context.Context, added []Mapping) error {
	cmp.Or(s.cfg.Log, slog.New(slog.DiscardHandler)).Warn("new mappings of groups have no effect until an administrator confirms them",
		slog.String("mappings", mappingsText(added)))
	c := mappingChange(added)
	proposal, raw, err := c.id()
	if _, waits := s.waiting(proposal); waits || err != nil {
		return err
	}
	err = s.propose(ctx, authz.Person{Name: configured}, proposal, c, raw)
	if errkind.KindOf(err) == errkind.Conflict { // propose reports the stored proposal as a Conflict
		return nil
	}
	return err
}

func mappingChange(added []Mapping) change {
	c := change{kind: ProposedGroups, to: added}
	for _, m := range added {
		c.gains = append(c.gains, authz.Gain{Who: fmt.Sprintf("%s at %s", m.From, m.Issuer), What: "is mapped to the group " + m.To, How: "in the configuration"})
	}
	return c
}

// MapGroups implements Signer.
func (s *Service) MapGroups(ctx context.Context, by Evidence, added []Mapping) (Appended, error) {
	who, err := s.allowed(ctx, by, authz.DutyAdminister)
	if err != nil {
		return Appended{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.withdrawn(by); err != nil {
		return Appended{}, err
	}
	for _, m := range added {
		if !slices.Contains(s.configured, m) {
			return Appended{}, errkind.New(errkind.Conflict, fmt.Sprintf("the configuration does not map %q of %s to %q", m.From, m.Issuer, m.To)).
				WithHint("Add it to [identity.groups] first, and restart the gateway and the signer.")
		}
	}
	c := mappingChange(added)
	c.by = by
	if proposal, _, err := c.id(); err != nil {
		return Appended{}, err
	} else if _, waits := s.waiting(proposal); !waits {
		return Appended{}, errNoProposal
	}
	said, err := s.second(ctx, who, c)
	if err != nil {
		return Appended{}, err
	}
	said["added"] = mappingsText(added)
	out, err := s.event(ctx, mappingLeaf, who.ID.String(), said)
	if err != nil {
		return out, err
	}
	next := maps.Clone(s.state.mappings)
	for _, m := range added {
		next[m] = true
	}
	if err := s.keepMappings(slices.SortedFunc(maps.Keys(next), Mapping.compare)); err != nil {
		return out, err
	}
	return out, s.settle(said)
}

// Mappings implements Signer.
func (s *Service) Mappings(context.Context) ([]Mapping, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(s.state.mappings), Mapping.compare), nil
}

// Counts reports whether a mapping is in force.
func (s *Service) Counts(m Mapping) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state.mappings[m]
}

func (s *Service) keepMappings(all []Mapping) error {
	if all == nil {
		all = []Mapping{}
	}
	return s.state.putMappings(all)
}

func mappingsText(all []Mapping) string {
	lines := make([]string, len(all))
	for i, m := range all {
		lines[i] = fmt.Sprintf("%s of %s: %s", m.From, m.Issuer, m.To)
	}
	return strings.Join(lines, "\n")
}
