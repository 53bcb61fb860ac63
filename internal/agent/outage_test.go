package agent

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/internal/wire"
)

// The text about an expired certificate shows the clock, and a server can close with a new text each time: neither may
// write a line into the log at each try.
func TestOneOutageHasOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired := x509.CertificateInvalidError{Cert: &x509.Certificate{NotAfter: time.Now()}, Reason: x509.Expired}
		first := reach.Explain("gw:443", expired)
		time.Sleep(time.Minute)
		if second := reach.Explain("gw:443", expired); outage(first) != outage(second) {
			t.Errorf("got %q, then %q", outage(first), outage(second))
		}
	})
	closed := func(n int) error {
		return unproven("gw:443", &websocket.CloseError{Code: 4000, Text: fmt.Sprint("text ", n)})
	}
	if outage(closed(1)) != outage(closed(2)) {
		t.Errorf("got %q, then %q", outage(closed(1)), outage(closed(2)))
	}
	if outage(closed(1)) == outage(reach.Explain("gw:443", &reach.Answer{Status: 502})) {
		t.Error("two outages have one name")
	}
}

// TestARefusedVersionIsToldWithWhatToDo: a later gateway may refuse this agent, in the handshake or after it.
func TestARefusedVersionIsToldWithWhatToDo(t *testing.T) {
	for _, err := range []error{lost("gw:443", closed(wire.CloseVersion, "x")),
		unproven("gw:443", closed(wire.CloseVersion, "x"))} {
		if !strings.Contains(err.Error(), "does not take version 2 of the control protocol") ||
			hintOf(err) != wire.UpdateAgent {
			t.Errorf("got %v with the hint %q", err, hintOf(err))
		}
	}
}
