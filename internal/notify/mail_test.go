package notify

import (
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/notify/notifytest"
)

var sentAt = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// mailer makes one for a test's server, changed as given.
func mailer(t *testing.T, s *notifytest.Server, security string, change ...func(*MailConfig)) *Mailer {
	t.Helper()
	c := MailConfig{Server: s.Addr, From: "access@acme.example", FromName: `ACME "remote" \ service`, Security: security, CAFile: s.CA}
	for _, f := range change {
		f(&c)
	}
	m, err := NewMailer(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// read parses a mail that was received, and decodes its body.
func read(t *testing.T, m notifytest.Mail) (mail.Header, string) {
	t.Helper()
	got, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
	if err != nil {
		t.Fatal(err)
	}
	return got.Header, string(body)
}

func TestMailIsSentWithEachKindOfTLS(t *testing.T) {
	for _, security := range []string{StartTLS, ImplicitTLS} {
		t.Run(security, func(t *testing.T) {
			s := notifytest.New(t, security == ImplicitTLS)
			password := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			m := mailer(t, s, security, func(c *MailConfig) { c.Username, c.PasswordFile = "gateway", password })
			if err := m.Send(t.Context(), Mail{ID: "abc", To: "lea@acme.example", Subject: "Grüße", Text: "one\ntwo ü\n", At: sentAt}); err != nil {
				t.Fatal(err)
			}
			got := s.Mails()
			if len(got) != 1 || !got[0].TLS || got[0].From != "access@acme.example" || got[0].To != "lea@acme.example" {
				t.Fatalf("got %+v", got)
			}
			if login, _ := base64.StdEncoding.DecodeString(got[0].Login); string(login) != "\x00gateway\x00secret" {
				t.Errorf("got the sign-in %q", login)
			}
			h, body := read(t, got[0])
			subject, _ := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
			if subject != "Grüße" || h.Get("Message-ID") != "<abc@acme.example>" || h.Get("Auto-Submitted") != "auto-generated" ||
				h.Get("From") != `"ACME \"remote\" \\ service" <access@acme.example>` ||
				!strings.HasPrefix(h.Get("Content-Type"), "text/plain") || !strings.Contains(h.Get("Date"), "02 Mar 2026 10:00:00") {
				t.Errorf("got header %v", h)
			}
			if strings.ReplaceAll(body, "\r\n", "\n") != "one\ntwo ü\n" {
				t.Errorf("got body %q", body)
			}
		})
	}
}

func TestMailIsNotSentWithoutTheDemandedTLS(t *testing.T) {
	s := notifytest.New(t, false)
	s.Answer("EHLO", "250 test") // as a stripping attacker answers
	if err := mailer(t, s, StartTLS).Send(t.Context(), Mail{ID: "a", To: "lea@acme.example"}); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("without STARTTLS: got %v", err)
	}
	s.Answer("EHLO", "")
	other := notifytest.New(t, false)
	err := mailer(t, s, StartTLS, func(c *MailConfig) { c.CAFile = other.CA }).Send(t.Context(), Mail{ID: "a", To: "lea@acme.example"})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of another authority: got %v", err)
	}
	if got := s.Mails(); len(got) != 0 {
		t.Errorf("got %+v, want no mail", got)
	}
	if err := mailer(t, s, NoTLS).Send(t.Context(), Mail{ID: "a", To: "lea@acme.example"}); err != nil || len(s.Mails()) != 1 || s.Mails()[0].TLS {
		t.Errorf("on this host, without TLS: got %v and %+v", err, s.Mails())
	}
}

func TestTextsOfPeopleCannotAddHeadersOrReceivers(t *testing.T) {
	s := notifytest.New(t, false)
	m := mailer(t, s, StartTLS)
	evil := "x\r\nBcc: eve@evil.example\r\n\r\nhello\u202e\u2028\x00\x1b[2J"
	if err := m.Send(t.Context(), Mail{ID: "a" + evil, To: "lea@acme.example", Subject: evil, Text: evil + "\n.\r\nMAIL FROM:<eve@evil.example>\n"}); err != nil {
		t.Fatal(err)
	}
	got := s.Mails()
	if len(got) != 1 || got[0].To != "lea@acme.example" {
		t.Fatalf("got %+v, want one mail to lea", got)
	}
	h, body := read(t, got[0])
	if h.Get("Bcc") != "" || len(h["Subject"]) != 1 {
		t.Errorf("got header %v", h)
	}
	subject, _ := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if subject != "x Bcc: eve@evil.example hello [2J" {
		t.Errorf("got subject %q", subject)
	}
	if strings.ContainsAny(body, "\u202e\u2028\x00\x1b") || !strings.Contains(body, ".\r\nMAIL FROM") && !strings.Contains(body, ".\nMAIL FROM") {
		t.Errorf("got body %q", body)
	}
	for _, to := range []string{"lea@acme.example\r\nRCPT TO:<eve@evil.example>", "lea@acme.example, eve@evil.example", "Lea <lea@acme.example>", "lea", "",
		"lea@acme.example (x)", "\"a b\"@acme.example"} {
		if err := m.Send(t.Context(), Mail{ID: "b", To: to}); err == nil || !IsPermanent(err) {
			t.Errorf("to %q: got %v, want a permanent error", to, err)
		}
	}
	if got := s.Mails(); len(got) != 1 {
		t.Errorf("got %d mails, want 1", len(got))
	}
}

func TestOnlyAnUnknownAddressIsPermanent(t *testing.T) {
	s := notifytest.New(t, false)
	m := mailer(t, s, StartTLS)
	for command, c := range map[string]struct {
		answer    string
		permanent bool
	}{"RCPT": {"550 no such person", true}, "MAIL": {"550 not you", false}, "DATA": {"451 later", false}} {
		s.Answer(command, c.answer)
		err := m.Send(t.Context(), Mail{ID: "a", To: "lea@acme.example"})
		if err == nil || IsPermanent(err) != c.permanent || !strings.Contains(err.Error(), c.answer[4:]) {
			t.Errorf("%s answered %q: got %v (permanent %v)", command, c.answer, err, IsPermanent(err))
		}
		s.Answer(command, "")
	}
	s.Answer("RCPT", "450 greylisted")
	if err := m.Send(t.Context(), Mail{ID: "a", To: "lea@acme.example"}); err == nil || IsPermanent(err) {
		t.Errorf("greylisted: got %v", err)
	}
	s.Answer("RCPT", "")
	s.DropAfterData(true)
	if err := m.Send(t.Context(), Mail{ID: "a", To: "lea@acme.example"}); err != nil || len(s.Mails()) != 1 {
		t.Errorf("the connection ends after the mail was accepted: got %v and %d mails, want no second attempt", err, len(s.Mails()))
	}
}

func TestMailConfigurationIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		in   MailConfig
		want string
	}{
		"no port":               {MailConfig{Server: "smtp.example"}, "write host:port"},
		"a sender with a name":  {MailConfig{Server: "smtp.example:25", From: "A <a@x.example>"}, "one address"},
		"an unknown security":   {MailConfig{Server: "smtp.example:25", From: "a@x.example", Security: "ssl"}, "security"},
		"no TLS beyond here":    {MailConfig{Server: "smtp.example:25", From: "a@x.example", Security: NoTLS}, "only for a mail server on this host"},
		"a name and no secret":  {MailConfig{Server: "smtp.example:25", From: "a@x.example", Security: StartTLS, Username: "u"}, "go together"},
		"a secret and no name":  {MailConfig{Server: "smtp.example:25", From: "a@x.example", Security: StartTLS, PasswordFile: "/x"}, "go together"},
		"a sender with a break": {MailConfig{Server: "smtp.example:25", From: "a@x.example\r\nBcc: b@x.example", Security: StartTLS}, "one address"},
	} {
		if _, err := NewMailer(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", name, err, c.want)
		}
	}
	s := notifytest.New(t, false)
	m := mailer(t, s, StartTLS, func(c *MailConfig) { c.Username, c.PasswordFile = "u", filepath.Join(t.TempDir(), "none") })
	if err := m.Send(t.Context(), Mail{ID: "a", To: "lea@acme.example"}); err == nil || IsPermanent(err) || !strings.Contains(err.Error(), "password_file") {
		t.Errorf("a password that is not there: got %v", err)
	}
}
