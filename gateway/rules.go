package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
)

// Rules is the gateway's copy of the policy, of the grants and of the mappings of groups in force. The signer's copy is authoritative.
type Rules struct {
	load sync.Mutex // what was read later is stored later
	now  atomic.Pointer[rulesNow]
}

type rulesNow struct {
	snap     *authz.Snapshot
	version  signer.Policy
	mappings []signer.Mapping
}

// Policies is the part of the signer that provides the policy, grants and mappings.
type Policies interface {
	CurrentPolicy(ctx context.Context) (signer.Policy, error)
	Grants(ctx context.Context, after string) ([]signer.Consent, error)
	Mappings(ctx context.Context) ([]signer.Mapping, error)
}

// Load takes over the policy and the grants in force.
func (r *Rules) Load(ctx context.Context, from Policies) error {
	r.load.Lock()
	defer r.load.Unlock()
	p, err := from.CurrentPolicy(ctx)
	if err != nil {
		return err
	}
	consents, err := signer.AllGrants(ctx, from)
	if err != nil {
		return err
	}
	mappings, err := from.Mappings(ctx)
	if err != nil {
		return err
	}
	loaded, err := signer.LoadStoredPolicy(p.Files)
	if err != nil {
		return err
	}
	var grants []authz.Grant
	for _, c := range consents {
		if g, ok := c.AsGrant(); ok {
			grants = append(grants, g)
		}
	}
	r.now.Store(&rulesNow{snap: authz.NewSnapshot(loaded, grants), version: p, mappings: mappings})
	return nil
}

// Snapshot gives the snapshot that decisions use. Without a policy it refuses everything.
func (r *Rules) Snapshot() *authz.Snapshot {
	if n := r.now.Load(); n != nil {
		return n.snap
	}
	return &authz.Snapshot{}
}

// Counts reports whether a mapping of groups is in force.
func (r *Rules) Counts(m signer.Mapping) bool {
	n := r.now.Load()
	return n != nil && slices.Contains(n.mappings, m)
}

// Ignored reports rules of the policy in force that an earlier release stored and that give nothing now. The error
// names no rule, since it is shown to everybody.
func (r *Rules) Ignored() error {
	ignored := r.Snapshot().Policy.Ignored()
	if len(ignored) == 0 {
		return nil
	}
	return errkind.New(errkind.Conflict, fmt.Sprintf("version %d has parts that give nothing (%d): run without \"as\", "+
		"or a role that is too large for a pass", r.Version().Version, len(ignored)))
}

// Version gives the policy as it was stored.
func (r *Rules) Version() signer.Policy {
	if n := r.now.Load(); n != nil {
		return n.version
	}
	return signer.Policy{}
}
