package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/sallyport/sallyport/internal/readfile"
)

// Values of MailConfig.Security.
const (
	StartTLS    = "starttls" // TLS is demanded after the first greeting
	ImplicitTLS = "tls"      // TLS from the first byte
	NoTLS       = "none"     // only to this host
)

// mailTime limits each phase of an attempt: connecting with TLS and sign-in, and sending.
const mailTime = 15 * time.Second

// MailConfig says how mails leave.
type MailConfig struct {
	Server       string // host:port
	From         string // address of the sender
	FromName     string
	Username     string // empty: no sign-in at the mail server
	PasswordFile string // read for every attempt, so that a new password needs no restart
	Security     string
	CAFile       string // PEM; empty: the system's authorities
}

// Mail is one plain text mail to one person.
type Mail struct {
	ID      string // its Message-ID is ID@host of the sender's address
	To      string // an address without a name
	Subject string
	Text    string // lines end with \n
	At      time.Time
}

// Mailer sends mails through one mail server.
type Mailer struct {
	cfg  MailConfig
	host string
	port int
}

// NewMailer checks c. It connects to nothing. The error says what to write instead.
func NewMailer(c MailConfig) (*Mailer, error) {
	host, digits, err := net.SplitHostPort(c.Server)
	port, perr := strconv.Atoi(digits)
	switch {
	case err != nil || perr != nil || host == "" || port < 1 || port > 65535:
		return nil, fmt.Errorf("server = %q: write host:port, such as \"smtp.acme.example:587\"", c.Server)
	case !isAddress(c.From):
		return nil, fmt.Errorf("from = %q: write one address without a name, such as \"access@acme.example\"", c.From)
	case c.Security != StartTLS && c.Security != ImplicitTLS && c.Security != NoTLS:
		return nil, fmt.Errorf("security = %q: write %q, %q or %q", c.Security, StartTLS, ImplicitTLS, NoTLS)
	case c.Security == NoTLS && !Loopback(host):
		return nil, fmt.Errorf("security = %q is only for a mail server on this host, and server is %q", NoTLS, c.Server)
	case (c.Username == "") != (c.PasswordFile == ""):
		return nil, errors.New("username and password_file go together: write both or none")
	}
	return &Mailer{cfg: c, host: host, port: port}, nil
}

// Loopback reports whether a host name or address is this host's own.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// isAddress reports whether text is one mail address and nothing else: no name, no list, no comment, no line break.
func isAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Name == "" && a.Address == text && Line(text, len(text)+1) == text && !strings.ContainsAny(text, " \"<>,;")
}

// Send hands one mail to the server. It returns nil once the server has accepted it. An error that another attempt
// cannot mend is marked by Permanent. The error can quote the server, but has no password.
func (m *Mailer) Send(ctx context.Context, in Mail) error {
	msg, err := m.message(in)
	if err != nil {
		return Permanent(err)
	}
	c, err := m.client()
	if err != nil {
		return err
	}
	conn, err := c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to the mail server: %w", err)
	}
	// After the server has accepted the mail, an error of RSET or QUIT must not cause a second one.
	defer func() { _ = c.CloseWithSMTPClient(conn) }()
	err = c.SendWithSMTPClient(conn, msg)
	if err == nil || msg.IsDelivered() {
		return nil
	}
	var refused *gomail.SendError
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Reason {
	case gomail.ErrSMTPRcptTo:
		if refused.ErrorCode() >= 500 {
			return Permanent(err) // the server refuses this address for good
		}
		return Own(err)
	case gomail.ErrSMTPData, gomail.ErrSMTPDataClose, gomail.ErrWriteContent:
		return Own(err)
	}
	return err
}

func (m *Mailer) message(in Mail) (*gomail.Msg, error) {
	if !isAddress(in.To) {
		return nil, fmt.Errorf("%q is not one mail address", Line(in.To, 100))
	}
	_, domain, _ := strings.Cut(m.cfg.From, "@")
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&mail.Address{Name: Line(m.cfg.FromName, 80), Address: m.cfg.From})
	if err := msg.To(in.To); err != nil {
		return nil, err
	}
	msg.Subject(Line(in.Subject, 150))
	msg.SetMessageIDWithValue(Line(in.ID, 64) + "@" + domain)
	msg.SetDateWithValue(in.At)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no automatic reply
	var text strings.Builder
	for line := range strings.Lines(in.Text) {
		text.WriteString(Line(line, 2000) + "\r\n")
	}
	msg.SetBodyString(gomail.TypeTextPlain, text.String())
	return msg, nil
}

// client reads password and authorities anew, since both can be replaced while the gateway runs.
func (m *Mailer) client() (*gomail.Client, error) {
	conf, err := m.tls()
	if err != nil {
		return nil, err
	}
	opts := []gomail.Option{gomail.WithPort(m.port), gomail.WithTimeout(mailTime), gomail.WithTLSConfig(conf)}
	switch m.cfg.Security {
	case ImplicitTLS:
		opts = append(opts, gomail.WithSSL())
	case NoTLS:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.cfg.Username != "" {
		password, err := readfile.Regular(m.cfg.PasswordFile, readfile.Most)
		if err != nil {
			return nil, fmt.Errorf("password_file: %w", err)
		}
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.cfg.Username),
			gomail.WithPassword(strings.TrimSpace(string(password))))
	}
	return gomail.NewClient(m.host, opts...)
}

func (m *Mailer) tls() (*tls.Config, error) {
	conf := &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS12}
	if m.cfg.CAFile == "" {
		return conf, nil
	}
	pem, err := readfile.Regular(m.cfg.CAFile, readfile.Most)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca_file has no certificate in PEM form")
	}
	return conf, nil
}
