// Package requests stores requests for rights and passes answers to the signer. Only the signer's grants give rights. A row
// here gives none.
//
// A request is pending until all necessary approvals are given, which makes it a grant, or until it is denied, withdrawn
// or expired. states.go has all changes in one table.
package requests

import (
	"fmt"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// event is what happens to a request.
type event string

const (
	agree    event = "approved"  // one more approval, and others are missing
	complete event = "granted"   // the last approval
	deny     event = "denied"    // by somebody who could approve
	withdraw event = "withdrawn" // by the requester; a grant also by others
	expire   event = "expired"   // not all approvals came in time
	use      event = "used"      // a session is opened under the grant
)

// next has every change of state. All others are refused.
var next = map[string]map[event]string{
	store.RequestPending: {agree: store.RequestPending, complete: store.RequestApproved, deny: store.RequestDenied,
		withdraw: store.RequestWithdrawn, expire: store.RequestExpired},
	store.RequestApproved: {use: store.RequestUsed, withdraw: store.RequestWithdrawn},
	store.RequestUsed:     {use: store.RequestUsed, withdraw: store.RequestWithdrawn},
}

// move changes the state of a request, or says why that cannot be.
func move(q *store.Request, e event) error {
	to, ok := next[q.State][e]
	if !ok {
		return errkind.New(errkind.Conflict, fmt.Sprintf("this request is %s, so it cannot be %s", stateWords[q.State], e)).
			WithHint("`sallyport request list --state pending` lists pending requests.")
	}
	q.State = to
	return nil
}

// stateWords says a state in a sentence.
var stateWords = map[string]string{store.RequestPending: "pending", store.RequestApproved: "already granted", store.RequestUsed: "already granted",
	store.RequestDenied: "denied", store.RequestWithdrawn: "withdrawn", store.RequestExpired: "expired"}
