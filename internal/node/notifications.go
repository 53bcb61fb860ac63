package node

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/store"
)

// openNotifications makes the outbox. A mistake in [mail] or [[webhook]] ends the start: without mail, approvers would not see that
// something is wrong.
func (g *Gateway) openNotifications(context.Context) error {
	c := g.opt.Config
	o := notifications.Config{Rows: g.DB, Site: siteBase(c), Name: c.Site.Name, Now: time.Now, Log: g.opt.Log}
	m, err := mailer(c)
	if err != nil {
		return err
	}
	if m != nil {
		o.Mail = m
	}
	if o.Webhooks, err = webhooks(c); err != nil {
		return err
	}
	g.notifications = notifications.New(o)
	return nil
}

// mailer gives nil if no mails are sent.
func mailer(c *config.Config) (*notify.Mailer, error) {
	if c.Mail.Server == "" {
		return nil, nil
	}
	m, err := notify.NewMailer(notify.MailConfig{
		Server:       c.Mail.Server,
		From:         c.Mail.From,
		FromName:     c.Site.Name,
		Username:     c.Mail.Username,
		PasswordFile: c.Mail.PasswordFile,
		Security:     c.Mail.Security,
		CAFile:       c.Mail.CAFile,
	})
	if err != nil {
		return nil, errkind.New(errkind.Usage, "[mail] "+err.Error())
	}
	return m, nil
}

func webhooks(c *config.Config) (out []notifications.Webhook, err error) {
	for _, w := range c.Webhook {
		to, err := notify.NewWebhook(notify.WebhookConfig{Name: w.Name, URL: w.URL, URLFile: w.URLFile, SecretFile: w.SecretFile})
		if err != nil {
			return nil, errkind.New(errkind.Usage, fmt.Sprintf("[[webhook]] %s: %v", w.Name, err))
		}
		out = append(out, notifications.Webhook{Name: w.Name, Format: w.Format, Kinds: w.Send, To: to})
	}
	return out, nil
}

// undelivered warns of dead letters. Their receivers do not know what they missed.
func (g *Gateway) undelivered(ctx context.Context) error {
	n, err := g.DB.CountNotifications(ctx, store.NotificationDead)
	if err != nil || n == 0 {
		return nil // a database that fails is reported by its own condition
	}
	return errkind.New(errkind.Unavailable, fmt.Sprintf("notifications that were not delivered and are not tried again: %d", n)).
		WithHint("`sallyport notifications list --state dead` says why, and `sallyport notifications retry ID` tries again.")
}
