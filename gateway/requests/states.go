// Package requests is where rights are asked for, agreed to and taken back. It keeps the rows that people see. What counts
// is at the signer, which checks each approval by itself: a row here gives nobody anything.
//
// A request is pending until enough people have agreed, which makes it a grant, or until somebody denies it, its asker
// withdraws it, or its time is up. states.go has all changes in one table.
package requests

import (
	"fmt"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// event is what happens to a request.
type event string

const (
	agree    event = "approved"  // one more agrees, and somebody is missing still
	complete event = "granted"   // the last one agrees
	deny     event = "denied"    // somebody who could agree says no
	withdraw event = "withdrawn" // by its asker, or the grant by whoever may
	expire   event = "expired"   // nobody answered in time
	use      event = "used"      // a session is opened under the grant
)

// next has every change of state. What is not here must not happen.
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
		return errkind.New(errkind.Conflict, fmt.Sprintf("this request is %s, so it cannot be %s", q.State, e)).
			WithHint("`sallyport request list` shows what is pending.")
	}
	q.State = to
	return nil
}
