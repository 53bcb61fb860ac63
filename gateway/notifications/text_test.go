package notifications

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/plain"
	"github.com/sallyport/sallyport/internal/store"
)

// hostile is what a requester could try to put into a notification.
const hostile = "x\r\nBcc: eve@evil.example\n\n```<!channel> @all [click](https://evil.example) https://evil.example www.evil.example\u202e\u2066\u200b\x1b[2J\x00\u2028</script>"

func hostileRequest() store.Request {
	q := request()
	q.Name, q.Reason, q.Ticket, q.Answer, q.By, q.Actions = hostile, strings.Repeat(hostile, 20), hostile, hostile, hostile, []string{hostile}
	q.Approvals = []store.Approval{{Name: hostile}}
	q.Decided, q.From, q.Until = began, began, began.Add(time.Hour)
	return q
}

func TestTextsOfPeopleStayTextInEveryFormat(t *testing.T) {
	h := newHouse(t)
	for _, kind := range Kinds {
		e := h.event(kind, hostileRequest())
		for what, text := range map[string]string{"subject": e.subject(), "sentence": e.says(), "facts": strings.Join(e.facts(), "")} {
			if strings.ContainsFunc(text, plain.Steers) {
				t.Errorf("%s, %s: got %q", kind, what, text)
			}
		}
		mail := e.mailText("ACME")
		if n := strings.Count(mail, "://"); n != 1 || !strings.Contains(mail, "\nhttps://access.example/requests/req1\n") || regexp.MustCompile(`\pL\.\pL|@\pL`).MatchString(strings.Replace(mail, e.Link, "", 1)) {
			t.Errorf("%s: a mail has %d links, want the one to the page:\n%s", kind, n, mail)
		}
		for _, format := range []string{"slack", "mattermost"} {
			text := decoded(t, e, format)["text"].(string)
			inside, rest, _ := strings.Cut(strings.TrimPrefix(text, "```\n"), "\n```\n")
			if strings.Contains(inside, "`") || rest != e.Link || format == "slack" && strings.ContainsAny(inside, "<>") {
				t.Errorf("%s, %s: got %q", kind, format, text)
			}
		}
		raw, err := e.document("teams")
		if err != nil || strings.Contains(string(raw), "TextBlock\",\"text") || strings.Count(string(raw), `"url"`) != 1 {
			t.Errorf("%s: got the card %s, %v", kind, raw, err)
		}
		if data := decoded(t, e, "json")["data"].(map[string]any); data["link"] != e.Link || strings.ContainsFunc(data["reason"].(string), plain.Steers) || len([]rune(data["reason"].(string))) > longText {
			t.Errorf("%s: got %v", kind, data)
		}
	}
}

func decoded(t *testing.T, e Event, format string) (out map[string]any) {
	t.Helper()
	raw, err := e.document(format)
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnEventIsTheSameAfterItWasStored(t *testing.T) {
	h := newHouse(t)
	for _, kind := range Kinds {
		e := h.event(kind, request())
		got, err := parseEvent(e.marshal())
		if err != nil || got.mailText("x") != e.mailText("x") || got.subject() != e.subject() || string(got.marshal()) != string(e.marshal()) {
			t.Errorf("%s: got %+v, %v, want %+v", kind, got, err, e)
		}
	}
}

func TestAnApproverReadsWhatIsAskedFor(t *testing.T) {
	h := newHouse(t)
	e := h.event(Asked, request())
	if got := e.subject(); got != "Tess requests access to press-1" {
		t.Errorf("got subject %q", got)
	}
	want := `Tess requests access to press-1. The request expires at 2026-03-02 11:00 UTC.

Site: ulm
Actions: shell:svc
Time: 30 minutes
Reason: pump
Rule: R1

The page of the request:
https://access.example/requests/req1

People wrote the names, reason, ticket and answer. The gateway adds spaces to text that looks like an address.
-- 
ACME
`
	if got := e.mailText("ACME"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestATestGoesToOneselfOrToAWebhook(t *testing.T) {
	h := newHouse(t)
	ada, nobody := principal("ada"), principal("nobody")
	nobody.Email = ""
	for _, p := range []store.Principal{ada, nobody} {
		if err := h.db.PutPrincipal(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Test(t.Context(), ada.ID, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Test(t.Context(), ada.ID, "ops"); err != nil {
		t.Fatal(err)
	}
	h.round()
	got := h.mail.Mails()
	if _, bodies := h.hook.got(); len(got) != 1 || got[0].To != ada.Email || !strings.Contains(got[0].Raw, "Subject: Test notification") || len(bodies) != 1 {
		t.Errorf("got %+v and %q", got, bodies)
	}
	for what, test := range map[string]func() (store.Notification, error){
		"no address":      func() (store.Notification, error) { return h.Test(t.Context(), nobody.ID, "") },
		"no such webhook": func() (store.Notification, error) { return h.Test(t.Context(), ada.ID, "none") },
		"no mail server": func() (store.Notification, error) {
			h.cfg.Mail = nil
			return h.Test(t.Context(), ada.ID, "")
		},
	} {
		if _, err := test(); err == nil || errkind.KindOf(err) == errkind.Internal {
			t.Errorf("%s: got %v, want a text for people", what, err)
		}
	}
}
