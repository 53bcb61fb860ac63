// Package notifications tells people and webhooks what happened to requests and grants.
//
// # Outbox
//
// A notification is a row for one receiver. It is stored in the transaction that changes the request, so a request and its
// notifications exist together or not at all. Requests and approvals never wait for a mail server: Run sends the rows later,
// on its own.
//
// # Attempts
//
// Before an attempt, Run counts it and stores when the next one is due. After it, Run stores the outcome. If the gateway
// is killed between both, the notification is sent again after the pause, with the same id. So it can arrive twice and is
// never lost. The pause doubles from 30 s to 15 min. A notification that fails for 24 h is a dead letter, which administrators
// see and can retry.
//
// # What a notification says
//
// The facts of the request as they were at the event, and one link to its page. The link opens the page and changes
// nothing. Names, reasons and tickets are other people's words: text.go and package notify make plain text of them.
//
// It imports rows and senders, and knows neither the signer nor the web.
package notifications

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/store"
)

// Kinds of notifications.
const (
	Asked     = "request.asked"   // to those who can answer it
	Granted   = "request.granted" // the last approval was given; to the requester
	Denied    = "request.denied"  // to the requester
	Expired   = "request.expired" // to the requester
	Withdrawn = "grant.withdrawn" // a grant was withdrawn by another person; to its holder
	Emergency = "emergency"       // an emergency rule was used; to those whom the rule names
	Overdue   = "review.overdue"  // nobody has reviewed an emergency grant in time; to the reviewers
	Proposed  = "change.proposed" // a change waits for a second administrator; to the other administrators
	Online    = "device.online"   // a device is online again; by mail to those who asked to be told
	Test      = "test"            // by an administrator
)

// Kinds lists the kinds that a webhook can ask for.
var Kinds = []string{Asked, Granted, Denied, Expired, Withdrawn, Emergency, Overdue, Proposed}

// Rows keeps the outbox. *sqlite.DB does.
type Rows interface {
	AddNotifications(ctx context.Context, all ...store.Notification) error
	DueChannels(ctx context.Context, now time.Time) ([]string, error)
	DueNotifications(ctx context.Context, channel string, now time.Time, most int) ([]store.Notification, error)
	ChangeNotification(ctx context.Context, notification string, change func(*store.Notification) error) (store.Notification, error)
	Notifications(ctx context.Context, f store.NotificationFilter) ([]store.Notification, int, error)
	PruneNotifications(ctx context.Context, sent, dead time.Time) (int64, error)
	Principal(ctx context.Context, p id.Principal) (store.Principal, error)
}

// Mailer sends mails. *notify.Mailer does.
type Mailer interface {
	Send(ctx context.Context, m notify.Mail) error
}

// Poster sends documents to a webhook. *notify.Webhook does.
type Poster interface {
	Send(ctx context.Context, notificationID string, body []byte) error
}

// Webhook is one configured webhook.
type Webhook struct {
	Name   string
	Format string   // one of Formats
	Kinds  []string // that are sent there; empty: all
	To     Poster
}

// Config is what an outbox works with.
type Config struct {
	Rows     Rows
	Site     string // address of the web app, without a slash at its end
	Name     string // of the installation
	Mail     Mailer // nil: no mails are sent
	Webhooks []Webhook
	Now      func() time.Time
	Log      *slog.Logger
}

// Outbox makes notifications and sends them.
type Outbox struct {
	cfg    Config
	wake   chan struct{}
	failed atomic.Uint64

	mu      sync.Mutex // guards what follows
	rest    map[string]time.Time
	pruned  time.Time
	without map[id.Principal]bool
	asks    map[id.Principal]*rate.Limiter
}

// New makes an outbox. Run sends what is in it.
func New(c Config) *Outbox {
	return &Outbox{cfg: c, wake: make(chan struct{}, 1), rest: map[string]time.Time{}, without: map[id.Principal]bool{},
		asks: map[id.Principal]*rate.Limiter{}}
}

// Wake lets Run look at once. Call it after the transaction with new notifications.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Failed counts the attempts that failed since the start.
func (o *Outbox) Failed() uint64 { return o.failed.Load() }

// One person can cause notifications for mostAsks requests at once, and for one more each asksEvery. Each goes to at most
// mostReceivers people.
const (
	mostReceivers = 200
	mostAsks      = 20
	asksEvery     = 3 * time.Minute
)

// About makes the notifications about one event of a request: a mail to each of these people who has an address, and one for
// each webhook that wants the kind. They are not stored yet.
func (o *Outbox) About(kind string, q store.Request, to []store.Principal) []store.Notification {
	if kind == Asked && !o.mayAsk(q.Who) {
		return nil
	}
	return o.each(o.event(kind, q), to)
}

// Change is a change that waits for a second administrator.
type Change struct {
	Proposal string
	What     string // in words: policy, labels of press-1
	By       string
	Reason   string
}

// Proposed stores the notifications about a change, for other administrators. Failures are logged: the change waits as well
// without them, on the page Requests.
func (o *Outbox) Proposed(ctx context.Context, c Change, to []store.Principal) {
	e := Event{Kind: Proposed, At: o.cfg.Now().UTC().Truncate(time.Second), Link: o.cfg.Site + "/proposals/" + c.Proposal,
		Requester: notify.Line(c.By, longName), Device: notify.Line(c.What, longName), Reason: notify.Line(c.Reason, longText)}
	if err := o.cfg.Rows.AddNotifications(ctx, o.each(e, to)...); err != nil {
		o.cfg.Log.Warn("the notification about a proposed change could not be stored", slog.Any("error", err))
		return
	}
	o.Wake()
}

// BackOnline makes the mails to people who asked to be told when a device is online again. They are not stored yet.
func (o *Outbox) BackOnline(d store.Device, to []store.Principal) []store.Notification {
	e := Event{Kind: Online, At: o.cfg.Now().UTC().Truncate(time.Second), Link: o.cfg.Site + "/machines/" + url.PathEscape(string(d.Name)),
		Device: notify.Line(string(d.Name), longName), Site: notify.Line(d.Site, longName)}
	return o.mails(e, to)
}

// Mails reports whether a mail server is configured.
func (o *Outbox) Mails() bool { return o.cfg.Mail != nil }

// each makes one notification of an event for each person with an address, and for each webhook that wants the kind.
func (o *Outbox) each(e Event, to []store.Principal) []store.Notification {
	out := o.mails(e, to)
	for _, w := range o.cfg.Webhooks {
		if w.wants(e.Kind) {
			out = append(out, o.notification(e, store.ChannelWebhook+w.Name, ""))
		}
	}
	return out
}

// mails makes one notification of an event for each person with an address.
func (o *Outbox) mails(e Event, to []store.Principal) (out []store.Notification) {
	if o.cfg.Mail == nil {
		return nil
	}
	for _, p := range to {
		if p.Email == "" {
			o.noAddress(p.ID)
			continue
		}
		if len(out) == mostReceivers {
			o.cfg.Log.Warn("a notification goes to fewer people than it concerns", slog.String("kind", e.Kind), slog.Int("most", mostReceivers))
			break
		}
		out = append(out, o.notification(e, store.ChannelMail, p.Email))
	}
	return out
}

func (o *Outbox) notification(e Event, channel, to string) store.Notification {
	return store.Notification{ID: newID(), Kind: e.Kind, Request: e.Request, Device: id.Device(e.Device), Channel: channel, To: to, Event: e.marshal(),
		State: store.NotificationPending, Created: e.At, GiveUp: e.At.Add(GiveUpAfter), NextTry: e.At}
}

// mayAsk reports whether a person's request may cause notifications. Without it, a person could fill approvers' mailboxes.
func (o *Outbox) mayAsk(who id.Principal) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.asks[who]
	if l == nil {
		if len(o.asks) >= 10_000 {
			clear(o.asks)
		}
		l = rate.NewLimiter(rate.Every(asksEvery), mostAsks)
		o.asks[who] = l
	}
	if l.AllowN(o.cfg.Now(), 1) {
		return true
	}
	o.cfg.Log.Warn("approvers get no mail about a request, because its requester has caused too many", slog.String("requester", who.String()))
	return false
}

// noAddress logs once that a person cannot get mails.
func (o *Outbox) noAddress(who id.Principal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.without[who] && len(o.without) < 10_000 {
		o.without[who] = true
		o.cfg.Log.Warn("a person gets no mail: the provider sends no email address, or marks it as not verified", slog.String("person", who.String()))
	}
}

func newID() string {
	var raw [16]byte
	rand.Read(raw[:])
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:]))
}
