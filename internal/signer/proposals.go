package signer

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// Proposal is a change that gives people more. It takes effect when another administrator makes the same change.
type Proposal struct {
	ID      string          `json:"id"`      // of the change: the same change has the same id
	Kind    string          `json:"kind"`    // one of the Proposed… words
	Subject string          `json:"subject"` // the device or the site; of a policy empty
	Change  json.RawMessage `json:"change"`  // []PolicyFile, Device, Site or []Mapping
	By      id.Principal    `json:"by"`      // zero: the configuration
	Name    string          `json:"name"`
	Reason  string          `json:"reason,omitempty"`
	At      time.Time       `json:"at"`
	Gains   []authz.Gain    `json:"gains"`
	Count   int             `json:"count"`   // of gains
	Devices int             `json:"devices"` // of the gain that concerns most
	Policy  wire.Hash       `json:"policy"`  // in force when it was made: gains mean something under that alone
	Base    wire.Hash       `json:"base"`    // of what it replaces: labels or owners
	Leaf    uint64          `json:"leaf"`    // of type proposed
}

// Expires is when it can no longer be confirmed. The zero time means never: the configuration proposes until it is changed.
func (p *Proposal) Expires() time.Time {
	if p.By.IsZero() {
		return time.Time{}
	}
	return p.At.Add(proposedFor)
}

func (p *Proposal) proposer() string {
	if p.By.IsZero() {
		return configured
	}
	return p.By.String()
}

// Kinds of proposals.
const (
	ProposedPolicy = "policy"
	ProposedLabels = "labels" // or the site of a device
	ProposedOwners = "owners" // of a site
	ProposedGroups = "groups" // of identity providers, which the configuration maps
)

const (
	// proposedFor is how long a proposal waits. After that the same change is a new proposal.
	proposedFor = 14 * 24 * time.Hour
	// mostProposals bounds those that wait, and mostOfProposer those of one person.
	mostProposals, mostOfProposer = 100, 20
	// mostGains and mostChange bound a proposal. Whoever confirms it reads all of it, and one answer has room for it.
	mostGains, mostChange = 1000, 2 << 20
)

// change is what an administrator wants to change.
type change struct {
	kind, subject string
	from          any // what it replaces, if that is not the policy
	to            any // []PolicyFile, Device, Site or []Mapping, without fields that differ between two calls
	reason        string
	gains         []authz.Gain
	by            Evidence
}

// second decides whether a change takes effect now, and gives what its leaf says about that. It does if it gives nobody
// more, if another administrator proposed the same change and it gives no more than was proposed, or if nobody else
// could confirm it. Otherwise it becomes a proposal, and the error says so. The caller holds s.mu.
func (s *Service) second(ctx context.Context, who authz.Person, c change) (said map[string]string, err error) {
	said = map[string]string{}
	if who.ID.IsZero() { // the configuration at the first start
		return said, nil
	}
	proposal, raw, err := c.id()
	if err != nil {
		return nil, err
	}
	p, waits := s.waiting(proposal)
	current := p.Base == c.base() && (p.Policy == s.state.policy.SHA256 || c.kind == ProposedGroups) // mappings depend on no policy
	expected := waits && current && authz.Expected(c.gains, p.Gains)
	own := s.snapshot.Policy.Same(p.By, who.ID)
	switch {
	case c.by.Confirms != 0 && (!waits || p.Leaf != c.by.Confirms):
		return nil, errkind.New(errkind.Conflict, "this proposal was changed, confirmed or withdrawn since you read it").
			WithHint("Read it again: `sallyport proposals list`.")
	case c.by.Confirms != 0 && !current:
		return nil, errkind.New(errkind.Conflict, "what this proposal would replace has changed since it was made").
			WithHint("Withdraw it, and propose the change again: it would undo what happened meanwhile.")
	case len(c.gains) == 0:
	case expected && !own && c.by.APIToken != "":
		return nil, errkind.New(errkind.Denied, "an API token cannot confirm a change").WithHint("Sign in with `sallyport login`.")
	case expected && !own && s.stillAdministers(p.By):
		said["proposed_by"] = p.proposer() // what people gain is in the leaf of the proposal
	case s.administrators() < 2:
		said["unconfirmed"], said["gains"] = "yes", gainsText(c.gains)
	case expected && own:
		return nil, errkind.New(errkind.Conflict, "you proposed this change, so another administrator has to confirm it").
			WithHint(confirmHint(p.ID))
	default:
		return nil, s.propose(ctx, who, proposal, c, raw)
	}
	if waits {
		said["proposal"] = p.ID
	}
	return said, nil
}

// settle removes the proposal of a change that has been made. If the signer is killed before, it reads in the log that the
// change was made.
func (s *Service) settle(said map[string]string) error {
	if said["proposal"] == "" {
		return nil
	}
	return s.state.dropProposal(said["proposal"])
}

func confirmHint(proposal string) string {
	return fmt.Sprintf("Another administrator finds it on the page Requests, or confirms it with `sallyport proposals confirm %s`.", proposal)
}

// waiting finds a proposal that has not expired. The configuration proposes until it is changed.
func (s *Service) waiting(proposal string) (Proposal, bool) {
	p, known := s.state.proposals[proposal]
	return p, known && (p.By.IsZero() || s.cfg.Now().Before(p.Expires()))
}

// propose stores a change as a proposal, and gives the error that says so.
func (s *Service) propose(ctx context.Context, who authz.Person, proposal string, c change, raw []byte) error {
	p := Proposal{ID: proposal, Kind: c.kind, Subject: c.subject, Change: raw, By: who.ID, Name: showable(who.Name),
		Reason: c.reason, At: s.cfg.Now().UTC(), Gains: c.gains, Count: len(c.gains), Devices: authz.CountDevices(c.gains), Policy: s.state.policy.SHA256, Base: c.base()}
	if len(c.gains) > mostGains || len(raw) > mostChange {
		return errkind.New(errkind.Usage, fmt.Sprintf("a second administrator has to confirm this, and would have to read %d gains in a change of %d KB; "+
			"the limits are %d and %d KB", len(c.gains), len(raw)>>10, mostGains, mostChange>>10)).WithHint("Make it in smaller steps.")
	}
	if err := s.roomForProposal(&p); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // as in Approve
	leaf, err := s.event(ctx, proposedLeaf, p.proposer(), map[string]string{"proposal": p.ID, "kind": p.Kind, "subject": p.Subject,
		"reason": p.Reason, "change": wire.Sum(raw).String(), "gains": gainsText(p.Gains)})
	if err != nil {
		return err
	}
	p.Leaf = leaf.Index
	if err := s.state.putProposal(p); err != nil {
		return err
	}
	text := "the change waits for another administrator, because it gives people more rights. They gain: "
	if c.by.Confirms != 0 {
		text = "the change was not made: it would now give people more than was proposed, or its proposer no longer has the duty administer. " +
			"It is now your proposal. They would gain: "
	}
	return errkind.New(errkind.Conflict, text+someGains(p.Gains)).WithHint(confirmHint(p.ID))
}

// roomForProposal forgets proposals that have expired, and refuses one more if too many wait.
func (s *Service) roomForProposal(next *Proposal) error {
	others, own := 0, 0
	for proposal, p := range s.state.proposals {
		if _, waits := s.waiting(proposal); !waits {
			if err := s.state.dropProposal(proposal); err != nil {
				return err
			}
		} else if proposal != next.ID {
			others++
			if p.By == next.By {
				own++
			}
		}
	}
	if others >= mostProposals || own >= mostOfProposer {
		return errkind.New(errkind.TooMany, fmt.Sprintf("%d changes wait for a second administrator, %d of them yours; the limits are %d and %d", others, own,
			mostProposals, mostOfProposer)).WithHint("Confirm or withdraw some of them: `sallyport proposals list`.")
	}
	return nil
}

// Leaves about proposals.
const (
	proposedLeaf = "proposed"
	droppedLeaf  = "dropped"
)

// base gives the hash of what a change replaces.
func (c *change) base() wire.Hash {
	raw, err := json.Marshal(c.from)
	if err != nil {
		return wire.Hash{}
	}
	return wire.Sum(raw)
}

// id gives the id of a change, and its encoding.
func (c *change) id() (proposal string, raw []byte, err error) {
	raw, err = json.Marshal(c.to)
	sum := wire.Sum(append([]byte(c.kind+"\x00"), raw...))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:26], raw, err
}

// Proposals implements Signer.
func (s *Service) Proposals(context.Context) ([]Proposal, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := []Proposal{}
	for _, proposal := range slices.Sorted(maps.Keys(s.state.proposals)) {
		if p, waits := s.waiting(proposal); waits {
			p.Change, p.Gains = nil, nil
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Proposal) int { return b.At.Compare(a.At) })
	return out, nil
}

// Proposal implements Signer.
func (s *Service) Proposal(_ context.Context, proposal string) (Proposal, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, waits := s.waiting(proposal)
	if !waits {
		return p, errNoProposal
	}
	return p, nil
}

var errNoProposal = errkind.New(errkind.NotFound, "no such change waits for a second administrator").
	WithHint("It may have been confirmed or withdrawn, or have expired. `sallyport proposals list` shows what waits.")

// DropProposal implements Signer. It needs no evidence, because it only takes away.
func (s *Service) DropProposal(ctx context.Context, proposal, why string) (Appended, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, waits := s.waiting(proposal)
	if !waits {
		return Appended{}, errNoProposal
	}
	if p.By.IsZero() {
		return Appended{}, errkind.New(errkind.Conflict, "the configuration proposes this, so it cannot be withdrawn here").
			WithHint("Remove the entries from [identity.groups], and restart the gateway and the signer.")
	}
	ctx = context.WithoutCancel(ctx) // as in Approve
	out, err := s.event(ctx, droppedLeaf, "", map[string]string{"proposal": p.ID, "kind": p.Kind, "subject": p.Subject, "why": why})
	if err != nil {
		return out, err
	}
	return out, s.state.dropProposal(p.ID)
}
