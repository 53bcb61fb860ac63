package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// refuseNotifications configures a mail server that does not listen, and a webhook whose receiver wants nothing any more.
func (h *sensorHouse) refuseNotifications(t *testing.T) {
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	t.Cleanup(gone.Close)
	h.Text += fmt.Sprintf("[mail]\nserver = %q\nfrom = \"access@acme.example\"\nsecurity = \"none\"\n[[webhook]]\nname = \"ops\"\nformat = \"slack\"\nurl = %q\n",
		testenv.FreePort(t), gone.URL)
}

// notificationsFail sends a test by each. The mail stays pending, and the webhook is a dead letter.
func (h *sensorHouse) notificationsFail(t *testing.T) {
	for _, args := range [][]string{{"notifications", "test"}, {"notifications", "test", "--webhook", "ops"}} {
		if got := h.admin.Run(args...); got.Status != 1 {
			t.Errorf("%v: got %+v", args, got)
		}
	}
}
