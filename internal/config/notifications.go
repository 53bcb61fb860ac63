package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mail says how notifications leave by mail.
type Mail struct {
	Server       string `toml:"server" doc:"host:port of the mail server, such as smtp.acme.example:587. Empty: no mails are sent."`
	From         string `toml:"from" doc:"Address of the sender. Required with server."`
	Username     string `toml:"username" doc:"Account at the mail server. Empty: none."`
	PasswordFile string `toml:"password_file" doc:"File with the password of username. It is read for every mail, so a new password needs no restart."`
	Security     string `toml:"security" doc:"starttls: TLS is demanded after the greeting. tls: TLS from the first byte, often port 465. none: no TLS, only to a loopback address." default:"starttls"`
	CAFile       string `toml:"ca_file" doc:"PEM file of the authorities that sign the mail server's certificate. Only these are then trusted for it. Empty: the system's."`
}

// Webhook is one receiver of notifications.
type Webhook struct {
	Name       string `toml:"name" doc:"Short name, in lists and logs." required:"yes"`
	URL        string `toml:"url" doc:"Where notifications are posted: https, or http on a loopback address. Redirects are not followed. Write url or url_file."`
	URLFile    string `toml:"url_file" doc:"File with the URL, for chats whose URL is a secret."`
	SecretFile string `toml:"secret_file" doc:"File with the signing secret of the Standard Webhooks specification: whsec_ and 24 to 64 bytes in base64. Required for json."`
	Format     string `toml:"format" doc:"json, slack, teams or mattermost." default:"json"`
	Send       Words  `toml:"send" doc:"Kinds of notifications: request.asked, request.granted, request.denied, request.expired, grant.withdrawn, emergency, review.overdue, change.proposed. Empty: all."`
}

var (
	hookFormats = []string{"json", "slack", "teams", "mattermost"}
	hookKinds   = []string{"request.asked", "request.granted", "request.denied", "request.expired", "grant.withdrawn", "emergency", "review.overdue", "change.proposed"}
)

// checkNotifications checks that the keys fit together. Package notify checks addresses, URLs and secrets when the gateway
// starts.
func (c *Config) checkNotifications() error {
	if c.Mail != (Mail{}) && c.Mail.Server == "" {
		return errors.New("[mail] server is missing: write host:port, such as \"smtp.acme.example:587\"")
	}
	if c.Mail.Server != "" && c.Mail.From == "" {
		return errors.New("[mail] from is missing: the address of the sender, such as \"access@acme.example\"")
	}
	seen := map[string]bool{}
	for _, w := range c.Webhook {
		if err := w.check(); err != nil {
			return err
		}
		if seen[w.Name] {
			return fmt.Errorf("[[webhook]] name = %q occurs twice", w.Name)
		}
		seen[w.Name] = true
	}
	return nil
}

func (w Webhook) check() error {
	switch {
	case !shortName.MatchString(w.Name):
		return fmt.Errorf("[[webhook]] name = %q: write 1 to 31 characters of a-z, 0-9 and -", w.Name)
	case (w.URL == "") == (w.URLFile == ""):
		return fmt.Errorf("[[webhook]] %s: write url or url_file", w.Name)
	case !slices.Contains(hookFormats, w.Format):
		return fmt.Errorf("[[webhook]] %s: format = %q: write one of %s", w.Name, w.Format, strings.Join(hookFormats, ", "))
	case w.Format == "json" && w.SecretFile == "":
		return fmt.Errorf("[[webhook]] %s: the format json needs secret_file, so that the receiver can check who sent it", w.Name)
	}
	for _, kind := range w.Send {
		if !slices.Contains(hookKinds, kind) {
			return fmt.Errorf("[[webhook]] %s: send: %q is not a kind of notification: the kinds are %s", w.Name, kind, strings.Join(hookKinds, ", "))
		}
	}
	return nil
}
