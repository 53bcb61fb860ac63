package gateway

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
)

// Rules is the gateway's copy of the policy in force. The signer's copy is authoritative.
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
	loaded, err := signer.LoadStoredPolicy(p.Files)
	if err != nil {
		return err
	}
	r.now.Store(&rulesNow{snap: authz.NewSnapshot(loaded, nil), version: p})
	return nil
}

// Snapshot gives the snapshot that decisions use. Without a policy it refuses everything.
func (r *Rules) Snapshot() *authz.Snapshot {
	if n := r.now.Load(); n != nil {
		return n.snap
	}
	return &authz.Snapshot{}
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
