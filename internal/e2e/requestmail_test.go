package e2e

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestAnApproverFollowsTheLinkOfTheMail: from the request in Chromium over a real mail server to the terminal.
func TestAnApproverFollowsTheLinkOfTheMail(t *testing.T) {
	t.Parallel()
	n := newTelling(t)
	gateway := n.Serve()
	n.WaitReady(gateway)
	n.AddUser("ada", "administrators")
	n.AddUser("tess", "technicians", "--email", "tess@acme.example")
	n.AddUser("otto", "compliance")
	n.Join(n.Person("ada"), "press-1", "--ca", n.CA())
	n.Person("tess") // only people who have signed in are known
	link := n.Path("link")
	known := map[string]any{"url": n.URL, "device": "press-1", "login": n.Login, "link": link,
		"users": []map[string]string{{"name": "otto", "password": testenv.Password}, {"name": "tess", "password": testenv.Password}}}
	cmd := inChromium(t, "mail.mjs", known)
	done := make(chan testenv.Result, 1)
	go func() { done <- testenv.Finish(t, cmd) }()
	for len(n.mail.Mails()) == 0 {
		select {
		case got := <-done:
			t.Fatalf("before any mail came: got %d %s%s\n%s", got.Status, got.Out, got.Err, gateway.Output())
		case <-time.After(50 * time.Millisecond):
		}
	}
	mail := n.mailTo(1, "tess@acme.example", "Reason: look at the pump")
	if err := os.WriteFile(link+".new", []byte(regexp.MustCompile(`https://\S+/requests/\S+`).FindString(mail)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.Status != 0 {
		t.Errorf("got %d %s%s\n%s", got.Status, got.Out, got.Err, gateway.Output())
	}
}
