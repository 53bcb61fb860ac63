package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestAPersonIsToldOnceThatADeviceIsOnline: with a real agent that stops and comes back, and a real mail server.
func TestAPersonIsToldOnceThatADeviceIsOnline(t *testing.T) {
	t.Parallel()
	n := newTelling(t)
	gateway := n.Serve()
	n.WaitReady(gateway)
	n.AddUser("ada", "administrators", "--email", "ada@acme.example")
	n.AddUser("tess", "technicians", "--email", "tess@acme.example")
	n.AddUser("otto", "technicians")
	ada, tess := n.Person("ada"), n.Person("tess")
	agent := n.Join(ada, "press-1", "--ca", n.CA())
	if got := tess.Run("devices", "tell-online", "press-1"); got.Status != 1 || !strings.Contains(got.Err, "press-1 is online") {
		t.Errorf("while it is online: got %+v", got)
	}
	agent.End(syscall.SIGTERM)
	n.Eventually("press-1 is offline", gateway, func() error {
		if got := ada.Must("devices", "show", "press-1", "--json"); strings.Contains(got, `"online": true`) {
			return fmt.Errorf("still online")
		}
		return nil
	})
	if got := n.Person("otto").Run("devices", "tell-online", "press-1"); got.Status != 1 || !strings.Contains(got.Err, "no email address for you") {
		t.Errorf("without an address: got %+v", got)
	}
	if got := tess.Run("devices", "tell-online", "press-9"); got.Status != 1 {
		t.Errorf("a device that tess cannot see: got %+v", got)
	}
	ada.Must("devices", "tell-online", "press-1")
	tess.Must("devices", "tell-online", "press-1")
	tess.Must("devices", "tell-online", "press-1") // again changes nothing
	ada.Must("devices", "tell-online", "press-1", "--cancel")
	if got := tess.Must("devices", "show", "press-1", "--json"); !strings.Contains(got, `"tell_online": true`) {
		t.Errorf("got %s", got)
	}
	back := func() *testenv.Process {
		p := testenv.Launch(t, n.Path("press-1.log"), n.Agent("press-1", "run"))
		n.WaitOnline(ada, p, "press-1")
		return p
	}
	agent = back()
	n.mailTo(1, "tess@acme.example", "Subject: press-1 is online", n.URL+"/machines/press-1")
	agent.End(syscall.SIGTERM)
	back()
	time.Sleep(2 * time.Second)
	if got := len(n.mail.Mails()); got != 1 {
		t.Errorf("got %d mails, want one", got)
	}
}
