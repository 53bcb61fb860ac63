package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/notify/notifytest"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// telling is a server with a mail server and a receiver of webhooks, which checks signatures.
type telling struct {
	*testenv.Server
	t      *testing.T
	mail   *notifytest.Server
	hooks  chan string // what the receiver took: the body, or why it was refused
	status atomic.Int64
}

func newTelling(t *testing.T) *telling {
	n := &telling{Server: testenv.NewServer(t), t: t, mail: notifytest.New(t, false), hooks: make(chan string, 100)}
	n.status.Store(http.StatusOK)
	key, err := notify.ParseSecret(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	receiver := &notify.Receiver{Key: key, Now: time.Now}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, err := receiver.Check(r.Header, body); err != nil {
			body = []byte(err.Error())
		}
		n.hooks <- string(body)
		w.WriteHeader(int(n.status.Load()))
	}))
	t.Cleanup(srv.Close)
	secret := n.Path("etc", "hook")
	if err := os.WriteFile(secret, []byte(hookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.Text += fmt.Sprintf("[mail]\nserver = %q\nfrom = \"access@acme.example\"\nca_file = %q\n[[webhook]]\nname = \"ops\"\nurl = %q\nsecret_file = %q\n",
		n.mail.Addr, n.mail.CA, srv.URL, secret)
	n.Write()
	policy, err := os.ReadFile(n.Path("etc", "policy.toml"))
	if err == nil {
		text := strings.Replace(string(policy), "[duties]\n", "[duties]\napprove = [\"technicians\"]\n", 1)
		err = os.WriteFile(n.Path("etc", "policy.toml"), []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mailTo waits for the mail number i, and checks its receiver and that it says want.
func (n *telling) mailTo(i int, to string, want ...string) string {
	n.t.Helper()
	for end := time.Now().Add(20 * time.Second); len(n.mail.Mails()) < i; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatalf("got %+v, want mail %d", n.mail.Mails(), i)
		}
	}
	m := n.mail.Mails()[i-1]
	for _, w := range want {
		if !strings.Contains(m.Raw, w) {
			n.t.Errorf("mail %d has no %q:\n%s", i, w, m.Raw)
		}
	}
	if m.To != to || !m.TLS {
		n.t.Errorf("mail %d: got %+v, want one to %s", i, m, to)
	}
	return m.Raw
}

func (n *telling) hook(want ...string) {
	n.t.Helper()
	select {
	case got := <-n.hooks:
		for _, w := range want {
			if !strings.Contains(got, w) {
				n.t.Errorf("a webhook has no %q: %s", w, got)
			}
		}
	case <-time.After(20 * time.Second):
		n.t.Fatalf("no webhook %q came", want)
	}
}

// TestPeopleAreToldOfRequests goes the whole way: from `sallyport request` to a real mail server and webhook, and back
// by what an administrator sees.
func TestPeopleAreToldOfRequests(t *testing.T) {
	t.Parallel()
	n := newTelling(t)
	n.AddUser("ada", "administrators", "--email", "ada@acme.example")
	n.AddUser("tess", "technicians", "--email", "tess@acme.example")
	n.AddUser("otto", "compliance", "--email", "otto@acme.example", "--shown-as", "Otto\u202e Officer")
	gateway := n.Serve()
	ada, tess, otto := n.Person("ada"), n.Person("tess"), n.Person("otto")
	n.Join(ada, "press-1", "--ca", n.CA())

	var q apitype.Request
	if err := json.Unmarshal([]byte(otto.Must("request", "press-1", "--action", "shell", "--for", "10m", "--reason", "look at the pump", "--json")), &q); err != nil {
		t.Fatal(err)
	}
	link := n.URL + "/requests/" + q.ID
	n.mailTo(1, "tess@acme.example", "Subject: Otto Officer requests access to press-1", "Reason: look at the pump", link)
	n.hook(`"type":"request.asked"`, link, "look at the pump")
	for _, who := range []*testenv.Person{tess, otto} { // the link opens a page, and nothing more
		resp, err := who.Browser.Client.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := json.Unmarshal([]byte(otto.Must("request", "show", q.ID, "--json")), &q); err != nil || q.State != "pending" || len(q.Approvers) != 0 {
		t.Errorf("after the link was opened: got %+v, %v", q, err)
	}
	tess.Must("request", "approve", q.ID)
	n.mailTo(2, "otto@acme.example", "Subject: Request granted: press-1 for 10 minutes")
	n.hook(`"type":"request.granted"`, `"by":["tess"]`)
	tess.Must("grants", "withdraw", q.ID, "--reason", "enough")
	n.mailTo(3, "otto@acme.example", "Subject: Grant withdrawn: press-1", "Answer: enough")
	n.hook(`"type":"grant.withdrawn"`)

	t.Run("an administrator tests and retries", func(t *testing.T) { n.t = t; n.administers(ada, tess, gateway) })
}

func (n *telling) administers(ada, tess *testenv.Person, gateway *testenv.Process) {
	t := n.t
	if out := ada.Must("notifications", "test"); !strings.Contains(out, "sent") {
		t.Errorf("got %s", out)
	}
	n.mailTo(4, "ada@acme.example", "Subject: Test notification")
	if got := tess.Run("notifications", "list"); got.Status != 77 {
		t.Errorf("a technician: got %+v", got)
	}
	n.status.Store(http.StatusGone)
	if got := ada.Run("notifications", "test", "--webhook", "ops"); got.Status != 1 || !strings.Contains(got.Err, "410 Gone") {
		t.Errorf("a receiver that is gone: got %+v", got)
	}
	n.hook(`"type":"test"`)
	var dead []apitype.Notification
	if err := json.Unmarshal([]byte(ada.Must("notifications", "list", "--state", "dead", "--json")), &dead); err != nil || len(dead) != 1 || dead[0].Channel != "webhook:ops" {
		t.Fatalf("got %+v, %v", dead, err)
	}
	if _, text, err := n.Ask("/readyz"); err != nil || !hasLine(text, "warning: notifications: ", "not delivered and are not tried again: 1") {
		t.Errorf("/readyz: got %q, %v", text, err)
	}
	n.status.Store(http.StatusOK)
	ada.Must("notifications", "retry", dead[0].ID[:8])
	n.hook(notify.ErrRepeated.Error()) // the receiver knows the id
	n.mail.Away()
	if got := ada.Run("notifications", "test"); got.Status != 1 || !strings.Contains(got.Err, "connection refused") {
		t.Errorf("a mail server that is away: got %+v", got)
	}
	if strings.Contains(gateway.Output(), hookSecret) {
		t.Error("the gateway's log has the signing secret")
	}
}
