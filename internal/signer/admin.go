package signer

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// MaxTokenTime bounds an API token's life.
const MaxTokenTime = 90 * 24 * time.Hour

// PutDevice implements Signer: it admits a device, or changes its site or labels.
func (s *Service) PutDevice(ctx context.Context, by Evidence, d Device) (Appended, error) {
	who, err := s.allowed(ctx, by, authz.DutyAdminister)
	if err != nil {
		return Appended{}, err
	}
	if _, err := id.ParseDevice(string(d.Name)); err != nil {
		return Appended{}, errkind.New(errkind.Usage, err.Error())
	}
	if d.HostKey.PublicKey == nil || wire.Fingerprint(d.HostKey) != d.FP {
		return Appended{}, errkind.New(errkind.Usage, "the device's fingerprint is not that of its host key")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.withdrawn(by); err != nil {
		return Appended{}, err
	}
	old, known := s.state.devices[d.FP]
	if was, logged := s.lost[d.FP.String()]; logged && !known {
		old = was
		old.FP = d.FP
	}
	if other, ok := s.state.byName(d.Name); ok && other.FP != d.FP {
		return Appended{}, errkind.New(errkind.Conflict, fmt.Sprintf("another device has the name %s", d.Name))
	}
	switch {
	case old.State == wire.StateRevoked:
		return Appended{}, errkind.New(errkind.Conflict, fmt.Sprintf("%s was revoked; a revoked key stays so", old.Name)).
			WithHint("Remove the state directory on the device, so that it makes new keys, and enrol it again.")
	case known && old.State == wire.StateLocked && d.State == wire.StateOK: // a label must not lift a lock in passing
		return Appended{}, errkind.New(errkind.Conflict, fmt.Sprintf("%s is locked; admit it again first", old.Name))
	}
	typ := "admitted"
	if known && old.State == d.State && old.Name == d.Name {
		typ = "label"
	}
	said, err := s.second(ctx, who, s.relabelled(old, d, by))
	if err != nil {
		return Appended{}, err
	}
	d.State, d.Revision = wire.StateOK, old.Revision+1
	d.Epoch = nextEpoch(old.Epoch, s.cfg.Now())
	labels := slices.Sorted(maps.Keys(d.Labels))
	fields := map[string]string{"device": string(d.Name), "fp": d.FP.String(), "site": d.Site}
	for _, l := range labels {
		fields[labelField+l] = d.Labels[l]
	}
	maps.Copy(fields, said)
	out, err := s.event(ctx, typ, who.ID.String(), fields)
	if err != nil {
		return out, err
	}
	defer s.resnap()
	if err := s.state.putDevice(d); err != nil {
		return out, err
	}
	return out, s.settle(said)
}

// Restrict implements Signer: it locks or revokes. It needs no evidence, because it only takes away.
func (s *Service) Restrict(ctx context.Context, device wire.Hash, state, why string) (Appended, error) {
	if state != wire.StateRevoked && state != wire.StateLocked {
		return Appended{}, errkind.New(errkind.Usage, "a device can be restricted to locked or revoked")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.state.devices[device]
	if !ok {
		return Appended{}, errkind.New(errkind.NotFound, "no such device")
	}
	if d.State == wire.StateRevoked && state == wire.StateLocked {
		return Appended{}, errkind.New(errkind.Conflict, fmt.Sprintf("%s was revoked, which is more than locked", d.Name))
	}
	out, err := s.event(ctx, state, "", map[string]string{"device": string(d.Name), "fp": d.FP.String(), "why": why})
	if err != nil {
		return out, err
	}
	d.State, d.Epoch, d.Revision = state, nextEpoch(d.Epoch, s.cfg.Now()), d.Revision+1
	defer s.resnap()
	return out, s.state.putDevice(d)
}

// nextEpoch never falls, also when the clock does.
func nextEpoch(old uint64, now time.Time) uint64 { return max(old+1, uint64(now.Unix())) }

// ApplyPolicy implements Signer.
func (s *Service) ApplyPolicy(ctx context.Context, by Evidence, files []PolicyFile, reason string) (Policy, error) {
	who, err := s.allowed(ctx, by, authz.DutyAdminister)
	if err != nil {
		return Policy{}, err
	}
	return s.storePolicy(ctx, by, files, who, reason)
}

// configured is the configuration as who makes a change.
const configured = "configuration"

// storePolicy stores a version on evidence; without evidence it is the configuration's.
func (s *Service) storePolicy(ctx context.Context, e Evidence, files []PolicyFile, who authz.Person, reason string) (Policy, error) {
	p, err := LoadPolicy(files)
	if err != nil {
		return Policy{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.withdrawn(e); err != nil {
		return Policy{}, err
	}
	said, err := s.second(ctx, who, change{kind: ProposedPolicy, to: files, reason: reason, gains: s.gainsOf(p, who.ID), by: e})
	if err != nil {
		return Policy{}, err
	}
	by := configured
	if !who.ID.IsZero() {
		by = who.ID.String()
	}
	next := Policy{Version: max(s.state.policy.Version, s.policySeen) + 1, SHA256: p.SHA256(), Files: files, By: by,
		Reason: reason, At: s.cfg.Now().UTC(), ProposedBy: said["proposed_by"], Unconfirmed: said["unconfirmed"] != ""}
	maps.Copy(said, map[string]string{"version": fmt.Sprint(next.Version), "sha256": next.SHA256.String(), "reason": reason})
	leaf, err := s.event(ctx, "policy", by, said)
	if err != nil {
		return Policy{}, err
	}
	next.Leaf = leaf.Index
	if err := s.state.putPolicy(next); err != nil {
		return Policy{}, err
	}
	s.snapshot = &authz.Snapshot{Policy: p}
	s.resnap()
	return next, s.settle(said)
}

// CurrentPolicy implements Signer.
func (s *Service) CurrentPolicy(context.Context) (Policy, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.state.policy
	if s.policySeen > p.Version {
		p.Newest = s.policySeen
	}
	return p, nil
}

// PutToken implements Signer: a signed-in person makes a token for themselves, never one by another token.
func (s *Service) PutToken(ctx context.Context, by Evidence, t Token) (Appended, error) {
	if by.APIToken != "" {
		return Appended{}, errkind.New(errkind.Denied, "an API token cannot make another one").WithHint("Sign in with `sallyport login`.")
	}
	who, err := s.person(ctx, by)
	if err != nil {
		return Appended{}, err
	}
	if who.ID != t.Principal { // also an administrator is nobody else
		return Appended{}, errkind.New(errkind.Denied, "an API token is made by whom it is for")
	}
	t.Groups, t.Name = who.Groups, who.Name
	if t.Machine != "" { // a machine's name is worth what the policy gives it
		if _, err := s.allowed(ctx, by, authz.DutyAdminister); err != nil {
			return Appended{}, err
		}
	}
	return s.storeToken(ctx, by, who.ID.String(), t)
}

// storeToken stores an API token on evidence; without evidence it is the configuration's.
func (s *Service) storeToken(ctx context.Context, e Evidence, by string, t Token) (Appended, error) {
	now := s.cfg.Now()
	if !t.Expires.After(now) || t.Expires.Sub(now) > MaxTokenTime {
		return Appended{}, errkind.New(errkind.Usage, "an API token lives for more than 0 and at most 90 days")
	}
	if t.ID == "" || len(t.ID) > 64 || t.Hash.IsZero() || t.Principal.IsZero() || t.Revoked {
		return Appended{}, errkind.New(errkind.Usage, "an API token has an id, a hash and a principal")
	}
	if _, err := netip.ParsePrefix(t.Network); t.Network != "" && err != nil {
		return Appended{}, errkind.New(errkind.Usage, "the network of an API token is written as 192.0.2.0/24")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.withdrawn(e); err != nil {
		return Appended{}, err
	}
	for _, old := range s.state.tokens {
		if old.ID == t.ID || old.Hash == t.Hash { // or a revoked one could be put back
			return Appended{}, errkind.New(errkind.Conflict, "there is such an API token already")
		}
	}
	out, err := s.event(ctx, "token", by, map[string]string{"id": t.ID, "for": t.Principal.String(), "machine": t.Machine,
		"scopes": strings.Join(t.Scopes, " "), "network": t.Network, "expires": t.Expires.UTC().Format(time.RFC3339)})
	if err != nil {
		return out, err
	}
	return out, s.state.putToken(t)
}

// RevokeToken implements Signer; it only takes away, so who does it is the caller's claim.
func (s *Service) RevokeToken(ctx context.Context, tokenID, why string) (Appended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.state.tokens {
		if t.ID != tokenID {
			continue
		}
		out, err := s.event(ctx, "token", "", map[string]string{"id": t.ID, "revoked": "yes", "why": why})
		if err != nil {
			return out, err
		}
		t.Revoked = true
		return out, s.state.putToken(t)
	}
	return Appended{}, errkind.New(errkind.NotFound, "no such API token")
}

// Seed fills an empty signer: the configured policy becomes version 1, and a demo's tokens become known. It is not
// among the calls of the socket.
func (s *Service) Seed(ctx context.Context, files []PolicyFile, tokens []Token) error {
	p, err := s.CurrentPolicy(ctx)
	if err != nil {
		return err
	}
	if p.Version == 0 {
		if _, err := s.storePolicy(ctx, Evidence{}, files, authz.Person{}, "first start"); err != nil {
			return err
		}
	}
	for _, t := range tokens {
		s.mu.RLock()
		_, known := s.state.tokens[t.Hash]
		s.mu.RUnlock()
		if known {
			continue
		}
		if _, err := s.storeToken(ctx, Evidence{}, configured, t); err != nil {
			return err
		}
	}
	return nil
}

// SeedOwners names the owners of sites that have none at the signer, for a demo. It is not among the calls of the socket.
func (s *Service) SeedOwners(ctx context.Context, sites ...Site) error {
	for _, o := range sites {
		s.mu.RLock()
		_, known := s.state.sites[o.Name]
		s.mu.RUnlock()
		if known {
			continue
		}
		if _, err := s.storeSite(ctx, Evidence{}, authz.Person{}, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) event(ctx context.Context, typ, by string, fields map[string]string) (Appended, error) {
	body, err := ledger.EventBody{By: by, AtMS: s.cfg.Now().UnixMilli(), Fields: fields}.Marshal()
	if err != nil {
		return Appended{}, err
	}
	return s.appendOwn(ctx, typ, nil, body)
}
