package gateway

import (
	"context"
	"sync/atomic"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/signer"
)

// Rules is the gateway's copy of the policy in force. The signer holds the one that counts.
type Rules struct {
	now atomic.Pointer[rulesNow]
}

type rulesNow struct {
	snap    *authz.Snapshot
	version signer.Policy
}

// Policies is the part of the signer that knows the policy.
type Policies interface {
	CurrentPolicy(ctx context.Context) (signer.Policy, error)
}

// Load takes over the policy in force.
func (r *Rules) Load(ctx context.Context, from Policies) error {
	p, err := from.CurrentPolicy(ctx)
	if err != nil {
		return err
	}
	loaded, err := signer.LoadPolicy(p.Files)
	if err != nil {
		return err
	}
	r.now.Store(&rulesNow{snap: authz.NewSnapshot(loaded, nil), version: p})
	return nil
}

// Snapshot gives what decisions rest on; without a policy it refuses everything.
func (r *Rules) Snapshot() *authz.Snapshot {
	if n := r.now.Load(); n != nil {
		return n.snap
	}
	return &authz.Snapshot{}
}

// Version gives the policy as it was stored.
func (r *Rules) Version() signer.Policy {
	if n := r.now.Load(); n != nil {
		return n.version
	}
	return signer.Policy{}
}
