package requests

import (
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// Every state with every event: what is not listed must be refused and leave the request as it is.
func TestEveryChangeThatMustNotHappenIsRefused(t *testing.T) {
	states := []string{store.RequestPending, store.RequestApproved, store.RequestUsed, store.RequestDenied, store.RequestWithdrawn, store.RequestExpired}
	events := []event{agree, complete, deny, withdraw, expire, use}
	may := map[string]map[event]string{
		"pending":  {agree: "pending", complete: "approved", deny: "denied", withdraw: "withdrawn", expire: "expired"},
		"approved": {use: "used", withdraw: "withdrawn"},
		"used":     {use: "used", withdraw: "withdrawn"},
	}
	for _, from := range append(states, "", "unknown") {
		for _, e := range events {
			q := store.Request{State: from}
			err := move(&q, e)
			want, ok := may[from][e]
			if !ok {
				want = from
			}
			if (err == nil) != ok || q.State != want || err != nil && errkind.KindOf(err) != errkind.Conflict {
				t.Errorf("%s, %s: got %q, %v, want %q", from, e, q.State, err, want)
			}
		}
	}
}
