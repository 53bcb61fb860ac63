package signer

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Voice is one person who agreed to terms.
type Voice struct {
	Who  id.Principal `json:"who"`
	Name string       `json:"name"`
	For  []string     `json:"for"` // entries of the rule's agree that they could speak for at that time
	At   time.Time    `json:"at"`
	Leaf uint64       `json:"leaf"` // of type approved
}

// Consent is what the signer knows of one request: who agreed to which terms, and the grant that came of it.
type Consent struct {
	Terms     []byte    `json:"terms"` // ledger.Terms, encoded
	Voices    []Voice   `json:"voices"`
	From      time.Time `json:"from,omitzero"` // zero: not all have agreed
	Until     time.Time `json:"until,omitzero"`
	Leaf      uint64    `json:"leaf,omitempty"` // of type granted
	Emergency bool      `json:"emergency,omitempty"`
	Alarm     uint64    `json:"alarm,omitempty"`     // of type emergency
	Withdrawn bool      `json:"withdrawn,omitempty"` // or denied; nobody can approve it again
}

// Granted reports whether all have agreed.
func (c *Consent) Granted() bool { return !c.From.IsZero() }

// Approved is the result of one approval.
type Approved struct {
	Leaf    uint64        `json:"leaf"`    // of type approved; 0: nobody had to agree
	Missing []authz.Agree `json:"missing"` // who must agree as well; empty: this is a grant now
	Consent Consent       `json:"consent"`
}

const (
	// mostConsents bounds the requests that the signer remembers. Without a bound, an approver could fill the disk.
	mostConsents = 50_000
	// mostOfPerson bounds the requests with approvals and the grants in force of one person. A rule that needs no
	// approval would give as many as somebody asks for.
	mostOfPerson = 64
	// grantsBytes bounds the terms in one answer of Grants.
	grantsBytes = 1 << 20
	// keptAfter is how long after its end the signer remembers a request, and refuses to approve it again.
	keptAfter = 24 * time.Hour
)

// WithdrawGrant implements Signer. It needs no evidence, because it only takes away.
func (s *Service) WithdrawGrant(ctx context.Context, request, why string) (Appended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.state.consents[request]
	if !known {
		return Appended{}, errkind.New(errkind.NotFound, "the signer knows no such request")
	}
	if c.Withdrawn {
		return Appended{}, errkind.New(errkind.Conflict, "this request was withdrawn already")
	}
	ctx = context.WithoutCancel(ctx) // as in Approve
	out, err := s.event(ctx, "withdrawn", "", map[string]string{"request": request, "why": why})
	if err != nil {
		return out, err
	}
	c.Withdrawn = true
	if err := s.state.putConsent(request, c); err != nil {
		return out, err
	}
	s.resnap()
	return out, nil
}

// Grants implements Signer.
func (s *Service) Grants(_ context.Context, after string) ([]Consent, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now, out, size := s.cfg.Now(), []Consent{}, 0
	for _, request := range slices.Sorted(maps.Keys(s.state.consents)) {
		c := s.state.consents[request]
		if request <= after || !c.Granted() || c.Withdrawn || !now.Before(c.Until) || !s.onItsDevice(&c) {
			continue
		}
		if size += len(c.Terms) + 1024*(1+len(c.Voices)); size > grantsBytes && len(out) > 0 {
			break
		}
		out = append(out, c)
	}
	return out, nil
}

// AllGrants reads the grants in force, one answer after the other.
func AllGrants(ctx context.Context, from interface {
	Grants(ctx context.Context, after string) ([]Consent, error)
}) (out []Consent, err error) {
	for after := ""; ; {
		some, err := from.Grants(ctx, after)
		if err != nil || len(some) == 0 {
			return out, err
		}
		out = append(out, some...)
		last, err := ledger.ParseTerms(some[len(some)-1].Terms)
		if err != nil {
			return nil, err
		}
		after = last.Request
	}
}

// AsGrant converts a consent to the form that decisions use. ok is false if it gives nothing: not all have approved, or it
// was withdrawn.
func (c *Consent) AsGrant() (g authz.Grant, ok bool) {
	t, err := ledger.ParseTerms(c.Terms)
	if err != nil || !c.Granted() || c.Withdrawn {
		return g, false
	}
	asked, err := AskedTerms(t)
	g = authz.Grant{ID: t.Request, Rule: t.Rule, Who: asked.Who, Device: asked.Device, Actions: asked.Actions, From: c.From, Until: c.Until,
		Emergency: c.Emergency}
	for _, v := range c.Voices {
		g.Approvers = append(g.Approvers, cmp.Or(v.Name, v.Who.Subject))
	}
	return g, err == nil
}

// onItsDevice reports whether the device that was asked for still has its name. The caller holds s.mu.
func (s *Service) onItsDevice(c *Consent) bool {
	t, err := ledger.ParseTerms(c.Terms)
	if err != nil {
		return false
	}
	d, known := s.state.byName(id.Device(t.Device))
	return known && d.FP == t.DeviceFP
}

// resnap makes the snapshot for decisions anew, after a change of policy, devices or grants. The caller holds s.mu.
func (s *Service) resnap() {
	var grants []authz.Grant
	for _, c := range s.state.consents {
		if g, ok := c.AsGrant(); ok && s.onItsDevice(&c) {
			grants = append(grants, g)
		}
	}
	s.snapshot = authz.NewSnapshot(s.snapshot.Policy, grants)
}

// A pass with the largest scope has no room left beside the longest texts (authz.MaxScopeSize). To make room for the names
// of approvers, the ticket is cut.
const (
	approverBytes  = 60  // of one name
	approversBytes = 280 // of all, with their CBOR heads
	ticketBytes    = wire.MaxGrantText - approversBytes
)

// approvers names those who agreed to a grant, for the pass.
func (s *Service) approvers(grant string) []string {
	out, room := []string{}, approversBytes
	for _, v := range s.state.consents[grant].Voices {
		name := clip(v.Name, approverBytes)
		if room -= len(name) + 2; room < 0 || len(out) == wire.MaxApprovers {
			break
		}
		out = append(out, name)
	}
	return out
}

// ticket is as much of a ticket as a pass with approvers has room for.
func ticket(text string, approvers []string) string {
	if len(approvers) > 0 {
		return clip(text, ticketBytes)
	}
	return text
}

// clip gives at most n bytes of a text, and no half character.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
